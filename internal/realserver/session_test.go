package realserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"tlsup/negotiate"
)

// limit bounds what should not take long at all.
const limit = time.Minute

// A session is a TLS session with a server, or one in the clear with a tunnel.
type session struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

// dial connects to the port for a scheme. A server may close its port between connections.
func dial(t *testing.T, s *Server, scheme string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr(scheme))
	for deadline := time.Now().Add(limit); err != nil && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		conn, err = net.Dial("tcp", s.Addr(scheme))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// find returns the protocol that a scheme names.
func find(t *testing.T, scheme string) *negotiate.Protocol {
	t.Helper()
	p := negotiate.Find(scheme)
	if p == nil {
		t.Fatalf("no protocol is called %s", scheme)
	}
	return p
}

// upgrade dials, and performs the upgrade of a scheme for a host.
func upgrade(t *testing.T, s *Server, scheme, host string) (*negotiate.Upgraded, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return negotiate.Client(ctx, dial(t, s, scheme), find(t, scheme), &negotiate.Options{
		Host: host, Trace: func(l negotiate.Line) { t.Logf("%q", l.String()) },
	})
}

// open upgrades and shakes hands. The certificate is verified.
func open(t *testing.T, s *Server, scheme, host string) *session {
	t.Helper()
	up, err := upgrade(t, s, scheme, host)
	if err != nil {
		t.Fatal(err)
	}
	if up.ServerName != host {
		t.Errorf("the certificate would be verified for %q, want %q", up.ServerName, host)
	}
	conn := tls.Client(up, &tls.Config{ServerName: up.ServerName, RootCAs: s.CA.Pool(), NextProtos: find(t, scheme).ALPN})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	finished, err := up.Finish(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(limit))
	return &session{t: t, conn: conn, r: bufio.NewReader(finished)}
}

// say sends text as it is.
func (s *session) say(text string) {
	s.t.Helper()
	s.t.Logf("C: %q", text)
	if _, err := io.WriteString(s.conn, text); err != nil {
		s.t.Fatal(err)
	}
}

// hear reads up to a delimiter and returns all of it.
func (s *session) hear(delimiter string) string {
	s.t.Helper()
	var heard []byte
	for !strings.HasSuffix(string(heard), delimiter) {
		b, err := s.r.ReadByte()
		if err != nil {
			s.t.Fatalf("%q, then %v, while %q was due", heard, err, delimiter)
		}
		heard = append(heard, b)
	}
	s.t.Logf("S: %q", heard)
	return string(heard)
}

// expect reads a line, which has to start with prefix.
func (s *session) expect(prefix string) string {
	s.t.Helper()
	line := s.hear("\r\n")
	if !strings.HasPrefix(line, prefix) {
		s.t.Fatalf("%q, want %q", line, prefix)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// ask sends a command and reads its answer, which has to be one line that starts with prefix.
func (s *session) ask(command, prefix string) string {
	s.t.Helper()
	s.say(command + "\r\n")
	return s.expect(prefix)
}

// askAll sends a command and reads the lines of its answer, up to one that starts with last.
func (s *session) askAll(command, last string) []string {
	s.t.Helper()
	s.say(command + "\r\n")
	return s.all(last)
}

// all reads lines up to one that starts with last.
func (s *session) all(last string) []string {
	s.t.Helper()
	var lines []string
	for {
		lines = append(lines, strings.TrimSuffix(s.hear("\r\n"), "\r\n"))
		if strings.HasPrefix(lines[len(lines)-1], last) {
			return lines
		}
		if len(lines) == 100 {
			s.t.Fatalf("no line that starts with %q: %q", last, lines)
		}
	}
}

// end checks that the server says nothing more, and ends the session with close_notify.
func (s *session) end() {
	s.t.Helper()
	rest, err := io.ReadAll(s.r) // fails if there is no close_notify
	if len(rest) > 0 || err != nil {
		s.t.Errorf("at the end came %q, %v", rest, err)
	}
	s.conn.Close()
}

// mustOffer checks that a capability is among those offered.
func mustOffer(t *testing.T, offered []string, capability string, want bool) {
	t.Helper()
	if slices.ContainsFunc(offered, func(line string) bool { return strings.Contains(line, capability) }) != want {
		t.Errorf("%s is offered: %v, in %q", capability, !want, offered)
	}
}
