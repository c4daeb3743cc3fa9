package negotiate

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func FuzzFTP(f *testing.F) { fuzzUpgrade(f, "ftp") }

// TestFTPReasons checks that a caller can tell why there was no upgrade.
func TestFTPReasons(t *testing.T) {
	checkReasons(t, "ftp", map[string]error{
		"auth-200":         ErrUnexpected,
		"auth-530":         ErrRefused,
		"closed-in-line":   ErrClosed,
		"greeting-refused": ErrRefused,
		"patience-twice":   ErrUnexpected,
		"tls-alert":        ErrTLS,
	})
}

// TestFTPBounds feeds a greeting that never comes to an end.
func TestFTPBounds(t *testing.T) {
	for name, says := range map[string]string{
		"lines": "220-hello\r\n" + strings.Repeat("x\r\n", 2*MaxLines),
		"line":  "220-hello\r\n" + strings.Repeat("x", 2*MaxBytes),
		"bytes": "220-hello\r\n" + strings.Repeat(strings.Repeat("x", 1000)+"\r\n", 100),
	} {
		conn := &scripted{said: []byte(says)}
		_, err := Client(context.Background(), conn, Find("ftp"), &Options{Host: "ftp.example.org"})
		if !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: error %v, want %v", name, err, ErrTooLong)
		}
		if conn.read > MaxBytes || len(conn.sent) > 0 {
			t.Errorf("%s: read %d bytes, sent %q", name, conn.read, conn.sent)
		}
	}
}

// TestRecognise220: FTP and SMTP greet with the same number. Where the text leaves no doubt
// it is one of them; else a domain at its beginning speaks for SMTP alone.
func TestRecognise220(t *testing.T) {
	for greeting, want := range map[string]string{
		"220 (vsFTPd 3.0.3)\r\n": "ftp",
		"220---------- Welcome to Pure-FTPd [privsep] [TLS] ----------\r\n": "ftp",
		"220 ProFTPD Server (Debian) [::ffff:192.0.2.1]\r\n":                "ftp",
		"220-FileZilla Server 1.7.2\r\n":                                    "ftp",
		"220 ftp.example.org ready\r\n":                                     "ftp",
		"120 ready in 5 minutes\r\n":                                        "ftp",
		"220 Welcome\r\n":                                                   "ftp smtp",
		"220\r\n":                                                           "smtp",
		"220 mail.example.org ready\r\n":                                    "smtp",
		"220 [192.0.2.1] ready\r\n":                                         "smtp",
		"220 mail ESMTP\r\n":                                                "smtp",
		"220 mail LMTP\r\n":                                                 "lmtp",
		"120\r\n":                                                           "",
		"220x\r\n":                                                          "smtp",
		"421 no\r\n":                                                        "",
		"":                                                                  "",
	} {
		for _, name := range []string{"ftp", "smtp", "lmtp"} {
			checkRecognised(t, name, greeting, strings.Contains(" "+want+" ", " "+name+" "))
		}
	}
}
