package negotiate

import (
	"strings"
	"testing"
)

func FuzzCsync(f *testing.F) { fuzzUpgrade(f, "csync") }

// TestCsyncReasons checks that a caller can tell why there was no upgrade.
func TestCsyncReasons(t *testing.T) {
	checkReasons(t, "csync", map[string]error{
		"not-offered":    ErrNotOffered,
		"greeting-bye":   ErrRefused,
		"greeting-fatal": ErrRefused,
		"greeting-imap":  ErrUnexpected,
		"no":             ErrRefused,
		"bad":            ErrRefused,
		"tagged-ok":      ErrUnexpected,
		"closed-in-line": ErrClosed,
		"tls-alert":      ErrTLS,
	})
}

// TestCsyncBounds feeds banners that never come to an end.
func TestCsyncBounds(t *testing.T) {
	checkBounds(t, "csync", strings.Repeat("* X\r\n", 2*MaxLines), ErrTooLong, 2*4096)
	checkBounds(t, "csync", "* SASL "+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
}

func TestRecogniseCsync(t *testing.T) {
	for greeting, want := range map[string]bool{
		"* SASL PLAIN\r\n":                    true,
		"* STARTTLS\r\n":                      true,
		"* STARTTLS\n":                        true,
		"* COMPRESS DEFLATE\r\n":              true,
		"* OK x Cyrus sync server 3.6.1\r\n":  true,
		"* COMPRESS \"DEFLATE\"\r\n":          false,
		"* OK x Cyrus IMAP 3.6.1\r\n":         false,
		"* OK [CAPABILITY IMAP4rev1] x y\r\n": false,
		"* OK MUPDATE \"x\" \"y\"\r\n":        false,
		"* ACAP (STARTTLS)\r\n":               false,
		"* AUTH\r\n":                          false,
		"* STARTTLS and more than that\r\n":   false,
		"STARTTLS\r\n":                        false,
		"":                                    false,
	} {
		checkRecognised(t, "csync", greeting, want)
	}
}
