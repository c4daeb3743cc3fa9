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

// TestSendKeepsGuards: a connection is not passed by before it says so.
func TestSendKeepsGuards(t *testing.T) {
	a, b := tcpPair(t)
	refused := errors.New("refused")
	outer := &guarded{Conn: &guarded{Conn: a}, guarded: refused}
	for range 2 {
		if _, err := Send(outer, []byte("x")); err != refused {
			t.Fatal(err)
		}
	}
	outer.guarded = nil
	for _, text := range []string{"a", "b", "c"} {
		if _, err := Send(outer, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, 3)
	if _, err := io.ReadFull(b, got); err != nil || string(got) != "abc" {
		t.Errorf("%q, %v", got, err)
	}
}
