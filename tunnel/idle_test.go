package tunnel

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"tlsup/internal/connect"
)

// faulty is a connection that panics once the session has begun.
type faulty struct {
	halfPipe
	read, write atomic.Bool
}

func (f *faulty) Read(p []byte) (int, error) {
	if f.read.Load() {
		panic("fault in Read")
	}
	return f.halfPipe.Read(p)
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.write.Load() {
		panic("fault in Write")
	}
	return f.halfPipe.Write(p)
}

// TestFaultInSession: a panic in either direction ends the connection alone, and the log tells
// where it was.
func TestFaultInSession(t *testing.T) {
	for _, in := range []string{"Read", "Write"} {
		s := serve(t, "smtps")
		pair := to(t, "smtps", s)
		journal := newJournal()
		b := &Server{Log: journal.logger()}
		client, local := net.Pipe()
		defer client.Close()
		f := &faulty{halfPipe: halfPipe{local}}
		f.read.Store(in == "Read")
		f.write.Store(in == "Write")
		if err := b.ServeConn(context.Background(), &pair, f); err == nil || err.Error() != "fault in the tunnel: fault in "+in {
			t.Errorf("%s: %v", in, err)
		}
		line := journal.await(t, "fault in the tunnel, please report it", 1)
		if stack, _ := line["stack"].(string); !strings.Contains(stack, "(*faulty)."+in) {
			t.Errorf("%s: stack %q", in, stack)
		}
		if _, err := client.Write([]byte("x")); err == nil {
			t.Errorf("%s: the client's connection is open", in)
		}
	}
}

// TestFaultBefore: one before the session is in the log with its place, too.
func TestFaultBefore(t *testing.T) {
	journal := newJournal()
	b := &Server{Log: journal.logger()}
	pair := Pair{Options: func() *connect.Options { panic("no options") }}
	client, local := net.Pipe()
	defer client.Close()
	if err := b.ServeConn(context.Background(), &pair, halfPipe{local}); err == nil || err.Error() != "fault in the tunnel: no options" {
		t.Error(err)
	}
	line := journal.await(t, "fault in the tunnel, please report it", 1)
	if stack, _ := line["stack"].(string); !strings.Contains(stack, "TestFaultBefore.") {
		t.Errorf("stack %q", stack)
	}
}

// TestRelief gives memory back when a burst has been opened, once.
func TestRelief(t *testing.T) {
	var r relief
	for range burst - 1 {
		r.opened()
	}
	if r.timer != nil {
		t.Fatal("before there was a burst")
	}
	r.opened()
	if r.timer == nil || !r.timer.Stop() {
		t.Fatal("not behind a burst")
	}
	r.give()
	for range burst - 1 {
		r.opened()
	}
	if r.timer.Stop() {
		t.Error("at once again")
	}
}
