package tunnel

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"tlsup/internal/connect"
)

// header is what a load balancer sends for a client.
func header(t testing.TB, version byte, source string) string {
	t.Helper()
	from, err := net.ResolveTCPAddr("tcp", source)
	if err != nil {
		t.Fatal(err)
	}
	text, err := proxyproto.HeaderProxyFromAddrs(version, from, &net.TCPAddr{IP: from.IP, Port: 143}).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// local is what a load balancer's own check begins with.
var local = string(append(append([]byte{}, proxyproto.SIGV2...), 0x20, 0, 0, 0))

// TestProxyHeader: whom the header names is the client in the log, and for the server.
func TestProxyHeader(t *testing.T) {
	for name, test := range map[string]struct{ header, client string }{
		"v1":         {header(t, 1, "192.0.2.7:1234"), "192.0.2.7:1234"},
		"v1 IPv6":    {header(t, 1, "[2001:db8::7]:1234"), "[2001:db8::7]:1234"},
		"v1 unknown": {"PROXY UNKNOWN\r\n", ""},
		"v2":         {header(t, 2, "192.0.2.7:1234"), "192.0.2.7:1234"},
		"v2 local":   {local, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t)
			plain, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			pair := p.pair(t)
			pair.Raw = true
			pair.Target.Port = plain.Addr().(*net.TCPAddr).Port
			o := *pair.Options()
			o.ProxyHeader = 2
			pair.Options = func() *connect.Options { return &o }
			b := start(t, pair, func(s *Server) { s.ProxyHeader = true })

			client := dial(t, b)
			for i := range test.header { // in pieces
				io.WriteString(client, test.header[i:i+1])
			}
			io.WriteString(client, "and more")
			server, err := plain.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			r := bufio.NewReader(server)
			sent, err := proxyproto.Read(r)
			if err != nil {
				t.Fatal(err)
			}
			rest := make([]byte, 8)
			if _, err := io.ReadFull(r, rest); string(rest) != "and more" {
				t.Fatalf("%q, %v", rest, err)
			}
			want := test.client
			if want == "" {
				want = client.LocalAddr().String()
			}
			line := b.journal.await(t, "opened", 1)
			if sent.SourceAddr.String() != want || line["client"] != want {
				t.Errorf("the server is told of %v, the log of %v; want %s", sent.SourceAddr, line["client"], want)
			}
			if via := line["via"]; test.client != "" && via != client.LocalAddr().String() {
				t.Errorf("via %v", via)
			}
		})
	}
}

// TestNoProxyHeader: a connection without a header is closed, and keeps nobody waiting.
func TestNoProxyHeader(t *testing.T) {
	s := serve(t, "imap")
	for _, test := range []struct{ said, reason string }{
		{"a NOOP\r\nb NOOP\r\n", "no PROXY protocol header, which every connection has to begin with"},
		{"PROXY", "no PROXY protocol header, which every connection has to begin with"},
		{"", "closed before a PROXY protocol header"},
		{"PROXY TCP4 " + strings.Repeat("1", 200), "PROXY protocol header: longer than 107 bytes"},
		{"PROXY TCP4 nobody nowhere 1 2\r\n", "PROXY protocol header: "},
		{string(proxyproto.SIGV2) + "\x21\x11\xff\xff", "PROXY protocol header: longer than 4096 bytes"},
		{string(proxyproto.SIGV2) + "\x21\x11\x00\x0c123", "unexpected EOF"},
	} {
		b := start(t, to(t, "imap", s), func(s *Server) { s.ProxyHeader = true })
		silent, client := dial(t, b), dial(t, b)
		io.WriteString(client, test.said)
		client.CloseWrite()
		if got, _ := io.ReadAll(client); len(got) > 0 {
			t.Errorf("%q: the client is told %q", test.said, got)
		}
		if line := b.journal.await(t, "failed", 1); !strings.Contains(line["error"].(string), test.reason) {
			t.Errorf("%q: %v", test.said, line)
		}
		silent.Close()
		b.end(t)
	}
	b := start(t, to(t, "imap", s), func(s *Server) { s.ProxyHeader, s.Timeout = true, 20*time.Millisecond })
	io.ReadAll(dial(t, b))
	if line := b.journal.await(t, "failed", 1); line["error"] != "no PROXY protocol header in time" {
		t.Error(line)
	}
}

// FuzzHeader: nothing behind a header is read, and what is read is bounded.
func FuzzHeader(f *testing.F) {
	for _, seed := range []string{header(f, 1, "192.0.2.7:1"), header(f, 2, "[2001:db8::7]:1"), local, "PROXY UNKNOWN\r\n", "PROXY ", "GET / HTTP/1.0\r\n\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(append(data, "\r\nbehind"...))
		b, err := headerBytes(r)
		read := int(r.Size()) - r.Len()
		if read > 16+longestV2 || err == nil && read != len(b) {
			t.Fatalf("%d bytes are read for a header of %d", read, len(b))
		}
		if err == nil && !bytes.HasPrefix(append(data, "\r\nbehind"...), b) {
			t.Fatalf("%q is not what came", b)
		}
	})
}

// FuzzReadHeader: a connection's header names a client, nobody, or is an error of its own, and what is
// behind it is left.
func FuzzReadHeader(f *testing.F) {
	for _, seed := range []string{header(f, 1, "192.0.2.7:1"), header(f, 2, "[2001:db8::7]:1"), local, "PROXY UNKNOWN\r\n", "PROXY TCP4 1 2 3 4\r\n",
		string(proxyproto.SIGV2) + "\x21\x31\x00\xd8" + strings.Repeat("/", 216), string(proxyproto.SIGV2) + "\x21\x11\x00\x01x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		addr, err := readHeader(t.Context(), readingConn{Reader: r})
		if err != nil && !errors.As(err, new(*headerError)) {
			t.Errorf("error %v is a %T", err, err)
		}
		if err != nil && addr != nil {
			t.Errorf("%v, and an error: %v", addr, err)
		}
		if read := len(data) - r.Len(); read > 16+longestV2 {
			t.Errorf("read %d bytes", read)
		}
		if addr != nil && len(addr.String()) > longestV2 {
			t.Errorf("an address of %d bytes", len(addr.String()))
		}
	})
}

// readingConn is a connection that is read from alone.
type readingConn struct {
	io.Reader
	net.Conn
}

func (c readingConn) Read(p []byte) (int, error)      { return c.Reader.Read(p) }
func (c readingConn) SetReadDeadline(time.Time) error { return nil }
