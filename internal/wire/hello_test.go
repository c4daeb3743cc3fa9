package wire

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"tlsup/internal/testca"
)

// messages keeps what an observer is told.
type messages struct{ seen []Message }

func (*messages) Bytes(Side, int)               {}
func (*messages) Record(Side, Record)           {}
func (m *messages) Message(_ Side, one Message) { m.seen = append(m.seen, one) }
func (*messages) Failed(Side, error)            {}
func (*messages) Closed()                       {}

// seen are the messages in the clear of a handshake with such settings.
func seen(t *testing.T, client, server *tls.Config) *messages {
	t.Helper()
	ca, err := testca.New("root")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue([]string{"mail.example.org"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	server.Certificates, client.RootCAs = []tls.Certificate{cert}, ca.Pool()
	l, err := net.Listen("tcp", "127.0.0.1:0") // a pipe keeps nothing, and both may write at a time
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	go func() {
		if far, err := l.Accept(); err == nil {
			defer far.Close()
			s := tls.Server(far, server)
			s.Handshake()
			io.Copy(io.Discard, s)
		}
	}()
	m := new(messages)
	if err := tls.Client(NewTap(near, m), client).Handshake(); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestHellos(t *testing.T) {
	client := &tls.Config{ServerName: "mail.example.org", NextProtos: []string{"imap", "x\x1b"}}
	retried := &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}}
	m := seen(t, client, retried)
	for i, want := range []struct{ name, detail string }{
		{"ClientHello", `SNI "mail.example.org"; ALPN "imap" "x\x1b"; versions 1.3 1.2; suites TLS_`},
		{"HelloRetryRequest", "TLS 1.3, TLS_"},
		{"ClientHello", "groups X25519MLKEM768 "},
		{"ServerHello", ", CurveP521"},
	} {
		if got := m.seen[i]; got.Name() != want.name || !strings.Contains(got.Detail(), want.detail) {
			t.Errorf("message %d is %s with %s", i, got.Name(), got.Detail())
		}
	}

	old := seen(t, &tls.Config{ServerName: "mail.example.org", MaxVersion: tls.VersionTLS12}, new(tls.Config))
	var names []string
	for _, one := range old.seen {
		names = append(names, one.Name())
		if one.Type == ServerKeyExchange && one.Signature() != tls.ECDSAWithP256AndSHA256 {
			t.Errorf("the signature is %v", one.Signature())
		}
	}
	if got := strings.Join(names, " "); got != "ClientHello ServerHello Certificate ServerKeyExchange ServerHelloDone ClientKeyExchange" {
		t.Errorf("messages are %s", got)
	}
}

// FuzzDetail: no body does harm.
func FuzzDetail(f *testing.F) {
	f.Add([]byte("\x03\x03"), true)
	f.Fuzz(func(t *testing.T, body []byte, client bool) {
		m := Message{Record: Handshake, Type: ServerHello, Body: body}
		if client {
			m.Type = ClientHello
		}
		m.Detail()
		m.Name()
		m.Signature()
	})
}
