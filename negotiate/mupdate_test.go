package negotiate

import (
	"strings"
	"testing"
)

func FuzzMUPDATE(f *testing.F) { fuzzUpgrade(f, "mupdate") }

// TestMUPDATEReasons checks that a caller can tell why there was no upgrade.
func TestMUPDATEReasons(t *testing.T) {
	checkReasons(t, "mupdate", map[string]error{
		"not-offered":        ErrNotOffered,
		"not-offered-behind": ErrNotOffered,
		"greeting-bye":       ErrRefused,
		"greeting-imap":      ErrUnexpected,
		"no":                 ErrRefused,
		"other-tag":          ErrUnexpected,
		"literal":            ErrUnexpected,
		"closed-in-line":     ErrClosed,
		"tls-alert":          ErrTLS,
	})
}

// TestMUPDATEBounds feeds banners that never come to an end.
func TestMUPDATEBounds(t *testing.T) {
	checkBounds(t, "mupdate", strings.Repeat("* X\r\n", 2*MaxLines), ErrTooLong, 2*4096)
	checkBounds(t, "mupdate", "* AUTH "+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
}

func TestRecogniseMUPDATE(t *testing.T) {
	for greeting, want := range map[string]bool{
		"* AUTH\r\n":                   true,
		"* AUTH PLAIN GSSAPI\r\n":      true,
		"* auth \"PLAIN\"\r\n":         true,
		"* OK MUPDATE \"x\" \"y\"\r\n": true,
		"* AUTHX\r\n":                  false,
		"* OK mail.example.org\r\n":    false,
		"* ACAP (STARTTLS)\r\n":        false,
		"AUTH\r\n":                     false,
		"":                             false,
	} {
		checkRecognised(t, "mupdate", greeting, want)
	}
}
