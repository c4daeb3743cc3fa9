package record

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"tlsup/internal/testca"
)

// sessions returns both ends of a TLS session, the client's through a Conn, and the
// client's bare connection.
func sessions(t testing.TB, bareClient, bareServer net.Conn) (*Session, *tls.Conn) {
	t.Helper()
	ca, err := testca.New("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue([]string{"localhost"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	under := NewConn(bareClient)
	client := tls.Client(under, &tls.Config{ServerName: "localhost", RootCAs: ca.Pool(), DynamicRecordSizingDisabled: true})
	server := tls.Server(bareServer, &tls.Config{Certificates: []tls.Certificate{cert}})
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bareClient.Close(); bareServer.Close() })
	return NewSession(client, client, under), server
}

func tcpPair(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

// segmentedIn reads a random number of bytes at a time.
type segmentedIn struct {
	net.Conn
	rand *rand.Rand
}

func (s segmentedIn) Read(p []byte) (int, error) {
	return s.Conn.Read(p[:1+s.rand.IntN(min(len(p), 1<<s.rand.IntN(18)))])
}

// segmentedOut writes a random number of bytes at a time.
type segmentedOut struct {
	net.Conn
	rand *rand.Rand
}

func (s segmentedOut) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = s.Conn.Write(p[n : n+1+s.rand.IntN(min(len(p)-n, 1<<s.rand.IntN(18)))])
		n += m
	}
	return n, err
}

// reading returns what a session can be read from: itself, or a Receiver.
func reading(s *Session, receiver bool, random *rand.Rand) io.Reader {
	if receiver {
		return &receiving{r: NewReceiver(s)}
	}
	return &sized{s, 1 + random.IntN(300<<10)}
}

// receiving reads from a Receiver.
type receiving struct {
	r    *Receiver
	rest []byte
}

func (r *receiving) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		var err error
		if r.rest, err = r.r.Receive(); err != nil && len(r.rest) == 0 {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// sized reads so many bytes at most.
type sized struct {
	io.Reader
	most int
}

func (s *sized) Read(p []byte) (int, error) { return s.Reader.Read(p[:min(len(p), s.most)]) }

// TestWhatGoesInComesOut sends random amounts both ways over randomly cut segments: what they cut
// is either the client's reads or the server's writes, so that the client's connection is bare.
func TestWhatGoesInComesOut(t *testing.T) {
	for seed := range uint64(60) {
		var a, b net.Conn = tcpPair(t)
		random := rand.New(rand.NewPCG(seed, 1))
		if seed%4 < 2 {
			a = segmentedIn{a, random}
		} else {
			b = segmentedOut{b, random}
		}
		client, server := sessions(t, a, b)
		if seed%3 == 0 {
			client.Bulk()
		}
		random = rand.New(rand.NewPCG(seed, 2))
		sent := make([]byte, random.IntN(1<<20))
		for i := range sent {
			sent[i] = byte(random.Uint32())
		}
		// The server echoes, and ends with close_notify when the client does.
		go func() {
			io.Copy(server, server)
			server.CloseWrite()
		}()
		go func() {
			chunks := rand.New(rand.NewPCG(seed, 3))
			for rest := sent; len(rest) > 0; {
				n := 1 + chunks.IntN(min(len(rest), 1<<chunks.IntN(19)))
				if _, err := client.Write(rest[:n]); err != nil {
					t.Error(err)
				}
				rest = rest[n:]
			}
			client.CloseWrite()
		}()
		var got bytes.Buffer
		buf := make([]byte, 300<<10)
		if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, reading(client, seed%2 == 0, random), buf); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !bytes.Equal(got.Bytes(), sent) {
			t.Fatalf("seed %d: %d bytes went in, %d others came out", seed, len(sent), got.Len())
		}
	}
}

// TestAByteNeverWaits proves that neither direction holds back what is there: in a
// bubble of fake time in which nothing moves unless it was flushed.
func TestAByteNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		client, server := sessions(t, a, b)
		go io.Copy(server, server)
		start := time.Now()
		for range 100 {
			if _, err := client.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 64<<10)
			if n, err := client.Read(buf); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("100 round trips waited %v", d)
		}
		a.Close()
		b.Close()
	})
}

// TestIncompleteRecord: one that has not come whole holds back nothing in front of it.
func TestIncompleteRecord(t *testing.T) {
	a, b := tcpPair(t)
	gate := &gate{Conn: b}
	client, server := sessions(t, a, gate)
	gate.hold = true
	server.Write([]byte("data"))
	server.Write(make([]byte, 1000))
	b.Write(gate.held[:len(gate.held)-500])
	buf := make([]byte, 64<<10)
	n, err := client.Read(buf)
	if err != nil || string(buf[:n]) != "data" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	b.Write(gate.held[len(gate.held)-500:])
	if n, err := client.Read(buf); n != 1000 || err != nil {
		t.Fatal(n, err)
	}
}

// TestNoBlock: a record without data (a session ticket, a key update) behind one with
// data makes crypto/tls ask for another; that must not wait, nor end the session.
func TestNoBlock(t *testing.T) {
	a, b := tcpPair(t)
	client, server := sessions(t, a, b)
	buf := make([]byte, 64<<10)
	for range 3 {
		client.under.noBlock = true
		if n, err := client.TLS.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(n, err)
		}
		client.under.noBlock = false
		server.Write([]byte("data"))
		if n, err := client.Read(buf); n != 4 || err != nil {
			t.Fatal(n, err)
		}
	}
}

// writes counts.
type writes struct {
	net.Conn
	n int
}

func (w *writes) Write(p []byte) (int, error) {
	w.n++
	return w.Conn.Write(p)
}

// TestOneWrite: what one read yields goes out in one write, however many records it takes.
func TestOneWrite(t *testing.T) {
	for _, most := range []int{bufferSize, bulkSize} {
		a, b := tcpPair(t)
		counted := &writes{Conn: a}
		client, server := sessions(t, counted, b)
		if most == bulkSize {
			client.Bulk()
		}
		go io.Copy(io.Discard, server)
		for _, size := range []int{1, maxData, maxData + 1, most - 1, most} {
			counted.n = 0
			if _, err := client.Write(make([]byte, size)); err != nil || counted.n != 1 {
				t.Errorf("%d bytes: %d writes, %v", size, counted.n, err)
			}
		}
	}
}

// gate keeps what is written while it holds.
type gate struct {
	net.Conn
	hold bool
	held []byte
}

func (g *gate) Write(p []byte) (int, error) {
	if g.hold {
		g.held = append(g.held, p...)
		return len(p), nil
	}
	return g.Conn.Write(p)
}

// TestEnds tells close_notify from each kind of cut.
func TestEnds(t *testing.T) {
	data := []byte("some data")
	for _, test := range []struct {
		name string
		end  func(server *tls.Conn, bare net.Conn)
		want error
	}{
		{"close_notify", func(s *tls.Conn, _ net.Conn) { s.CloseWrite() }, io.EOF},
		{"close_notify and end of the connection", func(s *tls.Conn, _ net.Conn) { s.Close() }, io.EOF},
		{"cut between records", func(_ *tls.Conn, bare net.Conn) { bare.Close() }, ErrCut},
		{"cut inside a header", func(_ *tls.Conn, bare net.Conn) { bare.Write([]byte{23, 3, 3}); bare.Close() }, ErrCutInside},
		{"cut inside a record", func(_ *tls.Conn, bare net.Conn) { bare.Write([]byte{23, 3, 3, 1, 0, 9}); bare.Close() }, ErrCutInside},
	} {
		for _, way := range []string{"Read", "Receive"} {
			t.Run(test.name+"/"+way, func(t *testing.T) {
				a, b := tcpPair(t)
				client, server := sessions(t, a, b)
				server.Write(data)
				test.end(server, b)
				from := struct{ io.Reader }{client}
				if way == "Receive" {
					from.Reader = &receiving{r: NewReceiver(client)}
				}
				got, err := io.ReadAll(from)
				if err == nil {
					err = io.EOF // which ReadAll does not tell
				}
				if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				if !bytes.Equal(got, data) {
					t.Errorf("read %q", got)
				}
			})
		}
	}
}

func BenchmarkSession(b *testing.B) {
	for _, way := range []string{"write", "read"} {
		b.Run(way, func(b *testing.B) {
			x, y := tcpPair(b)
			client, server := sessions(b, x, y)
			buf, peer := make([]byte, 128<<10), make([]byte, 128<<10)
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			if way == "write" {
				go io.CopyBuffer(io.Discard, struct{ io.Reader }{server}, peer)
				for b.Loop() {
					if _, err := client.Write(buf); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			go func() {
				for {
					if _, err := server.Write(peer); err != nil {
						return
					}
				}
			}()
			for b.Loop() {
				for n := 0; n < len(buf); {
					m, err := client.Read(buf)
					if err != nil {
						b.Fatal(err)
					}
					n += m
				}
			}
		})
	}
}
