package negotiate

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func FuzzMTQP(f *testing.F) { fuzzUpgrade(f, "mtqp") }

// TestMTQPReasons checks that a caller can tell why there was no upgrade.
func TestMTQPReasons(t *testing.T) {
	checkReasons(t, "mtqp", map[string]error{
		"bad-fqdn":                   ErrRefused,
		"closed":                     ErrClosed,
		"closed-in-line":             ErrClosed,
		"glued":                      ErrUnexpected,
		"greeting-closed":            ErrClosed,
		"greeting-closed-in-options": ErrClosed,
		"greeting-other":             ErrUnexpected,
		"greeting-other-information": ErrUnexpected,
		"greeting-pop3":              ErrUnexpected,
		"many-lines":                 ErrUnexpected,
		"not-offered":                ErrNotOffered,
		"not-offered-argument":       ErrNotOffered,
		"not-offered-empty":          ErrNotOffered,
		"other":                      ErrUnexpected,
		"temporarily":                ErrRefused,
		"tls-alert":                  ErrTLS,
		"unavailable":                ErrRefused,
		"unavailable-temporarily":    ErrRefused,
		"unsupported":                ErrRefused,
	})
	for _, file := range []string{"behind-go-ahead", "go-ahead-ahead-of-time"} {
		x := readExchange(t, "testdata/mtqp/"+file+".txt")
		conn := &scripted{}
		for _, m := range x.moves {
			if m.server {
				conn.said = append(conn.said, m.text...)
			}
		}
		_, err := Client(context.Background(), conn, Find("mtqp"), &x.options)
		if c, ok := errors.AsType[*CleartextError](err); !ok || !c.Upgraded || len(c.Text) == 0 {
			t.Errorf("%s: error %v, want cleartext behind the go-ahead", file, err)
		}
	}
	_, err := Client(context.Background(), &scripted{said: []byte("-TEMP/MTQP/admin no\r\n")}, Find("mtqp"), &Options{Host: "mail.example.org"})
	if answer, ok := errors.AsType[*AnswerError](err); !ok || answer.Text != "-TEMP/MTQP/admin no" {
		t.Errorf("error %v, want the server's own words", err)
	}
}

// TestMTQPBounds feeds options that never come to an end.
func TestMTQPBounds(t *testing.T) {
	checkBounds(t, "mtqp", "+OK+/MTQP x\r\n"+strings.Repeat("x\r\n", 2*MaxLines), ErrTooLong, 2*4096)
	checkBounds(t, "mtqp", "+OK+/MTQP "+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
}

func TestRecogniseMTQP(t *testing.T) {
	for greeting, want := range map[string]bool{
		"+OK/MTQP MTQP server ready\r\n":  true,
		"+OK+/MTQP MTQP server ready\r\n": true,
		"+ok+/mtqp\r\n":                   true,
		"+OK POP3 ready\r\n":              false,
		"+OK+/MTQPX\r\n":                  false,
		"":                                false,
	} {
		checkRecognised(t, "mtqp", greeting, want)
		if want {
			checkRecognised(t, "pop3", greeting, false)
		}
	}
}

// TestMTQPName: the name that STARTTLS takes is a host's, and nothing is sent for any other.
func TestMTQPName(t *testing.T) {
	const says = "+OK+/MTQP ready\r\nSTARTTLS\r\n.\r\n+OK\r\n"
	for name, want := range map[string]string{
		"track.example.org":       "STARTTLS track.example.org\r\n",
		"192.0.2.7":               "STARTTLS 192.0.2.7\r\n",
		"a b":                     "",
		"a\r\nCOMMENT x":          "",
		"a/b":                     "",
		strings.Repeat("a.", 200): "",
	} {
		conn := &scripted{said: []byte(says)}
		_, err := Client(context.Background(), conn, Find("mtqp"), &Options{Host: "mail.example.org", Name: name})
		if own, refused := errors.AsType[*OptionError](err); string(conn.sent) != want || refused != (want == "") || refused && own.Field != "Name" {
			t.Errorf("%q: sent %q, error %v, want %q", name, conn.sent, err, want)
		}
	}
}
