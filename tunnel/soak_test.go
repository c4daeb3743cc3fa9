package tunnel

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/testca"
	"tlsup/negotiate"
)

// soakClients are open at once.
const soakClients = 500

// soakTime is how long the soak goes on: two minutes where there is time.
func soakTime() time.Duration {
	if os.Getenv("CI") == "true" {
		return 2 * time.Minute
	}
	return 5 * time.Second
}

// An echo is a server that upgrades, gives back what it gets, and can be killed and started again
// on its port.
type echo struct {
	config *tls.Config
	addr   string
	kills  atomic.Int64 // counts the ends and the starts

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	wait     sync.WaitGroup
}

func (e *echo) start(t *testing.T) {
	var l net.Listener
	var err error
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		if l, err = net.Listen("tcp", e.addr); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Error(err)
			return
		}
	}
	e.mu.Lock()
	e.listener, e.addr, e.conns = l, l.Addr().String(), map[net.Conn]bool{}
	e.mu.Unlock()
	e.wait.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			e.mu.Lock()
			if e.listener != l { // killed meanwhile
				reset(conn)
			} else {
				e.conns[conn] = true
			}
			e.mu.Unlock()
			e.wait.Go(func() { e.serve(conn) })
		}
	})
	e.kills.Add(1)
}

// kill ends the server as a system ends a process whose clients' data is unread.
func (e *echo) kill() {
	e.kills.Add(1)
	e.mu.Lock()
	e.listener.Close()
	e.listener = nil
	for conn := range e.conns {
		reset(conn)
	}
	e.mu.Unlock()
	e.wait.Wait()
}

func reset(conn net.Conn) {
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// serve speaks NUT's upgrade, the shortest there is.
func (e *echo) serve(conn net.Conn) {
	defer func() {
		e.mu.Lock()
		delete(e.conns, conn)
		e.mu.Unlock()
		conn.Close()
	}()
	line := make([]byte, len("STARTTLS\n"))
	if _, err := io.ReadFull(conn, line); err != nil || string(line) != "STARTTLS\n" {
		return
	}
	io.WriteString(conn, "OK STARTTLS\n")
	tc := tls.Server(conn, e.config)
	buf := make([]byte, 16<<10)
	if _, err := io.CopyBuffer(struct{ io.Writer }{tc}, struct{ io.Reader }{tc}, buf); err != nil {
		return
	}
	tc.CloseWrite()
	io.CopyBuffer(io.Discard, struct{ io.Reader }{conn}, buf) // the client's end
}

// TestSoak: clients that talk, wait and vanish, a server that is killed and started again. No byte
// is lost without an error, and no goroutine or file is left.
func TestSoak(t *testing.T) {
	ca, err := testca.New("soak test authority")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue([]string{"127.0.0.1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := &echo{config: &tls.Config{Certificates: []tls.Certificate{cert}}, addr: "127.0.0.1:0"}
	server.start(t)
	o := options(t, ca)
	pair := Pair{
		Target:  connect.Target{Protocol: negotiate.Find("nut"), Host: "127.0.0.1", Port: server.listener.Addr().(*net.TCPAddr).Port},
		Options: func() *connect.Options { return o },
	}
	b := start(t, pair, func(s *Server) { s.Log = slog.New(slog.DiscardHandler) })
	s := &soak{T: t, addr: b.addr, server: server, data: random(256 << 10)}
	s.talk() // what is made once is there from now on
	goroutines, files := settled(0, 0)

	end := time.Now().Add(soakTime())
	var clients sync.WaitGroup
	for range soakClients {
		clients.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				s.client()
			}
		})
	}
	for time.Now().Before(end) && !t.Failed() {
		time.Sleep(max(soakTime()/8, 3*time.Second))
		server.kill()
		time.Sleep(50 * time.Millisecond)
		server.start(t)
	}
	clients.Wait()
	t.Logf("%d sessions were whole, %d were broken by the server's end, %d by the client's", s.whole.Load(), s.broken.Load(), s.vanished.Load())
	if s.whole.Load() == 0 || s.broken.Load() == 0 || s.vanished.Load() == 0 {
		t.Error("not all of it has happened")
	}
	nowGoroutines, nowFiles := settled(goroutines, files)
	if nowGoroutines > goroutines || nowFiles > files {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines and %d files, before that %d and %d:\n%s", nowGoroutines, nowFiles, goroutines, files, buf[:runtime.Stack(buf, true)])
	}
	s.talk() // it goes on
	server.kill()
}

// settled counts goroutines and open files when they have gone down to those given, or don't.
func settled(goroutines, files int) (g, f int) {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		g, f = runtime.NumGoroutine(), openFiles()
		if g <= goroutines && f <= files || time.Now().After(deadline) || goroutines == 0 && time.Until(deadline) < 18*time.Second {
			return g, f
		}
	}
}

// openFiles counts the process' open files where the system tells.
func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// A soak is what its clients share.
type soak struct {
	*testing.T
	addr   string
	server *echo
	data   []byte

	whole, broken, vanished atomic.Int64
}

// client is one client, of some temper.
func (s *soak) client() {
	switch rand.IntN(10) {
	case 0:
		s.vanish()
	case 1:
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)
	default:
		s.talk()
	}
}

// talk sends and reads back. An error is the server's end, if that has come meanwhile.
func (s *soak) talk() {
	before := s.server.kills.Load()
	err := s.exchange()
	switch after := s.server.kills.Load(); {
	case err == nil:
		s.whole.Add(1)
	case errors.Is(err, errLost):
		s.Error(err)
	case before == after && before%2 == 1:
		s.Errorf("without an end of the server: %v", err)
	default:
		s.broken.Add(1)
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
	}
}

// errLost tells that a session ended cleanly though bytes are missing.
var errLost = errors.New("bytes were lost without an error")

func (s *soak) exchange() error {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	size := rand.IntN(len(s.data))
	if rand.IntN(4) > 0 {
		size = rand.IntN(2000)
	}
	data := s.data[:size]
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(data)
		if err == nil {
			err = conn.(*net.TCPConn).CloseWrite()
		}
		sent <- err
	}()
	got, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil {
		conn.Close()
		<-sent
		return err
	}
	if err := <-sent; err != nil {
		return err
	}
	// A connection that never got its session is closed with nothing on it.
	if len(got) == 0 && size > 0 {
		return errors.New("closed")
	}
	if !bytes.Equal(got, data) {
		return errLost
	}
	return nil
}

// vanish goes away in the middle.
func (s *soak) vanish() {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		return
	}
	conn.SetDeadline(time.Now().Add(limit))
	conn.Write(s.data[:rand.IntN(len(s.data))])
	if rand.IntN(2) == 0 {
		reset(conn)
	} else {
		conn.Close()
	}
	s.vanished.Add(1)
}
