package negotiate

import (
	"strings"
	"testing"
)

func FuzzQuassel(f *testing.F) { fuzzUpgrade(f, "quassel") }

// TestQuasselReasons checks that a caller can tell why there was no upgrade.
func TestQuasselReasons(t *testing.T) {
	checkReasons(t, "quassel", map[string]error{
		"not-offered":      ErrNotOffered,
		"compression":      ErrUnexpected,
		"legacy":           ErrUnexpected,
		"closed":           ErrClosed,
		"closed-in-answer": ErrClosed,
		"tls-alert":        ErrTLS,
	})
}

// TestQuasselBounds feeds an answer that has more behind it.
func TestQuasselBounds(t *testing.T) {
	checkBounds(t, "quassel", "\x00\x00\x00\x02"+strings.Repeat("x", 2*MaxBytes), ErrNotOffered, 4096)
}
