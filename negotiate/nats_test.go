package negotiate

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// TestNATSReasons checks that a caller can tell why there was no upgrade.
func TestNATSReasons(t *testing.T) {
	checkReasons(t, "nats", map[string]error{
		"not-offered":       ErrNotOffered,
		"error":             ErrRefused,
		"not-json":          ErrUnexpected,
		"required-no-truth": ErrUnexpected,
		"closed-in-line":    ErrClosed,
		"tls-alert":         ErrTLS,
	})
}

// TestNATSBounds feeds lines that are long, deep, or never come to an end.
func TestNATSBounds(t *testing.T) {
	checkBounds(t, "nats", `INFO {"tls_required":true,"connect_urls":["`+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
	checkBounds(t, "nats", `INFO {"x":`+strings.Repeat("[", MaxBytes/2)+"\r\n", ErrUnexpected, MaxBytes)
	checkBounds(t, "nats", `INFO {"tls_required":true,"x":`+strings.Repeat("[", MaxBytes/4)+strings.Repeat("]", MaxBytes/4)+"}\r\n", ErrUnexpected, MaxBytes)
	urls := `INFO {"tls_required":true,"connect_urls":["` + strings.Repeat(`192.0.2.1:4222","`, 2000) + `"]}` + "\r\n"
	if err := upgradeOf("nats", urls); err != nil {
		t.Errorf("a line of %d bytes: %v", len(urls), err)
	}
}

// upgradeOf returns the error of an upgrade by a server that says what it says.
func upgradeOf(name, says string) error {
	_, err := Client(context.Background(), &scripted{said: []byte(says)}, Find(name), &Options{Host: "mail.example.org"})
	return err
}

func FuzzNATS(f *testing.F) { fuzzUpgrade(f, "nats") }

// FuzzNATSGreeting checks what a tunnel's client is shown of INFO: one line, that is JSON and
// says nothing of TLS and of other addresses.
func FuzzNATSGreeting(f *testing.F) {
	for _, x := range exchanges(f, Find("nats")) {
		for _, m := range x.moves {
			f.Add(m.text)
		}
	}
	f.Fuzz(func(t *testing.T, line string) {
		c := newConn(&scripted{said: []byte(line)}, nil)
		o := &Options{Host: "mail.example.org"}
		if err := upgradeNATS(c, o); err != nil {
			return
		}
		object, ok := strings.CutPrefix(string(c.Greeting), "INFO ")
		object, ended := strings.CutSuffix(object, "\r\n")
		var shown map[string]any
		if !ok || !ended || strings.ContainsAny(object, "\r\n") || json.Unmarshal([]byte(object), &shown) != nil {
			t.Fatalf("a client is shown %q", c.Greeting)
		}
		if shown["host"] != o.Host || shown["port"] != 4222.0 || len(c.Greeting) > 4096 {
			t.Errorf("a client is shown %q", c.Greeting)
		}
		for key := range shown {
			if strings.HasPrefix(key, "tls") || strings.HasSuffix(key, "urls") {
				t.Errorf("a client is shown %s", key)
			}
		}
	})
}
