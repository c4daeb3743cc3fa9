package negotiate

import (
	"strings"
	"testing"
)

func FuzzRDP(f *testing.F) { fuzzUpgrade(f, "rdp") }

// TestRDPReasons checks that a caller can tell why there was no upgrade.
func TestRDPReasons(t *testing.T) {
	checkReasons(t, "rdp", map[string]error{
		"standard":         ErrNotOffered,
		"no-structure":     ErrNotOffered,
		"failure-2":        ErrRefused,
		"failure-unknown":  ErrRefused,
		"disconnect":       ErrRefused,
		"protocol-8":       ErrUnexpected,
		"length-long":      ErrUnexpected,
		"closed-in-packet": ErrClosed,
		"tls-alert":        ErrTLS,
	})
}

// TestRDPBounds feeds packets that announce more than they should.
func TestRDPBounds(t *testing.T) {
	much := strings.Repeat("x", 2*MaxBytes)
	checkBounds(t, "rdp", "\x03\x00\xff\xff\xff"+much, ErrUnexpected, 4096)
	checkBounds(t, "rdp", "\x03\x00\x01\x04\xff\xd0"+much, ErrUnexpected, 4096)
}
