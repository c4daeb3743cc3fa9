package negotiate

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testca"
)

// An exchange is one recorded dialogue from testdata/PROTOCOL/CASE.txt:
//
//	# what the case shows
//	name: client.example.org     the options (host, port, name, from), optional
//	want: ok                     or the text that the error has to contain
//	step: upgrade                the error's step, with an error
//	hint: text                   what the hint has to contain, optional
//	greeting: 220 x ESMTP\r\n    what a tunnel's client is shown, optional
//	trace: C: SSLRequest         a line of the trace, optional: if there are any, they are all
//
//	S: 220 mail.example.org      sent by the server, with CRLF
//	S- 220 mail.exam             sent by the server, as it stands
//	C: EHLO client.example.org   expected of the client, with CRLF
//	C- <starttls/>               expected of the client, as it stands
//	close                        the server closes
//	stall                        the server says nothing more
//	TLS                          what follows is said inside TLS, before the session begins
//
// Escapes of Go strings are understood: \x00, \r, \n, \\.
type exchange struct {
	file     string
	options  Options
	want     string
	atLeast  string // of want, when bytes come one by one; "": all
	step     Step
	hint     string
	greeting *string
	trace    []string
	moves    []move
	inside   []move // inside TLS
}

// A move is something that one side does.
type move struct {
	server bool
	text   string // "" for close and stall
	close  bool
	stall  bool
}

func readExchange(t testing.TB, file string) exchange {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	x := exchange{file: file, options: Options{Host: "mail.example.org"}}
	unquote := func(s string) string {
		u, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
		if err != nil {
			t.Fatalf("%s: %q: %v", file, s, err)
		}
		return u
	}
	moves := &x.moves
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		key, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" || line[0] == '#':
		case key == "host":
			x.options.Host = value
		case key == "port":
			if x.options.Port, err = strconv.Atoi(value); err != nil {
				t.Fatal(err)
			}
		case key == "name":
			x.options.Name = unquote(value)
		case key == "from":
			x.options.From = unquote(value)
		case key == "want":
			x.want = value
		case key == "at least":
			x.atLeast = value
		case key == "step":
			x.step = Step(value)
		case key == "hint":
			x.hint = value
		case key == "greeting":
			g := unquote(value)
			x.greeting = &g
		case key == "trace":
			x.trace = append(x.trace, unquote(value))
		case key == "S" || key == "C":
			*moves = append(*moves, move{server: key == "S", text: unquote(value) + "\r\n"})
		case line == "S:" || line == "C:":
			*moves = append(*moves, move{server: line[0] == 'S', text: "\r\n"})
		case strings.HasPrefix(line, "S- ") || strings.HasPrefix(line, "C- "):
			*moves = append(*moves, move{server: line[0] == 'S', text: unquote(line[3:])})
		case line == "close":
			*moves = append(*moves, move{server: true, close: true})
		case line == "stall":
			*moves = append(*moves, move{server: true, stall: true})
		case line == "TLS":
			moves = &x.inside
		default:
			t.Fatalf("%s: a line that says nothing: %q", file, line)
		}
	}
	if x.want == "" {
		t.Fatalf("%s: no want", file)
	}
	return x
}

// A segmentation is how the server's bytes are cut into writes.
type segmentation struct {
	name   string
	writes func([]move) [][]byte // of consecutive moves of the server
}

var segmentations = []segmentation{
	{"one segment", func(ms []move) [][]byte {
		var all []byte
		for _, m := range ms {
			all = append(all, m.text...)
		}
		return [][]byte{all}
	}},
	{"line by line", func(ms []move) [][]byte {
		var lines [][]byte
		for _, m := range ms {
			lines = append(lines, []byte(m.text))
		}
		return lines
	}},
	{"byte by byte", func(ms []move) [][]byte {
		var bytes [][]byte
		for _, m := range ms {
			for i := range len(m.text) {
				bytes = append(bytes, []byte{m.text[i]})
			}
		}
		return bytes
	}},
}

// pair returns both ends of a TCP connection on loopback.
func pair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// play plays the server's side. It returns an error when the client says something else.
func play(conn net.Conn, moves []move, cut segmentation) error {
	for i := 0; i < len(moves); {
		m := moves[i]
		if !m.server {
			got := make([]byte, len(m.text))
			n, err := io.ReadFull(conn, got)
			if string(got[:n]) != m.text {
				return fmt.Errorf("client said %q (%v), expected %q", got[:n], err, m.text)
			}
			i++
			continue
		}
		var said []move
		for ; i < len(moves) && moves[i].server && moves[i].text != ""; i++ {
			said = append(said, moves[i])
		}
		for _, b := range cut.writes(said) {
			if _, err := conn.Write(b); err != nil {
				return nil // the client has had enough
			}
		}
		if i < len(moves) && moves[i].close {
			if tcp, ok := conn.(*net.TCPConn); ok {
				tcp.CloseWrite() // closing would reset what the client has yet to read, if it has said more
				return nil       // it fails if the client has gone
			}
			conn.Close() // fails inside TLS if the client has gone
			return nil
		}
		if i < len(moves) && moves[i].stall {
			break
		}
	}
	return nil
}

// timeout is how long a dialogue may take: one that ends in silence, not long.
func timeout(moves []move) time.Duration {
	if slices.ContainsFunc(moves, func(m move) bool { return m.stall }) {
		return 300 * time.Millisecond
	}
	return 10 * time.Second
}

// protocolsWithUpgrade lists the protocols that need exchanges.
func protocolsWithUpgrade() []*Protocol {
	return slices.DeleteFunc(All(), func(p *Protocol) bool { return p.Upgrade == nil && p != auto })
}

func exchanges(t testing.TB, p *Protocol) []exchange {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", p.Name, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var xs []exchange
	for _, file := range files {
		xs = append(xs, readExchange(t, file))
	}
	return xs
}

// TestExchanges plays every recorded dialogue, cut into segments in every way.
func TestExchanges(t *testing.T) {
	for _, p := range protocolsWithUpgrade() {
		xs := exchanges(t, p)
		if !slices.ContainsFunc(xs, func(x exchange) bool { return x.want == "ok" }) {
			t.Errorf("%s: no recorded exchange that succeeds", p.Name)
		}
		for _, x := range xs {
			for _, cut := range segmentations {
				t.Run(x.file+"/"+cut.name, func(t *testing.T) {
					t.Parallel()
					x.run(t, p, cut)
				})
			}
		}
	}
}

func (x exchange) run(t *testing.T, p *Protocol, cut segmentation) {
	client, server := pair(t)
	played := make(chan error, 1)
	go func() { played <- play(server, x.moves, cut) }()

	ctx, cancel := context.WithTimeout(context.Background(), timeout(x.moves))
	defer cancel()
	o := x.options
	var traced []string
	o.Trace = func(l Line) { traced = append(traced, l.String()) }
	up, err := Client(ctx, client, p, &o)
	if err != nil && x.want == "ok" {
		t.Fatalf("%v\n%s", err, strings.Join(traced, "\n"))
	}
	switch {
	case err == nil && (x.want == "ok" || x.inside != nil):
		// What the client said last is not the handshake's to read.
		select {
		case perr := <-played:
			played <- perr
		case <-ctx.Done():
		}
		err = x.secure(t, up, server, cut)
	case err == nil:
		// Bytes that came too late to be seen in the buffer are found by the handshake.
		err = tls.Client(up, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
	}
	client.Close()
	if perr := <-played; perr != nil {
		t.Error(perr)
	}
	if x.trace != nil && !slices.Equal(traced, x.trace) {
		t.Errorf("traced %q, want %q", traced, x.trace)
	}
	if x.want != "ok" {
		x.checkError(t, err, cut)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if x.greeting != nil && string(up.Greeting) != *x.greeting {
		t.Errorf("a client is shown %q, want %q", up.Greeting, *x.greeting)
	}
	var said strings.Builder
	for _, m := range slices.Concat(x.moves, x.inside) {
		if !m.server {
			said.WriteString("C: " + strings.TrimRight(m.text, "\r\n") + "\n")
		}
	}
	for _, line := range traced {
		if rest, ok := strings.CutPrefix(line, "C: "); ok && !strings.Contains(said.String(), rest) && !slices.Contains(x.trace, line) {
			t.Errorf("traced %q, which was not said", line)
		}
	}
}

func (x exchange) checkError(t *testing.T, err error, cut segmentation) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", x.want)
	}
	if !x.wants(err.Error(), cut) {
		t.Errorf("error %q, want %q", err, x.want)
	}
	var cleartext *CleartextError
	var own *Error
	switch {
	case errors.As(err, &own):
		if x.step != "" && own.Step != x.step {
			t.Errorf("step %q, want %q", own.Step, x.step)
		}
		if !strings.Contains(own.Hint, x.hint) {
			t.Errorf("hint %q, want %q", own.Hint, x.hint)
		}
	case errors.As(err, &cleartext):
		if cut.name != "byte by byte" && !strings.Contains(cleartext.Hint, x.hint) {
			t.Errorf("hint %q, want %q", cleartext.Hint, x.hint)
		}
	case !errors.As(err, new(*OptionError)):
		t.Errorf("the error is a %T", err)
	}
}

// wants tells whether an error is the one that the exchange ends with. Of bytes that come one by one
// and have no business there, as many are quoted as have come by then.
func (x exchange) wants(got string, cut segmentation) bool {
	const quoted = `on the way: "`
	why, text, found := strings.Cut(x.want, quoted)
	gotWhy, gotText, _ := strings.Cut(got, quoted)
	switch {
	case cut.name != "byte by byte":
		return strings.Contains(got, x.want)
	case !found:
		return strings.Contains(got, cmp.Or(x.atLeast, x.want))
	}
	text, gotText = strings.TrimSuffix(text, `"`), strings.TrimSuffix(gotText, `"`)
	return strings.HasSuffix(gotWhy, why) && gotText != "" && (strings.HasPrefix(gotText, text) || strings.HasPrefix(text, gotText))
}

// secure runs TLS over the upgraded connection, plays what is said inside it before the
// session begins, and reads a line of the session. It returns the error that the upgrade
// ends with inside TLS.
func (x exchange) secure(t *testing.T, up *Upgraded, server net.Conn, cut segmentation) error {
	t.Helper()
	config, roots := serverConfig(t, up.ServerName)
	played := make(chan error, 1)
	go func() {
		s, err := secureServer(up.Protocol, server, config)
		if err == nil {
			err = play(s, x.inside, cut)
		}
		if err == nil && x.want == "ok" {
			s.Write([]byte("inside\n"))
		}
		played <- err
	}()
	tc := tls.Client(up, &tls.Config{ServerName: up.ServerName, RootCAs: roots.Pool(), MaxVersion: up.Protocol.MaxVersion})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := tc.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), timeout(x.inside))
	defer cancel()
	session, err := up.Finish(ctx, tc)
	if err == nil && x.want == "ok" {
		got := make([]byte, len("inside\n"))
		if _, err := io.ReadFull(session, got); err != nil || string(got) != "inside\n" {
			t.Errorf("read %q, %v", got, err)
		}
	}
	tc.Close()
	if perr := <-played; perr != nil {
		t.Error(perr)
	}
	return err
}

// serverWrap has, for protocols with Wrap, the same for the server's end.
var serverWrap = map[string]func(net.Conn) Wrapper{}

// secureServer runs the server's side of the handshake.
func secureServer(p *Protocol, conn net.Conn, config *tls.Config) (*tls.Conn, error) {
	wrap := serverWrap[p.Name]
	if wrap == nil {
		s := tls.Server(conn, config)
		return s, s.Handshake()
	}
	wrapper := wrap(conn)
	s := tls.Server(wrapper, config)
	if err := s.Handshake(); err != nil {
		return nil, err
	}
	wrapper.HandshakeDone()
	return s, nil
}

func serverConfig(t testing.TB, names ...string) (*tls.Config, *testca.CA) {
	t.Helper()
	ca, err := testca.New("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(names, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}, ca
}

// TestGreets holds what a protocol says of who speaks first against its exchanges. Some of its
// servers may greet though others do not.
func TestGreets(t *testing.T) {
	for _, p := range protocolsWithUpgrade() {
		for _, x := range exchanges(t, p) {
			if x.want == "ok" && p != auto && p.Greets != x.moves[0].server && (p.Greets || p.Recognise == nil) {
				t.Errorf("%s: Greets is %v, but see %s", p.Name, p.Greets, x.file)
			}
		}
	}
}

// TestInjection sends bytes behind the go-ahead of every exchange that succeeds: in the
// same segment, one by one, before the ClientHello, and in answer to it. None may reach TLS.
func TestInjection(t *testing.T) {
	for _, p := range protocolsWithUpgrade() {
		for _, x := range exchanges(t, p) {
			if x.want != "ok" {
				continue
			}
			for _, injected := range []string{"X", " ", "\r\n", "250 injected\r\n", "\x16\x03\x03\x00\x01\x00"} {
				t.Run(fmt.Sprintf("%s/%q", x.file, injected), func(t *testing.T) {
					t.Parallel()
					t.Run("same segment", func(t *testing.T) {
						with := x
						with.moves = append(slices.Clone(x.moves), move{server: true, text: injected})
						with.expectCleartext(t, p, segmentations[0], nil, nil)
					})
					t.Run("byte by byte", func(t *testing.T) {
						with := x
						with.moves = append(slices.Clone(x.moves), move{server: true, text: injected})
						with.expectCleartext(t, p, segmentations[2], func(_, client net.Conn) { waitFor(t, client) }, nil)
					})
					t.Run("before the ClientHello", func(t *testing.T) {
						x.expectCleartext(t, p, segmentations[0], func(server, client net.Conn) {
							server.Write([]byte(injected))
							waitFor(t, client)
						}, nil)
					})
					if injected[0] == recordHandshake {
						return // a broken record: the handshake fails by itself
					}
					t.Run("in answer to the ClientHello", func(t *testing.T) {
						x.expectCleartext(t, p, segmentations[0], nil, func(server net.Conn) {
							var b [1]byte
							server.Read(b[:])
							server.Write([]byte(injected))
							server.(*net.TCPConn).CloseWrite() // no more is to be collected for the message
						})
					})
				})
			}
		}
	}
}

// waitFor waits until something can be read from conn.
func waitFor(t *testing.T, conn net.Conn) {
	for range 1000 {
		if len(arrived(conn)) > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("the injected bytes did not arrive")
}

// expectCleartext plays the exchange, cut in a way, with something done before the handshake if
// it comes to that, and something in answer to it, and expects it to end for cleartext.
func (x exchange) expectCleartext(t *testing.T, p *Protocol, cut segmentation, before func(server, client net.Conn), answer func(net.Conn)) {
	client, server := pair(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	played := make(chan error, 1)
	go func() {
		played <- play(server, x.moves, cut)
		if answer != nil {
			answer(server)
		}
	}()
	o := x.options
	up, err := Client(ctx, client, p, &o)
	if err != nil {
		client.Close() // the server may still be waiting
	}
	if perr := <-played; perr != nil {
		t.Fatal(perr, err)
	}
	if err == nil {
		if before != nil {
			before(server, client)
		}
		tc := tls.Client(up, &tls.Config{InsecureSkipVerify: true})
		err = tc.HandshakeContext(ctx)
	}
	var cleartext *CleartextError
	if !errors.As(err, &cleartext) || !cleartext.Upgraded {
		t.Fatalf("error %v (%T), want cleartext behind the go-ahead", err, err)
	}
	if before != nil {
		client.Close()
		if n, _ := server.Read(make([]byte, 1)); n > 0 {
			t.Error("a ClientHello was sent all the same")
		}
	}
}

// fuzzUpgrade feeds a server's bytes to a protocol's upgrade. Whatever they are, it
// returns, within the bounds, and says nothing that no exchange has it say.
func fuzzUpgrade(f *testing.F, name string) {
	p := Find(name)
	for _, x := range exchanges(f, p) {
		var said []byte
		for _, m := range x.moves {
			if m.server {
				said = append(said, m.text...)
			}
		}
		f.Add(said)
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		o := &Options{Host: "mail.example.org"}
		if p.Names == OwnName {
			o.Name = "client.example.org"
		}
		var conn *scripted
		var up *Upgraded
		var err error
		checkMemory(t, func() {
			conn = &scripted{said: said}
			up, err = Client(context.Background(), conn, p, o)
		})
		if conn.read > MaxBytes {
			t.Errorf("read %d bytes", conn.read)
		}
		if err == nil && conn.read < len(said) {
			// What is left is the handshake's to refuse.
			if n, err := up.Read(make([]byte, 16)); n > 0 && said[conn.read-n] != recordAlert && said[conn.read-n] != recordHandshake {
				t.Errorf("%q reached TLS (%v)", said[conn.read-n:], err)
			}
		}
		if err != nil && !errors.As(err, new(*Error)) {
			t.Errorf("error %v is a %T", err, err)
		}
		if len(conn.sent) > 1024 {
			t.Errorf("sent %d bytes", len(conn.sent))
		}
	})
}

// fuzzInside feeds a server's bytes to what a protocol exchanges inside TLS. Whatever they
// are, it returns, within the bounds.
func fuzzInside(f *testing.F, name string) {
	p := Find(name)
	for _, x := range exchanges(f, p) {
		var said []byte
		for _, m := range x.inside {
			if m.server {
				said = append(said, m.text...)
			}
		}
		f.Add(said)
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		inside := func(said []byte) (*scripted, *Conn, error) {
			conn := &scripted{said: said}
			c := newConn(conn, nil)
			err := c.run(context.Background(), p, func() error { return p.Inside(c, &Options{Host: "mail.example.org"}) })
			return conn, c, err
		}
		var conn *scripted
		var c *Conn
		var err error
		checkMemory(t, func() { conn, c, err = inside(said) })
		if conn.read > MaxBytes {
			t.Errorf("read %d bytes", conn.read)
		}
		if err != nil && !errors.As(err, new(*Error)) {
			t.Errorf("error %v is a %T", err, err)
		}
		if err == nil {
			// What was taken is enough by itself: nothing of the session is needed to see its end.
			taken := said[:conn.read-len(c.rest())]
			if _, c, err := inside(taken); err != nil || len(c.rest()) > 0 {
				t.Errorf("%q was taken, but alone it leaves %q, %v", taken, c.rest(), err)
			}
		}
		if len(conn.sent) > 1024 {
			t.Errorf("sent %d bytes", len(conn.sent))
		}
	})
}

// scripted is a connection on which a server says what it says, in small segments,
// and closes.
type scripted struct {
	net.Conn
	said []byte
	read int
	sent []byte
}

func (s *scripted) Read(p []byte) (int, error) {
	if s.read == len(s.said) {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 7)], s.said[s.read:])
	s.read += n
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error) {
	s.sent = append(s.sent, p...)
	return len(p), nil
}

func (s *scripted) SetDeadline(time.Time) error     { return nil }
func (s *scripted) SetReadDeadline(time.Time) error { return nil }
func (s *scripted) LocalAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)} }
