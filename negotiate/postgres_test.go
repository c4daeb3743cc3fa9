package negotiate

import (
	"strings"
	"testing"
)

func FuzzPostgres(f *testing.F) { fuzzUpgrade(f, "postgres") }

// TestPostgresReasons checks that a caller can tell why there was no upgrade.
func TestPostgresReasons(t *testing.T) {
	checkReasons(t, "postgres", map[string]error{
		"refused":           ErrRefused,
		"error":             ErrRefused,
		"error-old":         ErrRefused,
		"error-length-long": ErrTooLong,
		"error-no-message":  ErrUnexpected,
		"other-protocol":    ErrUnexpected,
		"closed":            ErrClosed,
		"tls-alert":         ErrTLS,
	})
}

// TestPostgresBounds feeds answers that never come to an end.
func TestPostgresBounds(t *testing.T) {
	for _, says := range []string{
		"E" + strings.Repeat("x", 2*MaxBytes),
		"E\x00\x00\x40\x01" + strings.Repeat("x", 2*MaxBytes),
	} {
		checkBounds(t, "postgres", says, ErrTooLong, postgresMaxError+4096)
	}
}

// FuzzPostgresError checks that what comes of an ErrorResponse's fields is no longer than they are.
func FuzzPostgresError(f *testing.F) {
	f.Add([]byte("SFATAL\x00C53300\x00Mno\x00\x00"))
	f.Add([]byte("Mno\x00Mother\x00\x00"))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, fields []byte) {
		text, ok := postgresErrorText(fields)
		if !ok && text != "" || ok && text == "" {
			t.Errorf("%q, %v", text, ok)
		}
		if len(text) > len(fields)+len(":  (SQLSTATE )") {
			t.Errorf("%q is longer than its fields", text)
		}
	})
}
