package tunnel

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testca"
	"tlsup/negotiate"
)

// A speaker is one side of a control connection, led by hand.
type speaker struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func newSpeaker(t *testing.T, conn net.Conn) *speaker {
	return &speaker{t, conn, bufio.NewReader(conn)}
}

func (s *speaker) say(lines ...string) {
	s.t.Helper()
	if _, err := io.WriteString(s.Conn, strings.Join(append(lines, ""), "\r\n")); err != nil {
		s.t.Fatal(err)
	}
}

func (s *speaker) hear(lines ...string) {
	s.t.Helper()
	for _, want := range lines {
		if line, err := s.r.ReadString('\n'); line != want+"\r\n" || err != nil {
			s.t.Fatalf("%q, %v, want %q", line, err, want)
		}
	}
}

// ends checks that nothing more comes.
func (s *speaker) ends() {
	s.t.Helper()
	if rest, err := io.ReadAll(s.r); len(rest) > 0 {
		s.t.Errorf("%q, %v", rest, err)
	}
}

// An ftpBench is a file server and its client, with the tunnel between.
type ftpBench struct {
	*bench
	t              *testing.T
	peer           *peer
	configs        map[*testca.CA]*tls.Config // of the server's ports: one each, to share its sessions
	client, server *speaker
}

// ftpBetween begins a session. where is where the tunnel listens, host where the server does.
func ftpBetween(t *testing.T, where, host string) *ftpBench {
	t.Helper()
	f := &ftpBench{t: t, peer: newPeer(t), configs: map[*testca.CA]*tls.Config{}}
	f.peer.Listener = f.listen(host, f.peer.ca)
	pair := f.peer.pair(t)
	pair.Target.Protocol, pair.Target.Host = negotiate.Find("ftps"), host
	pair.Listener = listen(t, where, 0)
	f.bench = start(t, pair, nil)
	conn, err := net.Dial(pair.Listener.Addr().Network(), f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(limit))
	f.client, f.server = newSpeaker(t, conn), newSpeaker(t, f.peer.next(t))
	return f
}

// ftp begins a session and protects it.
func ftp(t *testing.T) *ftpBench {
	t.Helper()
	f := ftpBetween(t, "0", "127.0.0.1")
	f.begin()
	return f
}

func (f *ftpBench) begin() {
	f.t.Helper()
	f.server.say("120 wait", "220-hello", " all", "220 ready")
	f.server.hear("PBSZ 0")
	f.server.say("200 fine")
	f.server.hear("PROT P")
	f.server.say("200 fine")
	f.client.hear("220-hello", " all", "220 ready")
}

// asks has the client say something that reaches the server as it is, and is answered.
func (f *ftpBench) asks(command string, answer ...string) {
	f.t.Helper()
	f.client.say(command)
	f.server.hear(command)
	f.server.say(answer...)
	f.client.hear(answer...)
}

// listen opens a port of the server's.
func (f *ftpBench) listen(host string, ca *testca.CA) net.Listener {
	f.t.Helper()
	l, err := tls.Listen("tcp", net.JoinHostPort(host, "0"), f.config(host, ca))
	if err != nil {
		f.t.Skip(err)
	}
	f.t.Cleanup(func() { l.Close() })
	return l
}

func (f *ftpBench) config(host string, ca *testca.CA) *tls.Config {
	f.t.Helper()
	if f.configs[ca] == nil {
		cert, err := ca.Issue([]string{host}, nil)
		if err != nil {
			f.t.Fatal(err)
		}
		f.configs[ca] = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	return f.configs[ca]
}

// passive opens a data port on both sides, and returns the server's and the address of the tunnel's.
func (f *ftpBench) passive(ca *testca.CA) (net.Listener, string) {
	f.t.Helper()
	l := f.listen("127.0.0.1", ca)
	port := l.Addr().(*net.TCPAddr).Port
	f.client.say("PASV")
	f.server.hear("PASV")
	// The address is somebody else's: it is not to be used.
	f.server.say("227-Entering", fmt.Sprintf("227 Passive Mode (192,0,2,1,%d,%d).", port>>8, port&0xff))
	return l, f.entered()
}

// entered reads the answer to PASV.
func (f *ftpBench) entered() string {
	f.t.Helper()
	line, err := f.client.r.ReadString('\n')
	m := regexp.MustCompile(`^227 Entering Passive Mode \(127,0,0,1,(\d+),(\d+)\)\r\n$`).FindStringSubmatch(line)
	if err != nil || m == nil {
		f.t.Fatalf("%q, %v", line, err)
	}
	high, _ := strconv.Atoi(m[1])
	low, _ := strconv.Atoi(m[2])
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(high<<8|low))
}

// connected opens a passive data connection for a transfer, and returns its two ends.
func (f *ftpBench) connected(command string) (client *net.TCPConn, server *tls.Conn) {
	f.t.Helper()
	l, addr := f.passive(f.peer.ca)
	f.asks(command, "150 coming")
	return f.dial(addr), (&peer{Listener: l}).next(f.t)
}

func (f *ftpBench) dial(addr string) *net.TCPConn {
	f.t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(limit))
	return conn.(*net.TCPConn)
}

// isReset checks that a connection ends with an error behind some bytes.
func isReset(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	if got, err := io.ReadAll(conn); string(got) != want || err == nil || os.IsTimeout(err) {
		t.Errorf("%q, %v: want %q and a failure", got, err, want)
	}
}

// TestFTPCommands: what would take protection away is hidden and refused, in the order of the
// commands.
func TestFTPCommands(t *testing.T) {
	f := ftp(t)
	f.client.say("NOOP", "auth tls", "PBSZ 0", "prot c", "CCC", "REIN", "P@SW", "SITE x\ry", "", "FEAT", "PORT 192,0,2,1,4,5",
		"PORT 127,0,0,1,0,80", "EPRT |2|::1|2000|", "EPRT |3|x|2000|", "PORT 1,2", "\xff\xf4\xffSYST now")
	f.server.hear("NOOP")
	f.server.say("200 fine")
	f.server.hear("FEAT")
	f.server.say("211-Features", " AUTH TLS", " PBSZ", " UTF8", " prot", "211-CCC;x", " MLST type*;size*", "211 End")
	f.server.hear("SYST now")
	f.server.say("215-UNIX", "211 is no end", "215")
	const own, past = "534 The tunnel speaks TLS in the client's place", "502 Not through the tunnel"
	const none, notYours = "500 That is no command", "501 The address has to be the client's own, the port over 1023"
	f.client.hear("200 fine", own, own, own, own, past, none, none, none, "211-Features", " UTF8", " MLST type*;size*", "211 End",
		notYours, notYours, notYours, "522 Unknown network protocol, use (1,2)", "501 Syntax error in the argument",
		"215-UNIX", "211 is no end", "215")
	f.client.say("QUIT")
	f.server.hear("QUIT")
	f.server.say("221 bye")
	f.server.Close()
	f.client.hear("221 bye")
	f.client.ends()
	f.client.Close()
	if line := f.journal.await(t, "closed", 1); line["error"] != nil {
		t.Error(line)
	}
}

// TestFTPPassive transfers files on data connections that the client opens.
func TestFTPPassive(t *testing.T) {
	f := ftp(t)
	client, server := f.connected("RETR a")
	if !server.ConnectionState().DidResume {
		t.Error("the session is not resumed")
	}
	io.WriteString(server, "a file")
	server.CloseWrite()
	if got, err := io.ReadAll(server); len(got) > 0 || err != nil { // though the client has not closed
		t.Errorf("%q, %v", got, err)
	}
	server.Close()
	f.server.say("226 done")
	if got, err := io.ReadAll(client); string(got) != "a file" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	client.Close()
	f.client.hear("226 done")

	client, server = f.connected("STOR b")
	io.WriteString(client, "another")
	client.Close()
	if got, err := io.ReadAll(server); string(got) != "another" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	server.NetConn().Close() // some servers end so
	f.server.say("226 done")
	f.client.hear("226 done")
	for i := range 2 {
		if line := f.journal.await(t, "transferred", i+1); line["error"] != nil {
			t.Error(line)
		}
	}
}

// TestFTPCut: what was cut does not look whole.
func TestFTPCut(t *testing.T) {
	t.Run("download", func(t *testing.T) {
		f := ftp(t)
		client, server := f.connected("RETR a")
		client.CloseWrite()
		io.WriteString(server, "half")
		server.NetConn().Close()
		isReset(t, client, "half")
		f.server.say("226 done")
		f.client.hear("226 done")
	})
	t.Run("upload", func(t *testing.T) {
		f := ftp(t)
		client, server := f.connected("STOR a")
		io.WriteString(client, "half")
		if _, err := io.ReadFull(server, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		client.SetLinger(0)
		client.Close()
		isReset(t, server, "")
		f.server.say("426 half")
		f.client.hear("426 half")
		f.asks("NOOP", "200 fine")
	})
	t.Run("client killed", func(t *testing.T) {
		f := ftp(t)
		client, server := f.connected("STOR a")
		io.WriteString(client, "half")
		f.client.Close()
		client.Close()
		isReset(t, server, "half")
		f.server.say("426 half")
		f.server.ends()
	})
}

// TestFTPActive transfers a file on a data connection that the server opens.
func TestFTPActive(t *testing.T) {
	for _, command := range []string{"PORT", "EPRT"} {
		f := ftp(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		f.client.say(map[string]string{
			"PORT": fmt.Sprintf("PORT 127,0,0,1,%d,%d", port>>8, port&0xff),
			"EPRT": fmt.Sprintf("EPRT !1!127.0.0.1!%d!", port),
		}[command])
		line, err := f.server.r.ReadString('\n')
		m := regexp.MustCompile(`^PORT 127,0,0,1,(\d+),(\d+)\r\n$`).FindStringSubmatch(line)
		if err != nil || m == nil {
			t.Fatalf("%q, %v", line, err)
		}
		high, _ := strconv.Atoi(m[1])
		low, _ := strconv.Atoi(m[2])
		if high<<8|low == port {
			t.Error("the server is told the client's port")
		}
		f.server.say("200 fine")
		f.client.hear("200 fine")
		f.asks("RETR a", "150 coming")
		conn := f.dial(net.JoinHostPort("127.0.0.1", strconv.Itoa(high<<8|low)))
		server := tls.Server(conn, f.config("127.0.0.1", f.peer.ca))
		client, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(server, "a file")
		server.Close()
		if got, err := io.ReadAll(client); string(got) != "a file" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if !server.ConnectionState().DidResume {
			t.Error("the session is not resumed")
		}
		client.Close()
	}
}

// TestFTPDataNotTrusted: the certificate is verified on data connections too.
func TestFTPDataNotTrusted(t *testing.T) {
	f := ftp(t)
	other, err := testca.New("somebody else's")
	if err != nil {
		t.Fatal(err)
	}
	l, addr := f.passive(other)
	f.asks("RETR a", "150 coming")
	client := f.dial(addr)
	go func() {
		if conn, err := l.Accept(); err == nil {
			io.WriteString(conn, "a secret")
			conn.Close()
		}
	}()
	isReset(t, client, "")
	if line := f.journal.await(t, "failed beside the session", 1); !strings.Contains(line["error"].(string), "verify: ") {
		t.Error(line)
	}
	f.server.say("426 no")
	f.client.hear("426 no")
	f.asks("NOOP", "200 fine")
}

// TestFTPDataClear: a server that sends a file in the clear does not reach the client.
func TestFTPDataClear(t *testing.T) {
	f := ftp(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f.client.say("EPSV")
	f.server.hear("EPSV")
	f.server.say(fmt.Sprintf("229 Entering (|||%d|)", l.Addr().(*net.TCPAddr).Port))
	line, err := f.client.r.ReadString('\n')
	m := regexp.MustCompile(`^229 Entering Extended Passive Mode \(\|\|\|(\d+)\|\)\r\n$`).FindStringSubmatch(line)
	if err != nil || m == nil {
		t.Fatalf("%q, %v", line, err)
	}
	f.asks("RETR a", "150 coming")
	client := f.dial(net.JoinHostPort("127.0.0.1", m[1]))
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "in the clear")
	isReset(t, client, "")
	conn.Close()
}

// TestFTPStranger: only the client may connect to its data port, and the port closes with the
// control connection.
func TestFTPStranger(t *testing.T) {
	f := ftp(t)
	l, addr := f.passive(f.peer.ca)
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.2:0"))}
	stranger, err := dialer.Dial("tcp", addr)
	if err != nil && runtime.GOOS != "linux" {
		t.Skip(err) // not every system has the whole network
	}
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	stranger.SetDeadline(time.Now().Add(limit))
	if n, err := stranger.Read(make([]byte, 1)); n != 0 || err == nil || os.IsTimeout(err) {
		t.Errorf("%d, %v", n, err)
	}
	client := f.dial(addr)
	server := (&peer{Listener: l}).next(t)
	f.asks("LIST", "150 coming")
	io.WriteString(server, "files")
	server.Close()
	if got, err := io.ReadAll(client); string(got) != "files" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	client.Close()
	f.server.say("226 done")
	f.client.hear("226 done")

	_, addr = f.passive(f.peer.ca)
	f.client.say("QUIT")
	f.server.hear("QUIT")
	f.server.say("221 bye")
	f.server.Close()
	f.client.hear("221 bye")
	f.client.Close()
	f.journal.await(t, "closed", 1)
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("the data port is open behind the end")
	}
}

// TestFTPLogin: a server that takes PBSZ and PROT behind the login only is told them there.
func TestFTPLogin(t *testing.T) {
	for _, last := range []string{"200 fine", "536 never"} {
		f := ftpBetween(t, "0", "127.0.0.1")
		f.server.say("220 ready")
		f.server.hear("PBSZ 0")
		f.server.say("530 log in first")
		f.server.hear("PROT P")
		f.server.say("530 log in first")
		f.client.hear("220 ready")
		f.asks("USER me", "331 password")
		f.client.say("PASS it", "NOOP")
		f.server.hear("PASS it")
		f.server.say("230-welcome", "230 you")
		f.server.hear("PBSZ 0", "PROT P")
		f.server.say("200 fine", last)
		if last[0] == '2' {
			f.server.hear("NOOP")
			f.server.say("200 still here")
			f.client.hear("230-welcome", "230 you", "200 still here")
			continue
		}
		f.client.hear("230-welcome", "421 The server refuses TLS for data connections")
		f.client.Close()
		if line := f.journal.await(t, "closed", 1); !strings.Contains(line["error"].(string), `server refuses: "536 never"`) {
			t.Error(line)
		}
	}
}

// TestFTPUnprotected: with a server that refuses PROT P there is no session.
func TestFTPUnprotected(t *testing.T) {
	f := ftpBetween(t, "0", "127.0.0.1")
	f.server.say("220 ready")
	f.server.hear("PBSZ 0")
	f.server.say("502 what?")
	f.server.hear("PROT P")
	f.server.say("536 never")
	f.client.hear("421 The server refuses TLS for data connections")
	f.client.ends()
	f.client.Close()
	if line := f.journal.await(t, "failed", 1); !strings.Contains(line["error"].(string), `upgrade: server refuses: "536 never"`) {
		t.Error(line)
	}
}

// TestFTPStrayPort: a data port of the server's that nobody asked for does not reach the client.
func TestFTPStrayPort(t *testing.T) {
	f := ftp(t)
	f.client.say("NOOP")
	f.server.hear("NOOP")
	f.server.say("227 Entering Passive Mode (127,0,0,1,4,5)")
	f.client.ends()
	if line := f.journal.await(t, "closed", 1); !strings.Contains(line["error"].(string), "unexpected answer") {
		t.Error(line)
	}
}

// TestFTPNoTransfer: a refused transfer ends its data connection, and that is no failure.
func TestFTPNoTransfer(t *testing.T) {
	f := ftp(t)
	_, addr := f.passive(f.peer.ca)
	client := f.dial(addr)
	f.asks("RETR missing", "550 not here")
	isReset(t, client, "")
	for range 3 * 8 { // more than may be open at once
		f.passive(f.peer.ca)
	}
	_, server := f.connected("RETR a")
	if !server.ConnectionState().DidResume {
		t.Error("the session is lost with a handshake that was broken off")
	}
	if n := f.journal.count("failed beside the session"); n != 0 {
		t.Errorf("%d failures", n)
	}
}

// TestFTPAbort: ABOR reaches the server in the middle of a transfer, other commands behind it.
func TestFTPAbort(t *testing.T) {
	f := ftp(t)
	client, server := f.connected("RETR a")
	f.client.say("\xff\xf4\xff\xf2ABOR", "NOOP")
	f.server.hear("ABOR")
	client.Close()
	server.NetConn().Close()
	f.server.say("426 cut", "226 aborted")
	f.server.hear("NOOP")
	f.server.say("200 fine")
	f.client.hear("426 cut", "226 aborted", "200 fine")
}

// TestFTPFamilies: client and server may have addresses of different families.
func TestFTPFamilies(t *testing.T) {
	f := ftpBetween(t, "0", "::1")
	f.begin()
	l := f.listen("::1", f.peer.ca)
	f.client.say("PASV")
	f.server.hear("EPSV")
	f.server.say(fmt.Sprintf("229 (|||%d|)", l.Addr().(*net.TCPAddr).Port))
	client := f.dial(f.entered())
	server := (&peer{Listener: l}).next(t)
	f.asks("LIST", "125 coming")
	io.WriteString(server, "files")
	server.Close()
	if got, err := io.ReadAll(client); string(got) != "files" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	client.Close()
	f.server.say("250 done")
	f.client.hear("250 done")
	f.client.say("PORT 127,0,0,1,200,5")
	line, err := f.server.r.ReadString('\n')
	if !regexp.MustCompile(`^EPRT \|2\|::1\|\d+\|\r\n$`).MatchString(line) || err != nil {
		t.Errorf("%q, %v", line, err)
	}
}

// TestFTPUnix: a client on a Unix socket has a session, and no data connections.
func TestFTPUnix(t *testing.T) {
	f := ftpBetween(t, "unix:"+filepath.Join(t.TempDir(), "s"), "127.0.0.1")
	f.begin()
	f.client.say("PASV", "EPSV", "PORT 127,0,0,1,200,5", "NOOP")
	f.server.hear("NOOP")
	f.server.say("200 fine")
	const none = "502 No data connections: the client's connection has no address"
	f.client.hear(none, none, none, "200 fine")
}

// TestFTPSpeaksTLS: a client that begins a handshake is told apart in the log.
func TestFTPSpeaksTLS(t *testing.T) {
	f := ftp(t)
	io.WriteString(f.client, "\x16\x03\x01\x02\x00\x01")
	if line := f.journal.await(t, "closed", 1); !strings.Contains(line["error"].(string), "the local client speaks TLS: turn TLS off") {
		t.Error(line)
	}
}
