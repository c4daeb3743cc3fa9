package negotiate

import (
	"strings"
	"testing"
)

func FuzzSyncplay(f *testing.F) { fuzzUpgrade(f, "syncplay") }

// TestSyncplayReasons checks that a caller can tell why there was no upgrade.
func TestSyncplayReasons(t *testing.T) {
	checkReasons(t, "syncplay", map[string]error{
		"refused":        ErrRefused,
		"error":          ErrRefused,
		"true-no-text":   ErrUnexpected,
		"true-almost":    ErrUnexpected,
		"two-messages":   ErrUnexpected,
		"closed-in-line": ErrClosed,
		"tls-alert":      ErrTLS,
	})
}

// TestSyncplayBounds feeds lines that are long, deep, or never come to an end.
func TestSyncplayBounds(t *testing.T) {
	checkBounds(t, "syncplay", `{"TLS": {"startTLS": "`+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
	checkBounds(t, "syncplay", `{"TLS": {"startTLS": `+strings.Repeat("[", MaxBytes/2)+"\r\n", ErrUnexpected, MaxBytes)
}
