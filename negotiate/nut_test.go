package negotiate

import (
	"strings"
	"testing"
)

func FuzzNUT(f *testing.F) { fuzzUpgrade(f, "nut") }

// TestNUTReasons checks that a caller can tell why there was no upgrade.
func TestNUTReasons(t *testing.T) {
	checkReasons(t, "nut", map[string]error{
		"not-configured": ErrRefused,
		"access-denied":  ErrRefused,
		"ok-alone":       ErrUnexpected,
		"empty":          ErrUnexpected,
		"closed-in-line": ErrClosed,
		"tls-alert":      ErrTLS,
	})
}

// TestNUTBounds feeds a line that never comes to an end.
func TestNUTBounds(t *testing.T) {
	checkBounds(t, "nut", "ERR "+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
}
