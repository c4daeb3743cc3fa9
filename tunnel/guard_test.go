package tunnel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tlsup/internal/connect"
)

// upgrades are what servers say up to their go-ahead, a line of the client's between each.
var upgrades = map[string][]string{
	"smtp": {"220 mail.example.org ESMTP\r\n", "250-mail.example.org\r\n250 STARTTLS\r\n", "220 go ahead\r\n"},
	"imap": {"* OK ready\r\n", "* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK done\r\n", "a2 OK go ahead\r\n"},
	"pop3": {"+OK ready\r\n", "+OK\r\nSTLS\r\n.\r\n", "+OK go ahead\r\n"},
}

// injected is what somebody on the way says behind the go-ahead.
const injected = "220 injected\r\n* OK injected\r\n+OK injected\r\n"

// injections are the moments at which that arrives.
var injections = map[string]func(conn net.Conn, goAhead string){
	"in the go-ahead's segment": func(conn net.Conn, goAhead string) { io.WriteString(conn, goAhead+injected) },
	"in the next segment": func(conn net.Conn, goAhead string) {
		io.WriteString(conn, goAhead)
		io.WriteString(conn, injected)
	},
	"behind the ClientHello": func(conn net.Conn, goAhead string) {
		io.WriteString(conn, goAhead)
		io.ReadFull(conn, make([]byte, 5))
		io.WriteString(conn, injected)
	},
}

// injecting is the pair that leads to a server of that name, with something injected. The server goes
// when the tunnel does.
func injecting(t *testing.T, name string, inject func(net.Conn, string)) Pair {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		lines := bufio.NewReader(conn)
		answers := slices.Clone(upgrades[name])
		goAhead := answers[len(answers)-1]
		for _, answer := range answers[:len(answers)-1] {
			io.WriteString(conn, answer)
			if _, err := lines.ReadString('\n'); err != nil {
				return
			}
		}
		inject(conn, goAhead)
		io.Copy(io.Discard, conn)
	}()
	pair := to(t, name, serve(t, name))
	pair.Target.Port = l.Addr().(*net.TCPAddr).Port
	return pair
}

// TestInjection: what arrives in the clear behind the go-ahead never reaches the local client, whenever
// it does, and ends the connection.
func TestInjection(t *testing.T) {
	for name := range upgrades {
		for when, inject := range injections {
			for _, raw := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/raw=%v", name, when, raw), func(t *testing.T) {
					t.Parallel()
					pair := injecting(t, name, inject)
					pair.Raw = raw
					b := start(t, pair, nil)
					client := dial(t, b)
					if raw {
						io.WriteString(client, "\x16\x03\x01\x00\x80\x01\x00\x00\x7c\x03\x03")
					}
					if got, err := io.ReadAll(client); len(got) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
						t.Errorf("the client hears %q, %v", got, err)
					}
					if err := b.end(t); err != nil {
						t.Error(err)
					}
					end := "failed"
					if raw && b.journal.count(end) == 0 { // it had been opened
						end = "closed"
					}
					line := b.journal.await(t, end, 1)
					if text, _ := line["error"].(string); !strings.Contains(text, "cleartext") || line["step"] != nil && line["step"] != string(connect.Upgrade) {
						t.Errorf("log: %v", line)
					}
				})
			}
		}
	}
}
