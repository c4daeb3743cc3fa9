package negotiate

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// endless is a connection on which a server says a beginning, and then one thing without end.
type endless struct {
	scripted
	again string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.read < len(e.said) {
		return e.scripted.Read(p)
	}
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.again[(e.read+n-len(e.said))%len(e.again):])
	}
	e.read += n
	return n, nil
}

// parts are the halves of a protocol's exchange, in the clear and inside TLS, each alone on a
// connection.
func (x exchange) parts(p *Protocol) map[string]part {
	parts := map[string]part{"clear": {x.moves, func(ctx context.Context, conn net.Conn) error {
		o := x.options
		_, err := Client(ctx, conn, p, &o)
		return err
	}}}
	if p.Inside != nil {
		parts["inside"] = part{x.inside, func(ctx context.Context, conn net.Conn) error {
			c := newConn(conn, nil)
			c.Step(Upgrade)
			return c.run(ctx, p, func() error { return p.Inside(c, &x.options) })
		}}
	}
	return parts
}

// A part is what is said on a connection, and the client's side of it.
type part struct {
	moves  []move
	client func(context.Context, net.Conn) error
}

// forEachPart goes through the exchanges that succeed, as many as asked for, of every protocol that
// upgrades.
func forEachPart(t *testing.T, most int, f func(t *testing.T, part part)) {
	for _, p := range protocolsWithUpgrade() {
		good := slices.DeleteFunc(exchanges(t, p), func(x exchange) bool { return x.want != "ok" })
		for _, x := range good[:min(most, len(good))] {
			for name, part := range x.parts(p) {
				t.Run(x.file+"/"+name, func(t *testing.T) { f(t, part) })
			}
		}
	}
}

// TestEndless has the server of every protocol lose itself at each point of its exchanges: in a line,
// in lines, in zeros, in the message that is due. What is read and what is held of it is bounded.
func TestEndless(t *testing.T) {
	forEachPart(t, 1, func(t *testing.T, part part) {
		var said []byte
		for _, m := range part.moves {
			if !m.server {
				continue
			}
			for _, again := range []string{"x", " ", "x\r\n", "\r\n", "\x00", "\xff", m.text} {
				if again == "" {
					continue // of a close
				}
				var conn *endless
				checkMemory(t, func() {
					conn = &endless{scripted{said: slices.Clip(said)}, again}
					if err := part.client(context.Background(), conn); err != nil && !errors.As(err, new(*Error)) {
						t.Errorf("%q, then %.40q: error %v is a %T", said, again, err, err)
					}
				})
				if conn.read > MaxBytes {
					t.Errorf("%q, then %.40q: read %d bytes", said, again, conn.read)
				}
			}
			said = append(said, m.text...)
		}
	})
}

// TestSilence has the server of every protocol fall silent at each point of its exchanges, before and
// in what is due: the time that is given ends them.
func TestSilence(t *testing.T) {
	const given = 30 * time.Second
	forEachPart(t, math.MaxInt, func(t *testing.T, part part) {
		t.Parallel()
		for i, m := range part.moves {
			if !m.server {
				continue
			}
			for _, n := range slices.Compact([]int{0, len(m.text) / 2, max(len(m.text)-1, 0)}) {
				before := slices.Clone(part.moves[:i])
				if n > 0 {
					before = append(before, move{server: true, text: m.text[:n]})
				}
				synctest.Test(t, func(t *testing.T) {
					client, server := net.Pipe()
					played := make(chan error, 1)
					go func() {
						err := play(server, before, segmentations[0])
						io.Copy(io.Discard, server)
						played <- err
					}()
					ctx, cancel := context.WithTimeout(context.Background(), given)
					defer cancel()
					start := time.Now()
					err := part.client(ctx, client)
					if took := time.Since(start); took > given {
						t.Errorf("%v behind %d bytes of %q", took, n, m.text)
					}
					if !errors.Is(err, ErrSilent) && !errors.Is(err, ErrUnknown) { // of auto
						t.Errorf("silent behind %d bytes of %q: error %v, want %v", n, m.text, err, ErrSilent)
					}
					client.Close()
					server.Close()
					if err := <-played; err != nil {
						t.Error(err)
					}
				})
			}
		}
	})
}

// TestMailBounds feeds replies that never come to an end, in the protocols that share them.
func TestMailBounds(t *testing.T) {
	for _, name := range []string{"smtp", "submission", "lmtp"} {
		greeting := "220 mail.example.org " + strings.ToUpper(name) + "\r\n"
		checkBounds(t, name, strings.Repeat("220-x\r\n", 2*MaxLines), ErrTooLong, 2*4096)
		checkBounds(t, name, "220 "+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
		checkBounds(t, name, greeting+strings.Repeat("250-x\r\n", 2*MaxLines), ErrTooLong, 2*4096)
		checkBounds(t, name, greeting+"250 STARTTLS"+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
		checkBounds(t, name, greeting+"250-x\r\n250 STARTTLS\r\n"+strings.Repeat("220-x\r\n", 2*MaxLines), ErrTooLong, 2*4096)
	}
}

// TestAutoBounds has a server greet without end, in what could be many protocols.
func TestAutoBounds(t *testing.T) {
	checkBounds(t, "auto", strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
	checkBounds(t, "auto", "220 "+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
	checkBounds(t, "auto", "* OK "+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
	checkBounds(t, "auto", "* OK ready\r\n"+strings.Repeat("* 1 EXISTS\r\n", 2*MaxLines), ErrTooLong, 4*4096)
	checkBounds(t, "auto", "RFB 003.008\n\x00\x7f\xff\xff\xff"+strings.Repeat("x", 2*MaxBytes), ErrTooLong, 4096)
}

// memory is what an exchange may allocate, in bytes, all in all: what it reads, some times over, and
// the pieces that it is cut into. The race detector has regular expressions forget what they keep, for
// each line anew.
const memory = 32 << 20

// checkMemory measures what f allocates, and again in case something beside it did.
func checkMemory(t testing.TB, f func()) {
	t.Helper()
	took := allocated(f)
	for n := 0; took > memory && n < 3; n++ {
		took = allocated(f)
	}
	if took > memory {
		t.Errorf("%d bytes are allocated", took)
	}
}

// allocated is how many bytes the process allocates while f runs, but for those of objects that went
// where there was room. Other than runtime.ReadMemStats it does not stop the world.
func allocated(f func()) int {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return int(sample[0].Value.Uint64() - before)
}

// fuzzLocal feeds a local client's bytes to a protocol's upgrade, and the answers of a server that
// consents, and returns what became of it. Whatever they are, it returns, within the bounds.
func fuzzLocal(t *testing.T, name string, said, answers []byte) (server *scripted, err error) {
	t.Helper()
	var local *scriptedClient
	checkMemory(t, func() {
		local, server = &scriptedClient{scripted{said: said}}, &scripted{said: answers}
		_, err = Client(context.Background(), server, Find(name), &Options{Host: "127.0.0.1", Local: &Local{Conn: local}})
	})
	if local.read > MaxBytes {
		t.Errorf("read %d bytes", local.read)
	}
	if err != nil && !errors.As(err, new(*Error)) {
		t.Errorf("error %v is a %T", err, err)
	}
	return server, err
}
