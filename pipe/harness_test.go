package pipe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tlsup/internal/record"
	"tlsup/internal/testca"
	"tlsup/negotiate"
)

// errCause is what the tests end a context with.
var errCause = errors.New("the cause")

// configs are the TLS settings of both ends. Their clock stands still where the
// certificate is valid, in fake time too.
var configs = sync.OnceValues(func() (client, server *tls.Config) {
	ca, err := testca.New("test")
	if err != nil {
		panic(err)
	}
	cert, err := ca.Issue([]string{"localhost"}, nil)
	if err != nil {
		panic(err)
	}
	clock := func() time.Time { return cert.Leaf.NotBefore.Add(time.Hour) }
	client = &tls.Config{ServerName: "localhost", RootCAs: ca.Pool(), Time: clock}
	server = &tls.Config{Certificates: []tls.Certificate{cert}, Time: clock}
	return client, server
})

// clientTLS runs the client's handshake over conn.
func clientTLS(ctx context.Context, conn net.Conn) (*record.Session, error) {
	config, _ := configs()
	under := record.NewConn(conn)
	c := tls.Client(under, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return record.NewSession(c, c, under), nil
}

// serverTLS runs the server's handshake over conn. The session tells close_notify from a
// cut, as the client's does.
func serverTLS(conn net.Conn) (*record.Session, error) {
	_, config := configs()
	under := record.NewConn(conn)
	c := tls.Server(under, config)
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	return record.NewSession(c, c, under), nil
}

// tcpPair returns both ends of a connection on loopback.
func tcpPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// A rig is a Pipe with its two ends in the hands of a test.
type rig struct {
	*Pipe
	in   *io.PipeWriter // the input, if the Pipe had none
	out  *io.PipeReader // the output, if the Pipe had none
	conn net.Conn       // the client's bare connection
	bare net.Conn       // the server's

	client Conn            // the client's session, once there is one
	server *record.Session // the server's session

	result chan error
}

// newRig gives p an input and an output where it has none. At the end of the test all ends are
// closed, so that a goroutine that is left then is one that should not be.
func newRig(t testing.TB, p *Pipe, conn, bare net.Conn) *rig {
	r := &rig{Pipe: p, conn: conn, bare: bare, result: make(chan error, 1)}
	if p.In == nil {
		p.In, r.in = io.Pipe()
		t.Cleanup(func() { r.in.Close() })
	}
	if p.Out == nil {
		r.out, p.Out = io.Pipe()
		t.Cleanup(func() { r.out.Close() })
	}
	t.Cleanup(func() { conn.Close(); bare.Close() })
	return r
}

// run starts p.Run over a TLS session between conn and bare.
func run(t testing.TB, ctx context.Context, p *Pipe, conn, bare net.Conn) *rig {
	t.Helper()
	r := newRig(t, p, conn, bare)
	shaken := make(chan error, 1)
	go func() {
		var err error
		r.server, err = serverTLS(bare)
		shaken <- err
	}()
	client, err := clientTLS(ctx, conn)
	if err := errors.Join(err, <-shaken); err != nil {
		t.Fatal(err)
	}
	r.client = client
	go func() { r.result <- p.Run(ctx, client) }()
	return r
}

// runPipe is run over a connection without buffers: nothing moves that is not read.
func runPipe(t testing.TB, p *Pipe) *rig {
	t.Helper()
	a, b := net.Pipe()
	return run(t, t.Context(), p, a, b)
}

// runManual starts p.RunManual on conn. m.StartTLS may be nil.
func runManual(t testing.TB, ctx context.Context, p *Pipe, m Manual, conn, bare net.Conn) *rig {
	r := newRig(t, p, conn, bare)
	if m.StartTLS == nil {
		m.StartTLS = func(ctx context.Context) (Conn, error) {
			client, err := clientTLS(ctx, negotiate.GoAhead(conn))
			if err != nil {
				return nil, err
			}
			r.client = client
			return client, nil
		}
	}
	go func() { r.result <- p.RunManual(ctx, conn, m) }()
	return r
}

// end waits for the Pipe and closes its session as its callers do: without close_notify
// after an error.
func (r *rig) end() error {
	err := <-r.result
	if err == nil && r.client != nil {
		r.client.Close()
	}
	r.conn.Close()
	return err
}

// over reports whether the Pipe has come to an end, and puts its result back.
func (r *rig) over() bool {
	select {
	case err := <-r.result:
		r.result <- err
		return true
	default:
		return false
	}
}

// types types text without waiting for it to be sent.
func (r *rig) types(text string) { go io.WriteString(r.in, text) }

// reading is what all was read, and how that ended.
type reading struct {
	text string
	err  error
}

// readAll reads to the end, aside.
func readAll(r io.Reader) <-chan reading {
	done := make(chan reading, 1)
	go func() {
		b, err := io.ReadAll(r)
		done <- reading{string(b), err}
	}()
	return done
}

// expect reads just as many bytes as want has, and compares.
func expect(t testing.TB, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Fatalf("read %q, %v, want %q", b[:n], err, want)
	}
}

// want compares errors; nil means none.
func want(t testing.TB, err, want error) {
	t.Helper()
	if want == nil && err != nil || !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// bubble runs a test in fake time. It fails if a goroutine is left at the end.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// inFakeTime asserts how long something has taken.
func inFakeTime(t testing.TB, since time.Time, want time.Duration) {
	t.Helper()
	if d := time.Since(since); d != want {
		t.Errorf("it took %v, want %v", d, want)
	}
}

// letters is data that tells where each piece of it belongs.
func letters(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = 'a' + byte(x>>24)%26
	}
	return b
}

// equal compares long texts.
func equal(t testing.TB, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	t.Errorf("%s: %d bytes, want %d; they differ at %d", what, len(got), len(want), at)
}

// A buffer is an output that can be read while it is written to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A terminal is an input that can be read again after its end. A nil is an end.
type terminal struct {
	typed chan []byte
	rest  []byte
}

func newTerminal(t testing.TB) *terminal {
	r := &terminal{typed: make(chan []byte, 16)}
	t.Cleanup(func() { close(r.typed) })
	return r
}

func (r *terminal) line(text string) { r.typed <- []byte(text) }
func (r *terminal) end()             { r.typed <- nil }

func (r *terminal) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		r.rest = <-r.typed
		if len(r.rest) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// brokenConn can't be written to once it is broken, but still be read from.
type brokenConn struct {
	net.Conn
	broken chan struct{}
}

func (c *brokenConn) Write(p []byte) (int, error) {
	select {
	case <-c.broken:
		return 0, &net.OpError{Op: "write", Net: "pipe", Err: os.NewSyscallError("write", errBrokenPipe)}
	default:
		return c.Conn.Write(p)
	}
}
