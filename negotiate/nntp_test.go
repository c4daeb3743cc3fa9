package negotiate

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func FuzzNNTP(f *testing.F) { fuzzUpgrade(f, "nntp") }

// TestNNTPReasons checks that a caller can tell why there was no upgrade.
func TestNNTPReasons(t *testing.T) {
	checkReasons(t, "nntp", map[string]error{
		"capabilities-neither": ErrUnexpected,
		"closed-in-list":       ErrClosed,
		"greeting-400":         ErrRefused,
		"greeting-220":         ErrUnexpected,
		"not-offered":          ErrNotOffered,
		"starttls-580":         ErrRefused,
		"starttls-old":         ErrRefused,
		"tls-alert":            ErrTLS,
	})
}

// TestNNTPBounds feeds a list that never comes to an end.
func TestNNTPBounds(t *testing.T) {
	for name, says := range map[string]string{
		"lines": "200 hello\r\n101 list\r\n" + strings.Repeat("STARTTLS\r\n", 2*MaxLines),
		"bytes": "200 hello\r\n101 list\r\n" + strings.Repeat("SASL "+strings.Repeat("x", 1000)+"\r\n", 100),
	} {
		conn := &scripted{said: []byte(says)}
		_, err := Client(context.Background(), conn, Find("nntp"), &Options{Host: "news.example.org"})
		if !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: error %v, want %v", name, err, ErrTooLong)
		}
		if conn.read > MaxBytes || string(conn.sent) != "CAPABILITIES\r\n" {
			t.Errorf("%s: read %d bytes, sent %q", name, conn.read, conn.sent)
		}
	}
}

func TestRecogniseNNTP(t *testing.T) {
	for greeting, want := range map[string]bool{
		"200 news.example.org InterNetNews ready\r\n": true,
		"201 no posting\r\n":                          true,
		"201\r\n":                                     true,
		"200-hello\r\n":                               false,
		"2000 hello\r\n":                              false,
		"202 hello\r\n":                               false,
		"400 no\r\n":                                  false,
		"200":                                         false,
		"":                                            false,
	} {
		checkRecognised(t, "nntp", greeting, want)
	}
}
