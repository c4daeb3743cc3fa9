package negotiate

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func FuzzPOP3(f *testing.F) { fuzzUpgrade(f, "pop3") }

// TestPOP3Reasons checks that a caller can tell why there was no upgrade.
func TestPOP3Reasons(t *testing.T) {
	checkReasons(t, "pop3", map[string]error{
		"capa-neither":           ErrUnexpected,
		"closed-in-list":         ErrClosed,
		"greeting-err":           ErrRefused,
		"greeting-okay":          ErrUnexpected,
		"not-offered":            ErrNotOffered,
		"not-offered-empty-list": ErrNotOffered,
		"stls-err":               ErrRefused,
		"stls-err-no-capa":       ErrRefused,
		"stls-neither":           ErrUnexpected,
		"tls-alert":              ErrTLS,
	})
}

// TestPOP3Bounds feeds a list that never comes to an end.
func TestPOP3Bounds(t *testing.T) {
	for name, says := range map[string]string{
		"lines": "+OK\r\n+OK\r\n" + strings.Repeat("STLS\r\n", 2*MaxLines) + ".\r\n+OK\r\n",
		"bytes": "+OK\r\n+OK\r\n" + strings.Repeat("SASL "+strings.Repeat("x", 1000)+"\r\n", 100) + ".\r\n",
	} {
		conn := &scripted{said: []byte(says)}
		_, err := Client(context.Background(), conn, Find("pop3"), &Options{Host: "mail.example.org"})
		if !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: error %v, want %v", name, err, ErrTooLong)
		}
		if conn.read > MaxBytes {
			t.Errorf("%s: read %d bytes", name, conn.read)
		}
		if got := string(conn.sent); got != "CAPA\r\n" {
			t.Errorf("%s: the client said %q", name, got)
		}
	}
}

func TestAPOPStamp(t *testing.T) {
	local := strings.Repeat("l", maxStamp-len("<@example.org>"))
	for greeting, want := range map[string]string{
		"POP3 ready <1896.697170952@dbc.mtview.ca.us>": "<1896.697170952@dbc.mtview.ca.us>",
		"<1@[192.0.2.1]>":  "<1@[192.0.2.1]>",
		"a<b> <c@d> <e@f>": "<c@d>",
		"<<a@b>>":          "<a@b>",
		"<1d1f.1.52d7e1a5.tGL2fZBFTfmHhKl3vIlNXw==@localhost>": "<1d1f.1.52d7e1a5.tGL2fZBFTfmHhKl3vIlNXw==@localhost>",
		"<" + local + "@example.org>":                          "<" + local + "@example.org>",
		"<" + local + "l@example.org>":                         "",
		"ready":                                                "",
		"<a>":                                                  "",
		"<@b>":                                                 "",
		"<a@>":                                                 "",
		"<@>":                                                  "",
		"<>":                                                   "",
		"<a@b@c>":                                              "",
		"<a b@c>":                                              "",
		"<a\x1b[2J@c>":                                         "",
		"<a@c\x7f>":                                            "",
		"<a\x00@c>":                                            "",
		"<\xe9@c>":                                             "",
		"<é@c>":                                                "",
		"<a@b":                                                 "",
		"a@b>":                                                 "",
		"":                                                     "",
	} {
		if got := apopStamp(greeting); got != want {
			t.Errorf("stamp of %q: %q, want %q", greeting, got, want)
		}
	}
}

// FuzzAPOPStamp checks that a stamp can't carry anything but what a msg-id consists of,
// and that it is found again wherever it stands.
func FuzzAPOPStamp(f *testing.F) {
	for _, s := range []string{"POP3 ready <1896.697170952@mail.example.org>", "<<a@b>>", "<a@b@c>", "<a\r\n@b>", "<é@ü>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, greeting string) {
		stamp := apopStamp(greeting)
		if stamp == "" {
			return
		}
		if !strings.Contains(greeting, stamp) {
			t.Fatalf("%q is not in %q", stamp, greeting)
		}
		if len(stamp) > 128 {
			t.Errorf("%d bytes: %q", len(stamp), stamp)
		}
		for i, b := range []byte(stamp) {
			edge := i == 0 || i == len(stamp)-1
			if b <= ' ' || b >= 0x7f || (b == '<' || b == '>') != edge {
				t.Errorf("byte %d of %q", i, stamp)
			}
		}
		if at := strings.Index(stamp, "@"); at < 2 || at > len(stamp)-3 || strings.Count(stamp, "@") != 1 {
			t.Errorf("no local@domain: %q", stamp)
		}
		if again := apopStamp("ready " + stamp); again != stamp {
			t.Errorf("%q is found again as %q", stamp, again)
		}
	})
}

func TestRecognisePOP3(t *testing.T) {
	for greeting, want := range map[string]bool{
		"+OK POP3 ready\r\n":                   true,
		"+OK\r\n":                              true,
		"+OK\n":                                true,
		"+OK":                                  true,
		"+OKAY\r\n":                            false,
		"+ok ready\r\n":                        false,
		"-ERR no\r\n":                          false,
		"-ERR Input buffer full, aborting\r\n": true, // Dovecot
		"+O":                                   false,
		"":                                     false,
		"* OK ready\r\n":                       false,
	} {
		checkRecognised(t, "pop3", greeting, want)
	}
}
