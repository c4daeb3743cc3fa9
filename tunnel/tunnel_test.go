package tunnel

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/testca"
	"tlsup/internal/testserver"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// TestSessions holds, through the tunnel, a session in the clear with each server inside the process,
// and compares it to one without a tunnel.
func TestSessions(t *testing.T) {
	for _, name := range testserver.Names() {
		p := negotiate.Find(name)
		if p.NoTunnel != "" || ownClient[name] {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, name)
			pair := to(t, name, s)
			end := "\r\n"
			if testserver.PacketsOf(name) != nil {
				end = ""
			}
			said := strings.Join(append(slices.Clone(testserver.Talk(name)), ""), end)
			if name == "diameter" {
				pair.Options().Name = "" // the client's own is said
			}

			direct, err := connect.Open(t.Context(), pair.Target, pair.Options())
			if err != nil {
				t.Fatal(err)
			}
			defer direct.Close()
			io.WriteString(direct, said)
			direct.CloseWrite()
			want, err := io.ReadAll(direct)
			if err != nil {
				t.Fatal(err)
			}

			b := start(t, pair, nil)
			client := dial(t, b)
			io.WriteString(client, ahead[name]+said)
			client.CloseWrite()
			got, err := io.ReadAll(client)
			if err != nil {
				t.Fatal(err)
			}
			greeting, ok := strings.CutSuffix(stamp.ReplaceAllString(string(got), "..."), stamp.ReplaceAllString(string(want), "..."))
			if !ok {
				t.Errorf("the client is told %q, the server says %q", got, want)
			}
			if p.Upgrade != nil && p.Greets && greeting == "" && !repeats[name] {
				t.Errorf("the client is shown no greeting: %q", got)
			}
			t.Logf("greeting %q", greeting)
			client.Close()
			b.journal.await(t, "opened", 1)
			if line := b.journal.await(t, "closed", 1); line["error"] != nil || p.Lead == nil && line["sent"] != float64(len(said)) || line["received"] != float64(len(want)) {
				t.Errorf("log: %v; sent %d, received %d", line, len(said), len(want))
			}
		})
	}
}

// ownClient are the protocols in which the tunnel rewrites what both say: drivers and programs speak
// through it, in tests of their own.
var ownClient = map[string]bool{"mysql": true, "mssql": true, "tds8": true}

// ahead is what a client says in the clear that the upgrade, which came before it, has said for itself.
var ahead = map[string]string{
	"diameter": testserver.Talk("diameters")[0],
	"doveadm":  "VERSION\tdoveadm-server\t1\t2\n",
	"nbd":      "\x00\x00\x00\x01",                 // fixed newstyle
	"quassel":  "\x42\xb3\x3f\x00\x80\x00\x00\x02", // the datastream protocol, without encryption
	"vnc":      "RFB 003.008\n\x01",                // no authentication
}

// stamp is what a server says that is each connection's own: the beginning of a POP3 server's stamp, the
// number of an XMPP stream, a client's address in STUN.
var stamp = regexp.MustCompile(`(?s)<[0-9]+\.[0-9]+@| id='[A-Z2-7]+'|\x00 \x00\x08\x00\x01.*`)

// TestNoTunnel: a client that could not be led is closed, with the reason in the log.
func TestNoTunnel(t *testing.T) {
	for _, p := range negotiate.All() {
		if p.NoTunnel == "" {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			b := start(t, to(t, p.Name, serve(t, p.Name)), nil)
			client := dial(t, b)
			if got, err := io.ReadAll(client); len(got) > 0 || err != nil {
				t.Errorf("the client is told %q, %v", got, err)
			}
			if line := b.journal.await(t, "failed", 1); !strings.Contains(line["error"].(string), p.Name+" can't be tunnelled: "+p.NoTunnel) {
				t.Error(line)
			}
		})
	}
}

// repeats are the protocols whose servers greet again inside TLS.
var repeats = map[string]bool{"sieve": true, "acap": true, "mupdate": true, "mtqp": true, "xmpp": true, "irc": true, "beep": true, "csync": true}

// A peer is a TLS server that the test leads by hand.
type peer struct {
	net.Listener
	ca *testca.CA
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	ca, err := testca.New("tunnel test authority")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue([]string{"127.0.0.1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &peer{l, ca}
}

// next accepts a connection and shakes hands.
func (p *peer) next(t *testing.T) *tls.Conn {
	t.Helper()
	conn, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(limit))
	if err := conn.(*tls.Conn).Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn.(*tls.Conn)
}

func (p *peer) pair(t *testing.T) Pair {
	o := options(t, p.ca)
	return Pair{
		Target:  connect.Target{Protocol: negotiate.TLS(), Host: "127.0.0.1", Port: p.Addr().(*net.TCPAddr).Port},
		Options: func() *connect.Options { return o },
	}
}

// joined is a client that the tunnel has connected to a peer.
func joined(t *testing.T, change func(*Server)) (client *net.TCPConn, server *tls.Conn, b *bench) {
	t.Helper()
	p := newPeer(t)
	b = start(t, p.pair(t), change)
	client = dial(t, b)
	server = p.next(t)
	b.journal.await(t, "opened", 1)
	return client, server, b
}

// TestHalfClose: the end of each side reaches the other, which can still speak.
func TestHalfClose(t *testing.T) {
	t.Run("client", func(t *testing.T) {
		client, server, b := joined(t, nil)
		io.WriteString(client, "question")
		client.CloseWrite()
		if got, err := io.ReadAll(server); string(got) != "question" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		io.WriteString(server, "answer")
		server.Close()
		if got, err := io.ReadAll(client); string(got) != "answer" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		if line := b.journal.await(t, "closed", 1); line["error"] != nil {
			t.Error(line)
		}
	})
	t.Run("server", func(t *testing.T) {
		client, server, b := joined(t, nil)
		io.WriteString(server, "news")
		server.CloseWrite()
		if got, err := io.ReadAll(client); string(got) != "news" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		io.WriteString(client, "thanks")
		client.Close()
		if got, err := io.ReadAll(server); string(got) != "thanks" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		server.Close()
		if line := b.journal.await(t, "closed", 1); line["error"] != nil {
			t.Error(line)
		}
	})
}

// TestCut: a stream that was cut does not look whole to the client, and a client that
// vanished does not look finished to the server.
func TestCut(t *testing.T) {
	t.Run("by the server", func(t *testing.T) {
		client, server, b := joined(t, nil)
		io.WriteString(server, "half")
		server.NetConn().Close()
		got, err := io.ReadAll(client)
		if string(got) != "half" || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%q, %v", got, err)
		}
		if line := b.journal.await(t, "closed", 1); !strings.Contains(line["error"].(string), "server: peer cut the TLS stream without close_notify") {
			t.Error(line)
		}
	})
	t.Run("by the server, behind the client's end", func(t *testing.T) {
		client, server, b := joined(t, nil)
		client.CloseWrite()
		if _, err := io.ReadAll(server); err != nil {
			t.Fatal(err)
		}
		io.WriteString(server, "all")
		server.NetConn().Close()
		if got, err := io.ReadAll(client); string(got) != "all" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if line := b.journal.await(t, "closed", 1); line["error"] != nil {
			t.Error(line)
		}
	})
	t.Run("by the client", func(t *testing.T) {
		client, server, b := joined(t, nil)
		io.WriteString(client, "half")
		if _, err := io.ReadFull(server, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		client.SetLinger(0)
		client.Close()
		if n, err := server.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF && !isCut(server) {
			t.Errorf("%d, %v", n, err)
		}
		if line := b.journal.await(t, "closed", 1); !strings.Contains(line["error"].(string), "client: ") {
			t.Error(line)
		}
	})
}

// isCut reports whether a session ended without close_notify: crypto/tls takes the end of the
// connection between two records for a clean one, but has noted no end of its own.
func isCut(c *tls.Conn) bool {
	n, err := c.NetConn().Read(make([]byte, 1))
	return n == 0 && err != nil
}

// TestData: what goes in comes out, in both directions at once.
func TestData(t *testing.T) {
	for _, raw := range []bool{false, true} {
		name := map[bool]string{false: "tunnel", true: "raw"}[raw]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t)
			pair := p.pair(t)
			pair.Raw = raw
			b := start(t, pair, nil)
			var client end = dial(t, b)
			if raw {
				tc := tls.Client(client, &tls.Config{ServerName: "127.0.0.1", RootCAs: p.ca.Pool()})
				go tc.Handshake()
				client = tc
			}
			server := p.next(t)
			up, down := random(5<<20), random(7<<20)
			var wait sync.WaitGroup
			send := func(w end, data []byte) {
				for len(data) > 0 {
					n := min(len(data), 1+rand.IntN(100<<10))
					if _, err := w.Write(data[:n]); err != nil {
						t.Error(err)
						return
					}
					data = data[n:]
				}
				w.CloseWrite()
			}
			receive := func(r io.Reader, want []byte) {
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
				}
			}
			wait.Go(func() { send(client, up) })
			wait.Go(func() { send(server, down) })
			wait.Go(func() { receive(server, up) })
			wait.Go(func() { receive(client, down) })
			wait.Wait()
			client.Close()
			server.Close()
			line := b.journal.await(t, "closed", 1)
			if sent := int(line["sent"].(float64)); line["error"] != nil || !raw && sent != len(up) || sent < len(up) {
				t.Error(line)
			}
		})
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	seed := [32]byte{1}
	rand.NewChaCha8(seed).Read(b)
	return b
}

// TestNoSession: whatever goes wrong before the session, the client is closed, nothing has reached
// it, the log says why, and the tunnel goes on.
func TestNoSession(t *testing.T) {
	s := serve(t, "imap")
	good := to(t, "imap", s)
	for _, test := range []struct {
		name, step string
		pair       func() Pair
	}{
		{"refused", "connect", func() Pair {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			pair := good
			pair.Target.Port = l.Addr().(*net.TCPAddr).Port
			return pair
		}},
		{"not trusted", "verify", func() Pair {
			ca, err := testca.New("somebody else's")
			if err != nil {
				t.Fatal(err)
			}
			pair := good
			o := options(t, ca)
			pair.Options = func() *connect.Options { return o }
			return pair
		}},
		{"no upgrade", "greeting", func() Pair {
			pair := good
			pair.Target.Protocol = negotiate.Find("smtp")
			return pair
		}},
		{"panic", "", func() Pair {
			pair := good
			pair.Options = func() *connect.Options { panic("on purpose") }
			return pair
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, test.pair(), nil)
			for i := range 2 {
				client, err := net.Dial("tcp", b.addr)
				if err != nil { // closed as soon as it was accepted
					client, _ = net.Pipe()
					client.Close()
				}
				defer client.Close()
				if got, err := io.ReadAll(client); len(got) > 0 || err != nil && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%q, %v", got, err)
				}
				if test.step == "" {
					b.journal.await(t, "fault in the tunnel, please report it", i+1)
				} else if line := b.journal.await(t, "failed", i+1); line["step"] != test.step {
					t.Error(line)
				}
			}
		})
	}
}

// TestLogTellsApart: whatever the log has of a connection on its way to its session says whose it is.
func TestLogTellsApart(t *testing.T) {
	s := serve(t, "imap")
	pair := to(t, "imap", s)
	settings, err := trust.Load(trust.Settings{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	o := *pair.Options()
	o.Trust = settings
	pair.Options = func() *connect.Options { return &o }
	b := start(t, pair, nil)
	clients := map[string]*net.TCPConn{}
	for range 2 {
		client := dial(t, b)
		clients[client.LocalAddr().String()] = client
	}
	b.journal.await(t, "opened", 2)
	ids, lines := map[any]any{}, map[string]int{}
	b.journal.mu.Lock()
	defer b.journal.mu.Unlock()
	for _, line := range b.journal.lines {
		client, _ := line["client"].(string)
		if clients[client] == nil || line["id"] == nil || ids[line["id"]] != nil && ids[line["id"]] != client {
			t.Errorf("whose is it? %v", line)
		}
		ids[line["id"]] = client
		text, _ := line["msg"].(string)
		if line["level"] == "WARN" {
			text = "WARN"
		}
		lines[text]++
	}
	for _, text := range []string{"connecting", "C: a2 STARTTLS", "WARN", "handshake", "opened"} {
		if lines[text] != 2 {
			t.Errorf("%q is said %d times: %v", text, lines[text], lines)
		}
	}
}

// TestTLSClient: a client that speaks TLS itself is closed, and the log says what to do.
func TestTLSClient(t *testing.T) {
	for _, name := range []string{"imap", "imaps", "ldap", "xmpp", "postgres", "mysql"} {
		for _, pieces := range []int{1, 100} {
			s := serve(t, name)
			b := start(t, to(t, name, s), nil)
			client := dial(t, b)
			hello := []byte("\x16\x03\x01\x00\x80\x01\x00\x00\x7c\x03\x03")
			for len(hello) > 0 {
				n := min(pieces, len(hello))
				if _, err := client.Write(hello[:n]); err != nil {
					break
				}
				hello = hello[n:]
			}
			io.Copy(io.Discard, client)
			line := b.journal.await(t, map[bool]string{false: "closed", true: "failed"}[negotiate.Find(name).Family == negotiate.Database], 1)
			if text, _ := line["error"].(string); !strings.Contains(text, "the local client speaks TLS") {
				t.Errorf("%s: %v", name, line)
			}
		}
	}
}

// TestLimit: as many connections as allowed, and the next one waits until another has ended.
func TestLimit(t *testing.T) {
	p := newPeer(t)
	b := start(t, p.pair(t), func(s *Server) { s.MaxConnections = 2 })
	first, second := dial(t, b), dial(t, b)
	servers := []*tls.Conn{p.next(t), p.next(t)}
	b.journal.await(t, "as many connections as allowed, new ones wait", 1)
	third := dial(t, b)
	io.WriteString(third, "waiting")
	if n := b.journal.count("opened"); n > 2 {
		t.Errorf("%d connections are open", n)
	}
	first.Close()
	for _, s := range servers {
		go func() {
			io.Copy(io.Discard, s)
			s.Close()
		}()
	}
	server := p.next(t)
	if _, err := io.ReadFull(server, make([]byte, 7)); err != nil {
		t.Error(err)
	}
	second.Close()
	if n := b.journal.count("as many connections as allowed, new ones wait"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// toldListener tells when it is closed.
type toldListener struct {
	*net.TCPListener
	once   sync.Once
	closed chan struct{}
}

func (l *toldListener) Close() error {
	err := l.TCPListener.Close()
	l.once.Do(func() { close(l.closed) })
	return err
}

// TestDrain: told to stop, the tunnel takes no new connections and waits for the open ones, but not
// for ever.
func TestDrain(t *testing.T) {
	t.Run("ends", func(t *testing.T) {
		p := newPeer(t)
		pair := p.pair(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener := &toldListener{TCPListener: l.(*net.TCPListener), closed: make(chan struct{})}
		pair.Listener = listener
		b := start(t, pair, nil)
		client := dial(t, b)
		server := p.next(t)
		b.journal.await(t, "opened", 1)
		b.stop()
		<-listener.closed
		if conn, err := net.Dial("tcp", b.addr); err == nil {
			conn.Close()
			t.Error("a new connection is taken")
		}
		io.WriteString(client, "last words")
		if _, err := io.ReadFull(server, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		client.Close()
		server.Close()
		if err := b.end(t); err != nil {
			t.Error(err)
		}
	})
	for name, hurry := range map[string]func(*bench){
		"at once": func(b *bench) { b.stop(); b.now() },
		"in time": func(b *bench) { b.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			client, server, b := joined(t, func(s *Server) {
				if name == "in time" {
					s.Drain = 10 * time.Millisecond
				}
			})
			hurry(b)
			if err := b.end(t); !errors.Is(err, ErrCutOff) {
				t.Error(err)
			}
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client met %v", err)
			}
			if _, err := server.Read(make([]byte, 1)); err == nil {
				t.Error("the server met nothing")
			}
		})
	}
}

// TestDrainAtLimit: a client that waits in the backlog when the tunnel is told to stop is served when
// there is room, or cut at the end.
func TestDrainAtLimit(t *testing.T) {
	for _, served := range []bool{true, false} {
		t.Run(map[bool]string{true: "served", false: "cut"}[served], func(t *testing.T) {
			p := newPeer(t)
			pair := p.pair(t)
			listener := &toldListener{TCPListener: listen(t, "0", 0).(*net.TCPListener), closed: make(chan struct{})}
			pair.Listener = listener
			b := start(t, pair, func(s *Server) { s.MaxConnections = 1 })
			first := dial(t, b)
			server := p.next(t)
			b.journal.await(t, "as many connections as allowed, new ones wait", 1)
			waiting := []*net.TCPConn{dial(t, b), dial(t, b)}
			for _, client := range waiting {
				io.WriteString(client, "waiting")
				client.CloseWrite()
			}
			b.stop()
			<-listener.closed
			if conn, err := net.Dial("tcp", b.addr); err == nil {
				conn.Close()
				t.Error("a new connection is taken")
			}
			if !served {
				b.now()
				if err := b.end(t); !errors.Is(err, ErrCutOff) {
					t.Error(err)
				}
				for i, client := range waiting {
					if n, err := client.Read(make([]byte, 1)); n > 0 || err == nil {
						t.Errorf("%d bytes, %v", n, err)
					}
					if line := b.journal.await(t, "failed", i+1); line["error"] != errStopped.Error() {
						t.Error(line)
					}
				}
				return
			}
			first.Close()
			server.Close()
			for range waiting {
				server := p.next(t)
				if got, err := io.ReadAll(server); string(got) != "waiting" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
				server.Close()
			}
			if err := b.end(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestIdle: a connection on which nothing moves is cut.
func TestIdle(t *testing.T) {
	client, _, b := joined(t, func(s *Server) { s.Idle = 50 * time.Millisecond })
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	if line := b.journal.await(t, "closed", 1); line["error"] != "nothing moved for 50ms" {
		t.Error(line)
	}
}

// flakyListener fails some times before it accepts.
type flakyListener struct {
	net.Listener
	errors chan error
}

func (l *flakyListener) Accept() (net.Conn, error) {
	select {
	case err := <-l.errors:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: err}
	default:
		return l.Listener.Accept()
	}
}

// TestAcceptRecovers: out of file descriptors for a while, the tunnel waits; a listener that is
// broken ends it.
func TestAcceptRecovers(t *testing.T) {
	s := serve(t, "imap")
	pair := to(t, "imap", s)
	flaky := &flakyListener{listen(t, "127.0.0.1:0", 0), make(chan error, 3)}
	for range 3 {
		flaky.errors <- syscall.EMFILE
	}
	pair.Listener = flaky
	b := start(t, pair, func(s *Server) { s.MaxConnections = 1 })
	client := dial(t, b)
	if line, err := bufio.NewReader(client).ReadString('\n'); !strings.HasPrefix(line, "* OK") {
		t.Error(line, err)
	}
	b.journal.await(t, "accept works again", 1)
	if b.acceptFailed.Load() == 0 {
		t.Error("the watchdog would not know of it")
	}
	b.acceptFailed.Store(time.Now().Add(time.Hour).UnixNano()) // lately, for a while
	if b.Accepting() {
		t.Error("the watchdog would be told that accepting works")
	}
	if n := b.journal.count("accept fails, trying again"); n != 1 {
		t.Errorf("said %d times", n)
	}

	flaky.errors <- errors.New("broken")
	client.Close() // accepting goes on
	select {
	case err := <-b.served:
		b.served <- err
		if err == nil || !strings.Contains(err.Error(), "accept: ") {
			t.Error(err)
		}
	case <-time.After(limit):
		t.Error("it goes on")
	}
}

// TestServeConn: one client alone.
func TestServeConn(t *testing.T) {
	s := serve(t, "pop3")
	pair := to(t, "pop3", s)
	b := &Server{Log: newJournal().logger()}
	client, local := net.Pipe()
	defer client.Close()
	served := make(chan error, 1)
	go func() { served <- b.ServeConn(context.Background(), &pair, halfPipe{local}) }()
	r := bufio.NewReader(client)
	if line, err := r.ReadString('\n'); !strings.HasPrefix(line, "+OK") {
		t.Fatal(line, err)
	}
	io.WriteString(client, "QUIT\r\n")
	if line, err := r.ReadString('\n'); !strings.HasPrefix(line, "+OK") {
		t.Fatal(line, err)
	}
	client.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// halfPipe is a net.Pipe that can't end one side alone.
type halfPipe struct{ net.Conn }

func (halfPipe) CloseWrite() error { return nil }
