package negotiate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// raw plays an exchange that succeeds, and hands over the connection.
func (x exchange) raw(t *testing.T, p *Protocol) (raw, server net.Conn) {
	t.Helper()
	client, server := pair(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	played := make(chan error, 1)
	go func() { played <- play(server, x.moves, segmentations[0]) }()
	o := x.options
	up, err := Client(ctx, client, p, &o)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-played; err != nil {
		t.Fatal(err)
	}
	if raw, err = up.Raw(); err != nil {
		t.Fatal(err)
	}
	return raw, server
}

// withRaw runs a test for a connection of each protocol that is handed over.
func withRaw(t *testing.T, test func(t *testing.T, raw, server net.Conn)) {
	for _, p := range protocolsWithUpgrade() {
		for _, x := range exchanges(t, p) {
			if x.want == "ok" {
				t.Run(x.file, func(t *testing.T) {
					t.Parallel()
					raw, server := x.raw(t, p)
					raw.SetDeadline(time.Now().Add(10 * time.Second))
					server.SetDeadline(time.Now().Add(10 * time.Second))
					test(t, raw, server)
				})
				break
			}
		}
	}
}

// TestRawInjection: nothing reaches somebody else's TLS either that the server sends ahead of the
// ClientHello, whatever it looks like, or that is no record behind it.
func TestRawInjection(t *testing.T) {
	hello := "\x16\x03\x01\x00\x01\x01"
	for name, x := range map[string]struct{ client, injected string }{
		"ahead of the ClientHello":           {"", "250 injected\r\n"},
		"a record ahead of the ClientHello":  {"", "\x16\x03\x03\x00\x01\x00"},
		"in answer to the ClientHello":       {hello, "250 injected\r\n"},
		"like a record behind a ClientHello": {hello, "\x16\x02"},
	} {
		t.Run(name, func(t *testing.T) {
			withRaw(t, func(t *testing.T, raw, server net.Conn) {
				if _, err := io.WriteString(raw, x.client); x.client != "" && err != nil {
					t.Fatal(err)
				}
				io.WriteString(server, x.injected)
				server.(*net.TCPConn).CloseWrite()
				var got tallied
				_, err := io.Copy(&got, raw)
				var cleartext *CleartextError
				if got != 0 || err == nil {
					t.Fatalf("%d bytes passed, %v", got, err)
				}
				if _, wrapped := raw.(*rawConn).Conn.(*net.TCPConn); wrapped && !errors.As(err, &cleartext) {
					t.Errorf("error %v", err) // a wrapper has errors of its own
				}
			})
		})
	}
}

// tallied counts what is written to it.
type tallied int

func (n *tallied) Write(p []byte) (int, error) {
	*n += tallied(len(p))
	return len(p), nil
}

// TestRawHandshake: somebody else's session runs on the connection, whose ends are copied as a tunnel
// does it.
func TestRawHandshake(t *testing.T) {
	withRaw(t, func(t *testing.T, raw, server net.Conn) {
		if _, bare := raw.(*rawConn).Conn.(*net.TCPConn); !bare {
			t.Skip("carried in packets: see TestRawPackets")
		}
		config, ca := serverConfig(t, "localhost")
		program, near := pair(t)
		go func() { io.Copy(raw, near); raw.(*rawConn).CloseWrite() }()
		go func() { io.Copy(near, raw); near.(*net.TCPConn).CloseWrite() }()
		served := make(chan error, 1)
		go func() {
			session := tls.Server(server, config)
			_, err := io.Copy(session, session)
			session.CloseWrite()
			served <- err
		}()
		session := tls.Client(program, &tls.Config{ServerName: "localhost", RootCAs: ca.Pool()})
		sent := make([]byte, 300_000)
		go func() { session.Write(sent); session.CloseWrite() }()
		got, err := io.ReadAll(session)
		if err != nil || len(got) != len(sent) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// A spy tells what a bare connection is copied from.
type spy struct {
	*net.TCPConn
	from chan string
}

func (s spy) ReadFrom(r io.Reader) (int64, error) {
	s.from <- fmt.Sprintf("%T", r)
	return s.TCPConn.ReadFrom(r)
}

// TestRawSplices: when somebody else's handshake has begun, both ends are copied bare, so that the kernel
// can do it.
func TestRawSplices(t *testing.T) {
	const record = "\x16\x03\x03\x00\x01\x00"
	near, program := pair(t)
	toServer, server := pair(t)
	up := spy{toServer.(*net.TCPConn), make(chan string, 1)}
	down := spy{near.(*net.TCPConn), make(chan string, 2)}
	raw := &rawConn{Conn: up}
	copied := make(chan error, 2)
	go func() { _, err := io.Copy(raw, near); raw.CloseWrite(); copied <- err }()
	io.WriteString(program, record)
	hear(t, server, record)
	go func() { _, err := io.Copy(down, raw); down.CloseWrite(); copied <- err }()
	io.WriteString(server, record)
	hear(t, program, record)
	program.(*net.TCPConn).CloseWrite()
	server.(*net.TCPConn).CloseWrite()
	for range 2 {
		if err := <-copied; err != nil {
			t.Error(err)
		}
	}
	for way, from := range map[string]chan string{"to the server": up.from, "to the client": down.from} {
		got := "nothing"
		select {
		case got = <-from:
		default:
		}
		if got != "*net.TCPConn" && got != "net.tcpConnWithoutWriteTo" { // the latter is in net's own WriteTo
			t.Errorf("%s %s is copied", way, got)
		}
	}
}
