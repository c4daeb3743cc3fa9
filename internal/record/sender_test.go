package record

import (
	"errors"
	"io"
	"net"
	"testing"
)

// guarded is a connection whose first write is its own.
type guarded struct {
	net.Conn
	guarded error
	begun   bool
}

func (g *guarded) Write(p []byte) (int, error) {
	if g.guarded != nil {
		return 0, g.guarded
	}
	g.begun = true
	return g.Conn.Write(p)
}

func (g *guarded) WritesTo() net.Conn {
	if !g.begun {
		return nil
	}
	return g.Conn
}

// TestSenderKeepsGuards: a connection is not passed by before it says so.
func TestSenderKeepsGuards(t *testing.T) {
	a, b := tcpPair(t)
	refused := errors.New("refused")
	outer := &guarded{Conn: &guarded{Conn: a}, guarded: refused}
	s := NewSender(outer)
	for range 2 {
		if _, err := s.Write([]byte("x")); err != refused || s.known {
			t.Fatal(err, s.known)
		}
	}
	outer.guarded = nil
	for _, text := range []string{"a", "b", "c"} {
		if _, err := s.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, 3)
	if _, err := io.ReadFull(b, got); err != nil || string(got) != "abc" {
		t.Errorf("%q, %v", got, err)
	}
}
