package testserver

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"tlsup/negotiate"
)

// TestServers holds a session with every server, over the upgrade where there is one.
func TestServers(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := negotiate.Find(name)
			if p == nil {
				t.Fatal("a server for a protocol that is not registered")
			}
			session, traced, _ := open(t, p)
			end := "\r\n"
			if PacketsOf(name) != nil {
				end = ""
			}
			for _, line := range Talk(name) {
				if _, err := io.WriteString(session, line+end); err != nil {
					t.Fatal(err)
				}
			}
			if err := session.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			// An end without close_notify would be io.ErrUnexpectedEOF.
			answer, err := io.ReadAll(session)
			if err != nil {
				t.Errorf("the session ended with %v behind %q", err, answer)
			}
			if n := strings.Count(string(answer), "\n"); p.Lines && n < len(Talk(name)) || len(answer) == 0 && name != "syslog-tls" && name != "ipfixs" { // which say nothing at all
				t.Errorf("%d lines were answered with %q", len(Talk(name)), answer)
			}
			for _, r := range p.Remarks {
				if !slices.ContainsFunc(traced, func(line string) bool { return strings.HasPrefix(line, r.Prefix) }) {
					t.Errorf("the remark on %q has no line in\n%s", r.Prefix, strings.Join(traced, "\n"))
				}
			}
			if p.Upgrade != nil && len(traced) == 0 {
				t.Error("an upgrade without a line of cleartext")
			}
		})
	}
}

// open starts a server and opens a session with it. It returns what was exchanged in
// the clear, and what a tunnel's client would be shown.
func open(t *testing.T, p *negotiate.Protocol) (session net.Conn, traced []string, greeting string) {
	t.Helper()
	s, conn := dial(t, p.Name)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	o := &negotiate.Options{Host: Host, Trace: func(l negotiate.Line) { traced = append(traced, l.String()) }}
	switch p.Names {
	case negotiate.OwnName:
		o.Name = "client.example.org"
	case negotiate.ServiceDomain:
		o.Host = "example.org"
	}
	up, err := negotiate.Client(ctx, conn, p, o)
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(traced, "\n"))
	}
	tc := tls.Client(up, &tls.Config{ServerName: up.ServerName, RootCAs: s.CA.Pool(), NextProtos: p.ALPN, MaxVersion: p.MaxVersion})
	if err := tc.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	session, err = up.Finish(ctx, tc)
	if err != nil {
		t.Fatal(err)
	}
	return session, traced, string(up.Greeting)
}

// dial starts a server and connects to it. A server that hangs ends the test.
func dial(t *testing.T, name string) (*Server, net.Conn) {
	t.Helper()
	s, err := Start(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	conn, err := net.Dial("tcp", s.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return s, conn
}

// converse leads a dialogue of lines "C: said" and "S: expected", in which "..." at the
// end stands for anything, and "close" for the server's end.
func converse(t *testing.T, conn net.Conn, dialogue string) {
	t.Helper()
	r := bufio.NewReader(conn)
	for line := range strings.Lines(strings.TrimSpace(dialogue)) {
		line = strings.TrimSpace(line)
		if line == "C:" || line == "S:" {
			line += " "
		}
		if said, ok := strings.CutPrefix(line, "C: "); ok {
			if _, err := io.WriteString(conn, said+"\r\n"); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := r.ReadString('\n')
		if line == "close" {
			if got != "" || err != io.EOF {
				t.Errorf("in place of the end: %q, %v", got, err)
			}
			return
		}
		want, ok := strings.CutPrefix(line, "S: ")
		if !ok {
			t.Fatalf("a line that says nothing: %q", line)
		}
		start, partly := strings.CutSuffix(want, "...")
		if !strings.HasSuffix(got, "\r\n") || partly && !strings.HasPrefix(got, start) || !partly && got != want+"\r\n" {
			t.Fatalf("the server said %q (%v), want %q", got, err, want)
		}
	}
}

// TestClear says things in the clear that are not the way to TLS.
func TestClear(t *testing.T) {
	for name, dialogue := range map[string]string{
		"imap": `
			S: * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] mail.example.org ready
			C: x capability
			S: * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED
			S: x OK done
			C: a LOGIN demo demo
			S: a NO [PRIVACYREQUIRED] not in the clear
			C: b AUTHENTICATE PLAIN
			S: b NO [PRIVACYREQUIRED] not in the clear
			C: c NOOP
			S: c OK done
			C: d SELECT INBOX
			S: d BAD command not known
			C: e
			S: * BAD a tag and a command are wanted
			C: f LOGOUT
			S: * BYE logging out
			S: f OK done
			close`,
		"pop3": `
			S: +OK POP3 ready <...
			C: capa
			S: +OK
			S: STLS
			S: PIPELINING
			S: .
			C: USER demo
			S: -ERR not in the clear, say STLS
			C: PASS demo
			S: -ERR not in the clear, say STLS
			C: APOP demo c4c9334bac560ecc979e58001b3e22fb
			S: -ERR not in the clear, say STLS
			C: STAT
			S: -ERR command not known, or not before a login
			C: QUIT
			S: +OK bye
			close`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, name)
			converse(t, conn, dialogue)
		})
	}
}

// TestInside holds sessions inside TLS.
func TestInside(t *testing.T) {
	const imap = `
		C: a CAPABILITY
		S: * CAPABILITY IMAP4rev1
		S: a OK done
		C: b STARTTLS
		S: b BAD TLS is active
		C: c LOGIN demo wrong
		S: c NO [AUTHENTICATIONFAILED] wrong name or password
		C: d LOGIN "demo" "demo"
		S: d OK logged in
		C: e LOGOUT
		S: * BYE logging out
		S: e OK done
		close`
	const pop3 = `
		C: CAPA
		S: +OK
		S: USER
		S: PIPELINING
		S: .
		C: STLS
		S: -ERR Command not permitted when TLS active
		C: STAT
		S: -ERR command not known, or not before a login
		C: PASS demo
		S: -ERR wrong name or password
		C: USER demo
		S: +OK now the password
		C: PASS wrong
		S: -ERR wrong name or password
		C: USER demo
		S: +OK now the password
		C: PASS demo
		S: +OK 0 messages
		C: STAT
		S: +OK 0 0
		C: LIST
		S: +OK 0 messages
		S: .
		C: LIST 1
		S: -ERR no such message
		C: RETR 1
		S: -ERR no such message
		C: NOOP
		S: +OK
		C: USER demo
		S: -ERR command not known, or not after a login
		C: QUIT
		S: +OK bye
		close`
	for name, dialogue := range map[string]string{
		"imap":  imap,
		"imaps": "S: * OK [CAPABILITY IMAP4rev1] mail.example.org ready\n" + imap[1:],
		"pop3":  pop3,
		"pop3s": "S: +OK POP3 ready <...\n" + pop3[1:],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find(name))
			converse(t, session, dialogue)
		})
	}
}

// TestAPOP logs in with the stamp that a tunnel's client is shown.
func TestAPOP(t *testing.T) {
	session, traced, greeting := open(t, negotiate.Find("pop3"))
	stamp, ok := strings.CutPrefix(strings.TrimSuffix(greeting, "\r\n"), "+OK ready ")
	if !ok || traced[0] != "S: +OK POP3 ready "+stamp {
		t.Fatalf("the server greeted with %q, a client is shown %q", traced[0], greeting)
	}
	converse(t, session, fmt.Sprintf(`
		C: APOP demo %x
		S: -ERR wrong name or password
		C: APOP demo %x
		S: +OK 0 messages
		C: QUIT
		S: +OK bye
		close`, md5.Sum([]byte("<1@other>"+Password)), md5.Sum([]byte(stamp+Password))))
}

// TestCleartextBehindRequest checks that a server that is sent commands behind the
// request for TLS, in the same segment, does not take them into the session.
func TestCleartextBehindRequest(t *testing.T) {
	for name, request := range map[string]string{
		"imap": "a STARTTLS\r\nb LOGOUT\r\n",
		"pop3": "STLS\r\nQUIT\r\n",
		"irc":  "STARTTLS\r\nQUIT\r\n",
		"nntp": "STARTTLS\r\nQUIT\r\n",
		"smtp": "STARTTLS\r\nQUIT\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, name)
			r := bufio.NewReader(conn)
			if _, err := r.ReadString('\n'); err != nil { // the greeting
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			if _, err := r.ReadString('\n'); err != nil { // the go-ahead
				t.Fatal(err)
			}
			if b, err := r.ReadByte(); err == nil {
				t.Errorf("the server goes on with %q", b)
			}
		})
	}
}
