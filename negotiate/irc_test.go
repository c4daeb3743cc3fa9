package negotiate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

func FuzzIRC(f *testing.F) { fuzzUpgrade(f, "irc") }

// TestIRCReasons checks that a caller can tell why there was no upgrade.
func TestIRCReasons(t *testing.T) {
	checkReasons(t, "irc", map[string]error{
		"cap-410":           ErrRefused,
		"cap-welcome":       ErrUnexpected,
		"closed":            ErrClosed,
		"error":             ErrRefused,
		"not-offered":       ErrNotOffered,
		"ping-too-often":    ErrUnexpected,
		"starttls-421":      ErrRefused,
		"starttls-text":     ErrUnexpected,
		"tls-alert":         ErrTLS,
		"closed-at-upgrade": ErrClosed,
	})
}

// TestIRCBounds feeds a server that never comes to an end.
func TestIRCBounds(t *testing.T) {
	for name, says := range map[string]string{
		"notices": strings.Repeat(":irc NOTICE * :hello\r\n", 2*MaxLines),
		"list":    strings.Repeat(":irc CAP * LS * :tls\r\n", 2*MaxLines),
		"line":    ":irc CAP * LS :" + strings.Repeat("x", 2*MaxBytes),
	} {
		conn := &scripted{said: []byte(says)}
		_, err := Client(context.Background(), conn, Find("irc"), &Options{Host: "irc.example.org"})
		if !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: error %v, want %v", name, err, ErrTooLong)
		}
		if conn.read > MaxBytes || string(conn.sent) != "CAP LS 302\r\n" {
			t.Errorf("%s: read %d bytes, sent %q", name, conn.read, conn.sent)
		}
	}
}

func TestParseIRC(t *testing.T) {
	for line, want := range map[string][]string{
		":srv 670 * :go ahead":        {"670", "*", "go ahead"},
		"@a=b;c :srv CAP * LS :tls":   {"CAP", "*", "LS", "tls"},
		"@a=b  :srv  cap  *  LS  tls": {"CAP", "*", "LS", "tls"},
		"PING x":                      {"PING", "x"},
		"PING :":                      {"PING", ""},
		"PING : a : b":                {"PING", " a : b"},
		"NOTICE":                      {"NOTICE"},
		":srv":                        {""},
		"@tags":                       {""},
		"@tags :srv":                  {""},
		":srv :text":                  {":TEXT"},
		"":                            {""},
	} {
		m := parseIRC(line)
		if got := append([]string{m.command}, m.params...); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
		if m.line != line {
			t.Errorf("%q is kept as %q", line, m.line)
		}
	}
}

func TestRecogniseIRC(t *testing.T) {
	for greeting, want := range map[string]bool{
		":irc.example.org NOTICE * :*** Looking up your hostname...\r\n": true,
		"NOTICE AUTH :*** Looking up your hostname\r\n":                  true,
		":irc.example.org 020 * :Please wait\r\n":                        true,
		"ERROR :Closing Link: 192.0.2.1 (Too fast)\r\n":                  true,
		"ERROR :no\r\n":              false,
		"NOTICE you :hello\r\n":      false,
		"NOTICE\r\n":                 false,
		":irc.example.org 001 you\n": false,
		"":                           false,
	} {
		checkRecognised(t, "irc", greeting, want)
	}
}
