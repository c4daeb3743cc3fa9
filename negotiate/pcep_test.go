package negotiate

import (
	"strings"
	"testing"
)

func FuzzPCEP(f *testing.F) { fuzzUpgrade(f, "pcep") }

// TestPCEPReasons checks that a caller can tell why there was no upgrade.
func TestPCEPReasons(t *testing.T) {
	checkReasons(t, "pcep", map[string]error{
		"open":              ErrNotOffered,
		"no-open":           ErrRefused,
		"error-unknown":     ErrRefused,
		"error-object-zero": ErrUnexpected,
		"with-body":         ErrUnexpected,
		"too-long":          ErrTooLong,
		"closed-in-error":   ErrClosed,
		"tls-alert":         ErrTLS,
	})
}

// TestPCEPBounds feeds messages that are long.
func TestPCEPBounds(t *testing.T) {
	checkBounds(t, "pcep", "\x20\x06\xff\xff"+strings.Repeat("\x02\x10\x00\x04", MaxBytes), ErrTooLong, 4096)
	checkBounds(t, "pcep", "\x20\x06\x10\x00"+strings.Repeat("\x02\x10\x00\x04", MaxBytes), ErrUnexpected, 2*4096)
}

func TestRecognisePCEP(t *testing.T) {
	for greeting, want := range map[string]bool{
		pcepStartTLS:       true,
		" \r\x00":          false,
		" \r\n\x04":        false,
		"\x20\x01\x00\x0c": false,
		"":                 false,
	} {
		checkRecognised(t, "pcep", greeting, want)
	}
}
