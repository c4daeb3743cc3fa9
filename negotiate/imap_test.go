package negotiate

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzIMAP(f *testing.F) { fuzzUpgrade(f, "imap") }

// TestIMAPReasons checks that a caller can tell why there was no upgrade.
func TestIMAPReasons(t *testing.T) {
	checkReasons(t, "imap", map[string]error{
		"bye-at-capability":             ErrRefused,
		"bye-at-upgrade":                ErrRefused,
		"capability-bad":                ErrRefused,
		"capability-continuation":       ErrUnexpected,
		"capability-literal":            ErrUnexpected,
		"capability-no":                 ErrRefused,
		"capability-wrong-tag":          ErrUnexpected,
		"closed-at-upgrade":             ErrClosed,
		"greeting-bye":                  ErrRefused,
		"greeting-no":                   ErrUnexpected,
		"greeting-preauth":              ErrRefused,
		"not-offered":                   ErrNotOffered,
		"not-offered-but-in-greeting":   ErrNotOffered,
		"preauth-at-upgrade":            ErrRefused,
		"preauth-late":                  ErrRefused,
		"starttls-bad":                  ErrRefused,
		"starttls-literal":              ErrUnexpected,
		"starttls-no":                   ErrRefused,
		"tls-alert":                     ErrTLS,
		"not-offered-in-other-data":     ErrNotOffered,
		"capability-continuation-alone": ErrUnexpected,
	})
}

// checkReasons plays recorded exchanges and expects each to end with its reason, and
// nothing to be said that the exchange does not have.
func checkReasons(t *testing.T, name string, reasons map[string]error) {
	t.Helper()
	for file, want := range reasons {
		t.Run(file, func(t *testing.T) {
			x := readExchange(t, filepath.Join("testdata", name, file+".txt"))
			var says, expected strings.Builder
			for _, m := range x.moves {
				if m.server {
					says.WriteString(m.text)
				} else {
					expected.WriteString(m.text)
				}
			}
			conn := &scripted{said: []byte(says.String())}
			_, err := Client(context.Background(), conn, Find(name), &x.options)
			if !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
			if string(conn.sent) != expected.String() {
				t.Errorf("the client said %q, want %q", conn.sent, expected.String())
			}
		})
	}
}

// TestIMAPBounds feeds a server that never comes to an end.
func TestIMAPBounds(t *testing.T) {
	for name, says := range map[string]string{
		"lines":           "* OK ready\r\n" + strings.Repeat("* 1 EXISTS\r\n", 2*MaxLines),
		"one line":        "* OK " + strings.Repeat("x", 2*MaxBytes),
		"bytes":           "* OK ready\r\n" + strings.Repeat("* X "+strings.Repeat("x", 1000)+"\r\n", 100),
		"lines, greeting": strings.Repeat("\r\n", 2*MaxLines),
	} {
		want := ErrTooLong
		if name == "lines, greeting" {
			want = ErrUnexpected // an empty line is no greeting, and nothing behind it is read
		}
		conn := &scripted{said: []byte(says)}
		_, err := Client(context.Background(), conn, Find("imap"), &Options{Host: "mail.example.org"})
		if !errors.Is(err, want) {
			t.Errorf("%s: error %v, want %v", name, err, want)
		}
		if conn.read > MaxBytes {
			t.Errorf("%s: read %d bytes", name, conn.read)
		}
	}
}

func TestRecogniseIMAP(t *testing.T) {
	for greeting, want := range map[string]bool{
		"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n": true,
		"* ok ready\r\n":                 true,
		"* PREAUTH hello\r\n":            true,
		"* BYE too many connections\r\n": true,
		"* OK [":                         true,
		"* OK MUPDATE \"mail\" \"Cyrus\" \"v3\" \"(master)\"\r\n": false,
		"* AUTH PLAIN\r\n* STARTTLS\r\n* OK MUPDATE \"mail\"\r\n": false,
		"* ACAP (STARTTLS)\r\n":                                   false,
		"* OKAY ready\r\n":                                        false,
		"*OK ready\r\n":                                           false,
		"+OK ready\r\n":                                           false,
		"220 ready\r\n":                                           false,
		"* OK":                                                    false,
		"*":                                                       false,
		"":                                                        false,
	} {
		checkRecognised(t, "imap", greeting, want)
	}
}

func checkRecognised(t *testing.T, name, greeting string, want bool) {
	t.Helper()
	got := false
	for _, p := range Recognise([]byte(greeting), 0) {
		got = got || p.Name == name
	}
	if got != want {
		t.Errorf("%s recognised in %q: %v, want %v", name, greeting, got, want)
	}
}
