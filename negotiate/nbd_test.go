package negotiate

import (
	"strings"
	"testing"
)

func FuzzNBD(f *testing.F) { fuzzUpgrade(f, "nbd") }

// TestNBDReasons checks that a caller can tell why there was no upgrade.
func TestNBDReasons(t *testing.T) {
	checkReasons(t, "nbd", map[string]error{
		"policy":         ErrRefused,
		"error-unknown":  ErrRefused,
		"error-too-long": ErrTooLong,
		"ack-with-data":  ErrUnexpected,
		"not-fixed":      ErrNotOffered,
		"oldstyle":       ErrNotOffered,
		"closed":         ErrClosed,
		"tls-alert":      ErrTLS,
	})
}

// TestNBDBounds feeds replies that never come to an end.
func TestNBDBounds(t *testing.T) {
	const start = "NBDMAGICIHAVEOPT\x00\x03\x00\x03\xe8\x89\x04\x55\x65\xa9\x00\x00\x00\x05\x80\x00\x00\x02"
	checkBounds(t, "nbd", start+"\xff\xff\xff\xff"+strings.Repeat("x", 2*MaxBytes), ErrTooLong, 2*4096)
	checkBounds(t, "nbd", start+"\x00\x00\x10\x01"+strings.Repeat("x", 2*MaxBytes), ErrTooLong, 2*4096)
	checkBounds(t, "nbd", start+"\x00\x00\x10\x00"+strings.Repeat("x", 2*MaxBytes), ErrRefused, 3*4096)
}

func TestRecogniseNBD(t *testing.T) {
	for greeting, want := range map[string]bool{
		"NBDMAGICIHAVEOPT\x00\x03":                     true,
		"NBDMAGIC\x00\x00\x42\x02\x81\x86\x12\x53\x00": true,
		"NBDMAGIC":  true,
		"NBDMAGI":   false,
		"nbdmagic":  false,
		" NBDMAGIC": false,
		"":          false,
	} {
		checkRecognised(t, "nbd", greeting, want)
	}
}
