package negotiate

import (
	"strings"
	"testing"
)

func FuzzACAP(f *testing.F) { fuzzUpgrade(f, "acap") }

// TestACAPReasons checks that a caller can tell why there was no upgrade.
func TestACAPReasons(t *testing.T) {
	checkReasons(t, "acap", map[string]error{
		"not-offered":           ErrNotOffered,
		"not-offered-quoted":    ErrNotOffered,
		"greeting-bye":          ErrRefused,
		"greeting-open-bracket": ErrUnexpected,
		"no":                    ErrRefused,
		"other-tag":             ErrUnexpected,
		"closed":                ErrClosed,
		"tls-alert":             ErrTLS,
	})
}

// TestACAPBounds feeds a greeting, and alerts, that never come to an end.
func TestACAPBounds(t *testing.T) {
	checkBounds(t, "acap", "* ACAP ("+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
	checkBounds(t, "acap", "* ACAP (STARTTLS)\r\n"+strings.Repeat("* ALERT x\r\n", 2*MaxLines), ErrTooLong, 4*4096)
}

func TestRecogniseACAP(t *testing.T) {
	for greeting, want := range map[string]bool{
		"* ACAP (STARTTLS)\r\n":        true,
		"* acap (SASL \"PLAIN\")\r\n":  true,
		"* AUTH\r\n":                   false,
		"* OK ACAP (STARTTLS)\r\n":     false,
		"* OK mail.example.org\r\n":    false,
		"* OK MUPDATE \"x\" \"y\"\r\n": false,
		"":                             false,
	} {
		checkRecognised(t, "acap", greeting, want)
	}
}
