//go:build unix

package record

import (
	"net"
	"testing"
)

// opening is a connection whose first read is its own.
type opening struct {
	net.Conn
	opened bool
}

func (o *opening) Read(p []byte) (int, error) {
	o.opened = true
	return o.Conn.Read(p)
}

func (o *opening) Bare() net.Conn {
	if !o.opened {
		return nil
	}
	return o.Conn
}

// TestWaitingHoldsNothing: while nothing comes, neither a session nor a bare connection holds a
// buffer, behind a record without data (a ticket) too.
func TestWaitingHoldsNothing(t *testing.T) {
	a, b := tcpPair(t)
	client, server := sessions(t, a, b) // whose first records are tickets
	session := NewReceiver(client)
	for range 3 {
		server.Write([]byte("x"))
		if data, err := session.Receive(); string(data) != "x" || err != nil {
			t.Fatal(data, err)
		}
	}
	c, d := tcpPair(t)
	bare := NewReceiver(c)
	e, f := tcpPair(t)
	wrapped := NewReceiver(&opening{Conn: e})
	f.Write([]byte("z"))
	if data, err := wrapped.Receive(); string(data) != "z" || err != nil {
		t.Fatal(data, err)
	}
	f.Write([]byte("z"))
	if data, err := wrapped.Receive(); string(data) != "z" || err != nil || wrapped.own != nil {
		t.Fatal(data, err, len(wrapped.own))
	}
	for _, test := range []struct {
		name     string
		receiver *Receiver
		idle     *idleReader
		peer     net.Conn
		holds    func() bool
	}{
		{"session", session, client.under.idle, server, func() bool { return client.under.in != nil || session.held != nil }},
		{"bare", bare, bare.source.(*idleReader), d, func() bool { return bare.held != nil }},
		{"wrapped", wrapped, wrapped.source.(*idleReader), f, func() bool { return wrapped.held != nil }},
	} {
		if test.idle == nil {
			t.Fatalf("%s: is not waited for without a buffer", test.name)
		}
		waiting := make(chan bool, 10)
		test.idle.try = func(fd uintptr) bool {
			came := test.idle.readNow(fd)
			if !came {
				waiting <- test.holds() || test.idle.b != nil
			}
			return came
		}
		for range 3 {
			received := make(chan string, 1)
			go func() {
				data, err := test.receiver.Receive()
				if err != nil {
					t.Error(err)
				}
				received <- string(data)
			}()
			if <-waiting {
				t.Errorf("%s: a buffer is held", test.name)
			}
			test.peer.Write([]byte("y"))
			if got := <-received; got != "y" {
				t.Errorf("%s: %q", test.name, got)
			}
		}
		test.idle.try = test.idle.readNow
	}
}
