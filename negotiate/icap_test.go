package negotiate

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func FuzzICAP(f *testing.F) { fuzzUpgrade(f, "icap") }

func FuzzICAPInside(f *testing.F) { fuzzInside(f, "icap") }

// TestICAPReasons checks that a caller can tell why there was no upgrade.
func TestICAPReasons(t *testing.T) {
	checkReasons(t, "icap", map[string]error{
		"bad-request":      ErrRefused,
		"closed-in-fields": ErrClosed,
		"http":             ErrUnexpected,
		"ignored":          ErrNotOffered,
		"not-found":        ErrRefused,
		"switch-to-other":  ErrUnexpected,
		"tls-alert":        ErrTLS,
		"upgrade-required": ErrRefused,
	})
}

// TestICAPBounds feeds answers that never come to an end.
func TestICAPBounds(t *testing.T) {
	p := Find("icap")
	chunked := "ICAP/1.0 200 OK\r\nEncapsulated: opt-body=0\r\n\r\n"
	for name, says := range map[string]string{
		"fields":  "ICAP/1.0 200 OK\r\n" + strings.Repeat("Encapsulated: null-body=0\r\n", 2*MaxLines),
		"interim": strings.Repeat("ICAP/1.0 100 Continue\r\n\r\n", MaxLines),
		"chunks":  chunked + strings.Repeat("1\r\nx\r\n", MaxLines),
		"trailer": chunked + "0\r\n" + strings.Repeat("A: b\r\n", 2*MaxLines),
	} {
		conn := &scripted{said: []byte(says)}
		c := newConn(conn, nil)
		err := c.run(context.Background(), p, func() error { return p.Inside(c, &Options{}) })
		if !errors.Is(err, ErrTooLong) || conn.read > MaxBytes {
			t.Errorf("%s: error %v behind %d bytes, want %v", name, err, conn.read, ErrTooLong)
		}
	}
}

func TestRecogniseICAP(t *testing.T) {
	for greeting, want := range map[string]bool{
		"ICAP/1.0 400 Bad request\r\nServer: x\r\n": true,
		"ICAP/1.0 400\n":               true,
		"ICAP/1.0 400 Bad req":         false,
		"ICAP/1.1 400 Bad request\r\n": false,
		"HTTP/1.1 400 Bad Request\r\n": false,
		"":                             false,
	} {
		checkRecognised(t, "icap", greeting, want)
	}
}
