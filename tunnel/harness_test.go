package tunnel

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/testca"
	"tlsup/internal/testserver"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// limit bounds what should not take long at all.
const limit = time.Minute

// A journal is a log that can be asked for its lines.
type journal struct {
	mu    sync.Mutex
	lines []map[string]any
	more  chan struct{} // closed and replaced at each line
}

func newJournal() *journal { return &journal{more: make(chan struct{})} }

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (j *journal) Write(p []byte) (int, error) {
	var line map[string]any
	if err := json.NewDecoder(bytes.NewReader(p)).Decode(&line); err != nil {
		return 0, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
	close(j.more)
	j.more = make(chan struct{})
	return len(p), nil
}

// await waits for the n-th line with that message, counted from 1.
func (j *journal) await(t *testing.T, message string, n int) map[string]any {
	t.Helper()
	deadline := time.After(limit)
	for {
		j.mu.Lock()
		found, more := 0, j.more
		for _, line := range j.lines {
			if line["msg"] == message {
				if found++; found == n {
					j.mu.Unlock()
					return line
				}
			}
		}
		j.mu.Unlock()
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("the log has no line %d of %q: %v", n, message, j.lines)
		}
	}
}

func (j *journal) count(message string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines {
		if line["msg"] == message {
			n++
		}
	}
	return n
}

// A bench is a tunnel in front of a server.
type bench struct {
	*Server
	addr    string
	journal *journal
	stop    context.CancelFunc // drains
	now     context.CancelFunc // ends at once
	served  chan error
}

// end stops the tunnel and returns what Serve did.
func (b *bench) end(t *testing.T) error {
	t.Helper()
	b.stop()
	select {
	case err := <-b.served:
		b.served <- err
		return err
	case <-time.After(limit):
		t.Fatal("the tunnel does not end")
		return nil
	}
}

// start serves a pair on a free port. change, if not nil, may alter the server.
func start(t *testing.T, pair Pair, change func(*Server)) *bench {
	t.Helper()
	if pair.Listener == nil {
		pair.Listener = listen(t, "0", 0)
	}
	b := &bench{journal: newJournal(), addr: pair.Listener.Addr().String(), served: make(chan error, 1)}
	b.Server = &Server{Pairs: []Pair{pair}, Timeout: limit, Drain: limit, Log: b.journal.logger()}
	if change != nil {
		change(b.Server)
	}
	stop, cancel := context.WithCancel(context.Background())
	now, cancelNow := context.WithCancel(context.Background())
	b.stop, b.now = cancel, cancelNow
	go func() { b.served <- b.Serve(stop, now) }()
	t.Cleanup(func() {
		cancelNow()
		b.end(t)
	})
	return b
}

// listen opens a listener.
func listen(t testing.TB, where string, mode fs.FileMode) net.Listener {
	t.Helper()
	place, err := ParsePlace(where)
	if err != nil {
		t.Fatal(err)
	}
	l, err := place.Listen(mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// to is the pair that leads to a server inside the process.
func to(t testing.TB, name string, s *testserver.Server) Pair {
	t.Helper()
	p := negotiate.Find(name)
	o := options(t, s.CA)
	switch p.Names {
	case negotiate.OwnName:
		o.Name = "client.example.org"
	case negotiate.ServiceDomain:
		o.Name = "example.org"
	}
	return Pair{
		Target:  connect.Target{Protocol: p, Host: "127.0.0.1", Port: s.Addr.Port},
		Options: func() *connect.Options { return o },
	}
}

// options trust an authority.
func options(t testing.TB, ca *testca.CA) *connect.Options {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := trust.Load(trust.Settings{CAFiles: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	return &connect.Options{Network: "tcp", Trust: config, Sessions: connect.NewSessions(), Settings: new(connect.Settings)}
}

// serve starts a server inside the process.
func serve(t *testing.T, name string) *testserver.Server {
	t.Helper()
	s, err := testserver.Start(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// dial connects to the tunnel.
func dial(t *testing.T, b *bench) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(limit))
	return conn.(*net.TCPConn)
}
