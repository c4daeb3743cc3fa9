package negotiate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func FuzzSieve(f *testing.F) { fuzzUpgrade(f, "sieve") }

// TestSieveReasons checks that a caller can tell why there was no upgrade.
func TestSieveReasons(t *testing.T) {
	checkReasons(t, "sieve", map[string]error{
		"closed-in-literal":         ErrClosed,
		"greeting-bye":              ErrRefused,
		"greeting-literal-too-long": ErrTooLong,
		"greeting-open-quote":       ErrUnexpected,
		"not-offered":               ErrNotOffered,
		"starttls-capability":       ErrUnexpected,
		"starttls-no":               ErrRefused,
		"tls-alert":                 ErrTLS,
	})
}

// TestSieveBounds feeds greetings that never come to an end.
func TestSieveBounds(t *testing.T) {
	for name, says := range map[string]string{
		"lines":    strings.Repeat("\"STARTTLS\"\r\n", 2*MaxLines),
		"line":     "\"SIEVE\" \"" + strings.Repeat("x", 2*MaxBytes),
		"literals": "OK (" + strings.Repeat("{0}\r\n ", 2*MaxLines),
		"literal":  fmt.Sprintf("{%d}\r\n%s", MaxBytes, strings.Repeat("x", MaxBytes)),
	} {
		conn := &scripted{said: []byte(says)}
		_, err := Client(context.Background(), conn, Find("sieve"), &Options{Host: "mail.example.org"})
		if !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: error %v, want %v", name, err, ErrTooLong)
		}
		if conn.read > MaxBytes || len(conn.sent) > 0 {
			t.Errorf("%s: read %d bytes, sent %q", name, conn.read, conn.sent)
		}
	}
}

func TestRecogniseSieve(t *testing.T) {
	for greeting, want := range map[string]bool{
		"\"IMPLEMENTATION\" \"Dovecot Pigeonhole\"\r\n": true,
		"\"starttls\"\r\n":   true,
		"\"SASL\" \"\"\n":    true,
		"\"HELLO\"\r\n":      false,
		"\"SIEVEX\"\r\n":     false,
		"IMPLEMENTATION\r\n": false,
		"OK\r\n":             false,
		"BYE\r\n":            false,
		"\"SIEVE\"":          false,
		"":                   false,
	} {
		checkRecognised(t, "sieve", greeting, want)
	}
}
