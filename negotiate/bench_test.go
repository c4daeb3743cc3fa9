package negotiate

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// A replay is a connection in memory, on which a server says what it says in an exchange, all that is
// due in one segment.
type replay struct {
	net.Conn
	moves []move
	said  string // of the last segment, what has not been read
}

func (r *replay) Read(p []byte) (int, error) {
	for r.said == "" && len(r.moves) > 0 {
		for len(r.moves) > 0 && !r.moves[0].server {
			r.moves = r.moves[1:]
		}
		for len(r.moves) > 0 && r.moves[0].server {
			r.said, r.moves = r.said+r.moves[0].text, r.moves[1:]
		}
	}
	if r.said == "" {
		return 0, io.EOF
	}
	n := copy(p, r.said)
	r.said = r.said[n:]
	return n, nil
}

func (r *replay) Write(p []byte) (int, error)      { return len(p), nil }
func (r *replay) SetDeadline(time.Time) error      { return nil }
func (r *replay) SetReadDeadline(time.Time) error  { return nil }
func (r *replay) SetWriteDeadline(time.Time) error { return nil }
func (r *replay) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)} }

// replayed does the upgrade of an exchange, and what belongs to it inside TLS, without the handshake.
func (x *exchange) replayed(p *Protocol) error {
	bare, inside := &replay{moves: x.moves}, &replay{moves: x.inside}
	up, err := Client(context.Background(), bare, p, &x.options)
	if err == nil {
		_, err = up.Finish(context.Background(), inside)
	}
	if rest := bare.said + inside.said; err == nil && rest != "" {
		return fmt.Errorf("%q was not read", rest)
	}
	return err
}

// good returns the exchanges of a protocol that succeed.
func good(t testing.TB, p *Protocol) []exchange {
	t.Helper()
	return slices.DeleteFunc(exchanges(t, p), func(x exchange) bool {
		return x.want != "ok" || slices.ContainsFunc(x.moves, func(m move) bool { return m.stall })
	})
}

// What the benchmark measures is an upgrade, for each protocol.
func TestReplays(t *testing.T) {
	for _, p := range protocolsWithUpgrade() {
		xs := good(t, p)
		if len(xs) == 0 {
			t.Errorf("%s: nothing to measure", p.Name)
		}
		for _, x := range xs {
			if err := x.replayed(p); err != nil {
				t.Errorf("%s: %v", x.file, err)
			}
		}
	}
}

// BenchmarkUpgrade is what an upgrade costs beyond the network, for each exchange that succeeds: the
// time is the parser's, and MB/s are what the server says.
func BenchmarkUpgrade(b *testing.B) {
	for _, p := range protocolsWithUpgrade() {
		for _, x := range good(b, p) {
			name := strings.TrimSuffix(strings.TrimPrefix(x.file, "testdata/"), ".txt")
			b.Run(name, func(b *testing.B) {
				said := 0
				for _, m := range append(slices.Clone(x.moves), x.inside...) {
					if m.server {
						said += len(m.text)
					}
				}
				b.SetBytes(int64(said))
				b.ReportAllocs()
				for b.Loop() {
					if err := x.replayed(p); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
