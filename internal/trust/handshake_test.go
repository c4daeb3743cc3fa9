package trust

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tlsup/internal/testca"
	"tlsup/internal/zoo"
)

// must returns a value that a test cannot go on without.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// write writes a file to a directory of the test's own and returns its path.
func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t testing.TB, s Settings) *Config {
	t.Helper()
	return must[*Config](t)(Load(s))
}

// An outcome is what both sides saw of a handshake.
type outcome struct {
	client, server       tls.ConnectionState
	clientErr, serverErr error
	offered              *tls.ClientHelloInfo
}

// handshake runs a real handshake over loopback. The server sends a byte inside, so that
// the client has read the tickets, and any refusal of its own certificate.
func handshake(t testing.TB, server, client *tls.Config) outcome {
	t.Helper()
	return handshakeWith(t, server, client, func(*tls.Conn, error) {})
}

// handshakeWith is handshake, and shows the client's connection when its handshake is over.
func handshakeWith(t testing.TB, server, client *tls.Config, over func(*tls.Conn, error)) outcome {
	t.Helper()
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	conn := must[net.Conn](t)(net.Dial("tcp", l.Addr().String()))
	defer conn.Close()
	peer := must[net.Conn](t)(l.Accept())
	for _, c := range []net.Conn{conn, peer} {
		c.SetDeadline(time.Now().Add(time.Minute)) // only against a test that hangs
	}

	var o outcome
	server = server.Clone()
	server.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		o.offered = hello
		return nil, nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer peer.Close()
		s := tls.Server(peer, server)
		if o.serverErr = s.Handshake(); o.serverErr == nil {
			o.server = s.ConnectionState()
			s.Write([]byte{'!'})
			s.CloseWrite()
			io.Copy(io.Discard, s)
		}
	}()
	c := tls.Client(conn, client)
	o.clientErr = c.Handshake()
	over(c, o.clientErr)
	if o.clientErr == nil {
		o.client = c.ConnectionState()
		_, o.clientErr = io.Copy(io.Discard, c)
	}
	conn.Close()
	<-done
	return o
}

// newServer returns a server's settings, and the file with its root, for tests that are
// not about trust.
func newServer(t testing.TB) (*tls.Config, string) {
	t.Helper()
	ca := must[*testca.CA](t)(testca.New("Test Root"))
	cert := must[tls.Certificate](t)(ca.Issue([]string{"mail.example.org", "127.0.0.1"}, nil))
	return &tls.Config{Certificates: []tls.Certificate{cert}}, write(t, "root.pem", ca.PEM())
}

// checkText asserts that a message is one printable line with the given words in it.
func checkText(t testing.TB, text string, words ...string) {
	t.Helper()
	zoo.CheckText(t, text, words...)
}

func certPEM(t testing.TB, c tls.Certificate) []byte {
	t.Helper()
	data, _, err := testca.EncodePEM(c)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func commonName(cert *x509.Certificate) string {
	if cert == nil {
		return ""
	}
	return cert.Subject.CommonName
}

// decodePEM returns the first block in a file.
func decodePEM(t testing.TB, path string) []byte {
	t.Helper()
	block, _ := pem.Decode(must[[]byte](t)(os.ReadFile(path)))
	if block == nil {
		t.Fatalf("%s holds no PEM block", path)
	}
	return block.Bytes
}
