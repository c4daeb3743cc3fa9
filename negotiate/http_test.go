package negotiate

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func FuzzHTTP(f *testing.F) { fuzzUpgrade(f, "http") }

func FuzzHTTPInside(f *testing.F) { fuzzInside(f, "http") }

// TestHTTPReasons checks that a caller can tell why there was no upgrade.
func TestHTTPReasons(t *testing.T) {
	checkReasons(t, "http", map[string]error{
		"bad-request":          ErrRefused,
		"closed-in-fields":     ErrClosed,
		"field-folded":         ErrUnexpected,
		"ignored":              ErrNotOffered,
		"redirect":             ErrRefused,
		"switch-to-websocket":  ErrUnexpected,
		"switch-without-field": ErrUnexpected,
		"tls-alert":            ErrTLS,
		"upgrade-required":     ErrRefused,
	})
}

// TestHTTPBounds feeds answers that never come to an end, in the clear and inside TLS.
func TestHTTPBounds(t *testing.T) { testHTTPBounds(t, Find("http")) }
func TestIPPBounds(t *testing.T)  { testHTTPBounds(t, Find("ipp")) }

func testHTTPBounds(t *testing.T, p *Protocol) {
	for name, says := range map[string]string{
		"fields":  "HTTP/1.1 101 Switching Protocols\r\n" + strings.Repeat("Upgrade: TLS/1.0\r\n", 2*MaxLines),
		"field":   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: " + strings.Repeat("x", 2*MaxBytes),
		"interim": strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", MaxLines),
		"chunks":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", MaxLines),
		"content": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n", 17),
		"trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("A: b\r\n", 2*MaxLines),
	} {
		for place, part := range map[string]func(*Conn, *Options) error{"clear": p.Upgrade, "inside": p.Inside} {
			if place == "clear" && strings.HasPrefix(says, "HTTP/1.1 200") {
				continue
			}
			conn := &scripted{said: []byte(says)}
			c := newConn(conn, nil)
			err := c.run(context.Background(), p, func() error { return part(c, &Options{Name: "www.example.org"}) })
			if !errors.Is(err, ErrTooLong) {
				t.Errorf("%s, %s: error %v, want %v", name, place, err, ErrTooLong)
			}
			if conn.read > MaxBytes {
				t.Errorf("%s, %s: read %d bytes", name, place, conn.read)
			}
		}
	}
}

func TestHTTPHost(t *testing.T) {
	for name, want := range map[string]string{
		"www.example.org":     "www.example.org",
		"a_b.example":         "a_b.example",
		"192.0.2.1":           "192.0.2.1",
		"2001:db8::1":         "[2001:db8::1]",
		"b\u00fccher.example": "xn--bcher-kva.example",
		"a:b":                 "",
		"a b":                 "",
		"":                    "",
	} {
		got, err := httpHost(&Options{Name: name})
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestRecogniseHTTP(t *testing.T) {
	for greeting, want := range map[string]bool{
		"HTTP/1.1 400 Bad Request\r\nServer: x\r\n": true,
		"HTTP/1.0 200 OK\n":                         true,
		"HTTP/1.1 400\r\n":                          true,
		"HTTP/1.1 400 Bad Req":                      false,
		"HTTP/2 400\r\n":                            false,
		"HTTP/1.1 999 x\r\n":                        false,
		"<html>\r\n":                                false,
		"220 HTTP/1.1 200 OK\r\n":                   false,
		"":                                          false,
	} {
		checkRecognised(t, "http", greeting, want)
	}
}
