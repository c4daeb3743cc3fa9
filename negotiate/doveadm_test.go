package negotiate

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
)

func FuzzDoveadm(f *testing.F) { fuzzUpgrade(f, "doveadm") }

// TestDoveadmReasons checks that a caller can tell why there was no upgrade.
func TestDoveadmReasons(t *testing.T) {
	checkReasons(t, "doveadm", map[string]error{
		"not-offered":            ErrNotOffered,
		"not-offered-no-version": ErrNotOffered,
		"open":                   ErrNotOffered,
		"other-major":            ErrUnexpected,
		"hyphen-words":           ErrUnexpected,
		"closed-in-line":         ErrClosed,
		"tls-alert":              ErrTLS,
	})
}

// TestDoveadmBounds feeds a line that never comes to an end.
func TestDoveadmBounds(t *testing.T) {
	checkBounds(t, "doveadm", "VERSION\t"+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
}

// TestDoveadmLead leads clients of several versions.
func TestDoveadmLead(t *testing.T) {
	const answer = "VERSION\tdoveadm-client\t1\t3\n-\n"
	for name, test := range map[string]struct {
		asks, answers string
		want          error
		local         bool
	}{
		"2.3":        {"VERSION\tdoveadm-server\t1\t2\n", answer, nil, false},
		"2.4":        {"VERSION\tdoveadm-server\t1\t4\n", answer, nil, false},
		"at once":    {"VERSION\tdoveadm-server\t1\t2\nPLAIN\tx\n", answer, nil, false},
		"2.2":        {"VERSION\tdoveadm-server\t1\t1\n", "", ErrUnexpected, true},
		"other":      {"EHLO x\r\n", "", ErrUnexpected, true},
		"TLS":        {"\x16\x03\x01\x00\xc4\x01", "", ErrTLS, true},
		"ends":       {"", "", io.EOF, true},
		"old server": {"VERSION\tdoveadm-server\t1\t2\n", "VERSION\tdoveadm-client\t1\t1\n-\n", ErrNotOffered, false},
	} {
		t.Run(name, func(t *testing.T) {
			client, near := pair(t)
			far, server := pair(t)
			for _, conn := range []io.ReadWriteCloser{client, server} {
				conn.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(20 * time.Second))
			}
			io.WriteString(client, test.asks)
			client.(interface{ CloseWrite() error }).CloseWrite()
			io.WriteString(server, test.answers)
			up, err := Client(t.Context(), far, Find("doveadm"), &Options{Host: "mail.example.org", Local: &Local{Conn: near}})
			if !errors.Is(err, test.want) || errors.As(err, new(*LocalError)) != test.local {
				t.Fatalf("error %v, want %v, of the client: %v", err, test.want, test.local)
			}
			if err != nil {
				return
			}
			version, rest, _ := strings.Cut(test.asks, "\n")
			hears := version + "\nSTARTTLS\n"
			b := make([]byte, len(hears))
			if _, err := io.ReadFull(server, b); err != nil || string(b) != hears {
				t.Errorf("the server heard %q, %v, want %q", b, err, hears)
			}
			ours, _, err := up.Lead(t.Context(), far)
			if err != nil {
				t.Fatal(err)
			}
			b = make([]byte, len(answer))
			if _, err := io.ReadFull(client, b); err != nil || string(b) != answer {
				t.Errorf("the client was told %q, %v, want %q", b, err, answer)
			}
			if left, err := io.ReadAll(ours); err != nil || string(left) != rest {
				t.Errorf("the session begins with %q, %v, want %q", left, err, rest)
			}
		})
	}
}

// FuzzDoveadmClient feeds a client's bytes to the upgrade. Whatever they are, the server hears of a
// version, or of nothing.
func FuzzDoveadmClient(f *testing.F) {
	f.Add([]byte("VERSION\tdoveadm-server\t1\t2\nPLAIN\tx\n"))
	f.Add([]byte("VERSION\tdoveadm-server\t1\t999999\r\n"))
	f.Add([]byte("EHLO x\r\n"))
	hears := regexp.MustCompile(`^VERSION\tdoveadm-server\t1\t[0-9]{1,6}\n(STARTTLS\n)?$`)
	f.Fuzz(func(t *testing.T, said []byte) {
		server, err := fuzzLocal(t, "doveadm", said, []byte("VERSION\tdoveadm-client\t1\t3\n-\n"))
		if sent := string(server.sent); sent == "" && err == nil || sent != "" && !hears.MatchString(sent) {
			t.Errorf("the server is sent %q, %v", sent, err)
		}
	})
}
