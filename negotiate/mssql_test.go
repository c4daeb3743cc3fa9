package negotiate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func init() {
	serverWrap["mssql"] = func(conn net.Conn) Wrapper { return &tdsServer{Conn: conn, kind: 0x12, size: 4096} }
}

// tdsServer is the server's end of a connection on which the handshake is in packets. It insists
// on the form of the client's.
type tdsServer struct {
	net.Conn
	kind  byte // of the packets that it sends
	size  int  // of them, at most
	slow  bool // each byte is a segment
	heard int  // packets
	rest  []byte
	done  bool
}

func (s *tdsServer) HandshakeDone() { s.done = true }

// Read reads a message and hands it out.
func (s *tdsServer) Read(p []byte) (int, error) {
	if s.done && len(s.rest) == 0 {
		return s.Conn.Read(p)
	}
	for last, number := len(s.rest) > 0, 1; !last; number++ {
		header := make([]byte, 8)
		if _, err := io.ReadFull(s.Conn, header); err != nil {
			return 0, err
		}
		n := int(binary.BigEndian.Uint16(header[2:]))
		last = header[1] == 1
		if header[0] != 0x12 || header[1] > 1 || n <= 8 || n > 4096 || !last && n != 4096 || header[6] != byte(number) || header[4]|header[5]|header[7] != 0 {
			return 0, fmt.Errorf("packet %d has the header % x", number, header)
		}
		data := make([]byte, n-8)
		if _, err := io.ReadFull(s.Conn, data); err != nil {
			return 0, err
		}
		s.rest = append(s.rest, data...)
		s.heard++
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *tdsServer) Write(p []byte) (int, error) {
	all := bytes.Clone(p)
	if !s.done {
		all = tdsPackets(s.kind, s.size, p)
	}
	step := len(all)
	if s.slow {
		step = 1
	}
	for len(all) > 0 {
		if _, err := s.Conn.Write(all[:step]); err != nil {
			return 0, err
		}
		all = all[step:]
	}
	return len(p), nil
}

// tdsPackets puts a message into packets of a size at most.
func tdsPackets(kind byte, size int, data []byte) []byte {
	var all []byte
	for len(data) > 0 {
		n := min(len(data), size-8)
		status := byte(0)
		if n == len(data) {
			status = 1
		}
		all = append(all, kind, status, byte((n+8)>>8), byte(n+8), 0, 0, 0, 0)
		all, data = append(all, data[:n]...), data[n:]
	}
	return all
}

// upgradedMSSQL returns both ends of a connection on which the server has given its go-ahead.
func upgradedMSSQL(t *testing.T) (up *Upgraded, server net.Conn) {
	t.Helper()
	x := readExchange(t, "testdata/mssql/ok.txt")
	client, server := pair(t)
	played := make(chan error, 1)
	go func() { played <- play(server, x.moves, segmentations[0]) }()
	up, err := Client(context.Background(), client, Find("mssql"), &x.options)
	if perr := <-played; perr != nil || err != nil {
		t.Fatal(perr, err)
	}
	client.SetDeadline(time.Now().Add(10 * time.Second))
	server.SetDeadline(time.Now().Add(10 * time.Second))
	return up, server
}

// TestMSSQLPackets runs the handshake in packets of every kind, with flights that need
// several, and goes on without.
func TestMSSQLPackets(t *testing.T) {
	for _, test := range []struct {
		name string
		tdsServer
		long bool // certificate chains of many packets, on both sides
	}{
		{"", tdsServer{kind: 0x12, size: 4096}, false},
		{"long chains", tdsServer{kind: 0x12, size: 4096}, true},
		{"type of other answers", tdsServer{kind: 0x04, size: 4096}, true},
		{"packets of 10 bytes", tdsServer{kind: 0x12, size: 10}, false},
		{"packets of 1 byte, byte by byte", tdsServer{kind: 0x12, size: 9, slow: true}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			up, server := upgradedMSSQL(t)
			test.tdsServer.Conn = server
			config, ca := serverConfig(t, up.ServerName)
			clientConfig := &tls.Config{ServerName: up.ServerName, RootCAs: ca.Pool(), MaxVersion: up.Protocol.MaxVersion}
			if test.long {
				for range 15 {
					own := &config.Certificates[0].Certificate
					*own = append(*own, (*own)[0])
				}
				config.ClientAuth = tls.RequireAnyClientCert
				clientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					return &config.Certificates[0], nil
				}
			}
			const size = 100_000
			served := make(chan error, 1)
			go func() {
				s := tls.Server(&test.tdsServer, config)
				err := s.Handshake()
				test.tdsServer.HandshakeDone()
				if err == nil {
					_, err = s.Write(make([]byte, size))
				}
				if err == nil {
					_, err = io.CopyN(io.Discard, s, size)
				}
				served <- err
			}()
			tc := tls.Client(up, clientConfig)
			if err := tc.Handshake(); err != nil {
				t.Fatal(err)
			}
			session, err := up.Finish(context.Background(), tc)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, session, size); err != nil {
				t.Error(err)
			}
			if _, err := session.Write(make([]byte, size)); err != nil {
				t.Error(err)
			}
			if err := <-served; err != nil {
				t.Error(err)
			}
			if want := 2; test.heard < want || test.long && test.heard == want {
				t.Errorf("the client sent %d packets", test.heard)
			}
		})
	}
}

// TestMSSQLInjection sends something else where a packet of the handshake is due, or in it:
// first, or when some of the handshake was right.
func TestMSSQLInjection(t *testing.T) {
	for name, test := range map[string]struct{ header, text string }{
		"text":                 {"", "250 injected\r\n"},
		"space":                {"", " "},
		"text in a packet":     {"\x12\x01\x00\x11\x00\x00\x01\x00", "injected\n"},
		"another answer":       {"\x04\x01\x00\x0c\x00\x00\x01\x00", "\xfd\x00\x00\x00"},
		"no record":            {"\x12\x01\x00\x0a\x00\x00\x01\x00", "\x16\x02"},
		"record in no packet":  {"", "\x16\x03\x03\x00\x04\x0e\x00\x00\x00"},
		"alert in no packet":   {"", "\x15\x03\x03\x00\x02\x02\x28"},
		"status":               {"", "\x12\x08\x00\x09\x00\x00\x01\x00\x16"},
		"nothing in a packet":  {"", "\x12\x01\x00\x08\x00\x00\x01\x00"},
		"no length":            {"", "\x12\x01\x00\x00"},
		"length of too much":   {"", "\x12\x01\x10\x01"},
		"request in a packet":  {"", "\x01\x01\x00\x09\x00\x00\x01\x00\x16"},
		"type, and then text":  {"", "\x12 injected"},
		"answer that is text":  {"", "\x04HTTP/1.1 400"},
		"status that is text":  {"", "\x12\x01HTTP/1.1 400"},
		"packet without bytes": {"", "\x04\x00\x00\x00\x00\x00\x00\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("first", func(t *testing.T) {
				t.Parallel()
				err := handshakeInjected(t, test.header+test.text, false)
				var cleartext *CleartextError
				if !errors.As(err, &cleartext) || !cleartext.Upgraded {
					t.Fatalf("error %v (%T), want cleartext behind the go-ahead", err, err)
				}
				if string(cleartext.Text) != test.text {
					t.Errorf("quoted %q, want %q", cleartext.Text, test.text)
				}
			})
			t.Run("later", func(t *testing.T) {
				t.Parallel()
				// What is in a packet is TLS's to refuse by then; what is in none still is not.
				err := handshakeInjected(t, test.header+test.text, true)
				if err == nil || test.header == "" && !errors.As(err, new(*CleartextError)) {
					t.Errorf("error %v (%T)", err, err)
				}
			})
		})
	}
}

// handshakeInjected runs the handshake with a server that says something else, at once or
// behind its first flight, and returns the error.
func handshakeInjected(t *testing.T, injected string, later bool) error {
	up, server := upgradedMSSQL(t)
	config, _ := serverConfig(t, up.ServerName)
	go func() {
		if !later {
			io.ReadFull(server, make([]byte, 8))
			io.WriteString(server, injected)
		} else {
			s := &tdsServer{Conn: server, kind: 0x12, size: 4096}
			tls.Server(injecting{s, injected}, config).Handshake()
		}
		server.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, server)
	}()
	return tls.Client(up, &tls.Config{InsecureSkipVerify: true, MaxVersion: up.Protocol.MaxVersion}).Handshake()
}

// injecting is a server's end of a connection on which something is said behind the first
// flight, and nothing else.
type injecting struct {
	*tdsServer
	text string
}

func (c injecting) Write(p []byte) (int, error) {
	n, err := c.tdsServer.Write(p)
	if err == nil {
		_, err = io.WriteString(c.Conn, c.text)
	}
	if err == nil {
		err = io.ErrClosedPipe
	}
	return n, err
}

// TestMSSQLInjectionBehind: what comes in the clear when the handshake is done reaches nobody.
func TestMSSQLInjectionBehind(t *testing.T) {
	up, server := upgradedMSSQL(t)
	config, ca := serverConfig(t, up.ServerName)
	go func() {
		wrapper := serverWrap["mssql"](server)
		tls.Server(wrapper, config).Handshake()
		io.WriteString(server, "injected")
		server.(*net.TCPConn).CloseWrite()
	}()
	tc := tls.Client(up, &tls.Config{ServerName: up.ServerName, RootCAs: ca.Pool(), MaxVersion: up.Protocol.MaxVersion})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	session, err := up.Finish(context.Background(), tc)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(session); len(got) > 0 || err == nil {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestMSSQLHandshakeEnds: an alert, an end, an untrusted certificate are the handshake's own
// errors, and the client's alert is in a packet too.
func TestMSSQLHandshakeEnds(t *testing.T) {
	up, server := upgradedMSSQL(t)
	go func() {
		io.ReadFull(server, make([]byte, 8))
		server.Write(tdsPackets(0x12, 4096, []byte("\x15\x03\x03\x00\x02\x02\x28")))
	}()
	err := tls.Client(up, &tls.Config{InsecureSkipVerify: true}).Handshake()
	if err == nil || !strings.Contains(err.Error(), "handshake failure") {
		t.Errorf("error %v, want the server's alert", err)
	}

	for cut, want := range map[string]error{ // crypto/tls tells apart whether a record has begun
		"":                                 io.EOF,
		"\x12\x01\x00":                     io.EOF,
		"\x12\x01\x00\x0d\x00\x00\x01\x00": io.EOF,
		"\x12\x01\x00\x0d\x00\x00\x01\x00\x16\x03": io.ErrUnexpectedEOF,
	} {
		up, server := upgradedMSSQL(t)
		go func() {
			io.ReadFull(server, make([]byte, 8))
			io.WriteString(server, cut)
			server.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, server)
		}()
		if err := tls.Client(up, &tls.Config{InsecureSkipVerify: true}).Handshake(); !errors.Is(err, want) {
			t.Errorf("%q: error %v, want %v", cut, err, want)
		}
	}

	up, server = upgradedMSSQL(t)
	config, _ := serverConfig(t, up.ServerName)
	heard := make(chan error, 1)
	go func() { heard <- tls.Server(serverWrap["mssql"](server), config).Handshake() }()
	err = tls.Client(up, &tls.Config{ServerName: up.ServerName, MaxVersion: up.Protocol.MaxVersion, RootCAs: x509.NewCertPool()}).Handshake()
	if !errors.As(err, new(*tls.CertificateVerificationError)) {
		t.Errorf("error %v, want one on the certificate", err)
	}
	if err := <-heard; err == nil || !strings.Contains(err.Error(), "bad certificate") {
		t.Errorf("the server heard %v, want the client's alert", err)
	}
}

func FuzzMSSQL(f *testing.F) { fuzzUpgrade(f, "mssql") }

// TestMSSQLReasons checks that a caller can tell why there was no upgrade.
func TestMSSQLReasons(t *testing.T) {
	checkReasons(t, "mssql", map[string]error{
		"off":                ErrRefused,
		"not-supported":      ErrRefused,
		"error":              ErrRefused,
		"encryption-unknown": ErrUnexpected,
		"value-outside":      ErrUnexpected,
		"length-long":        ErrUnexpected,
		"closed":             ErrClosed,
		"tls-alert":          ErrTLS,
	})
}

// TestMSSQLBounds feeds answers that never come to an end.
func TestMSSQLBounds(t *testing.T) {
	checkBounds(t, "mssql", strings.Repeat("\x04\x00\x00\x08\x00\x00\x01\x00", MaxLines+1), ErrTooLong, MaxBytes)
	checkBounds(t, "mssql", strings.Repeat("\x04\x00\x10\x00\x00\x00\x01\x00"+strings.Repeat("x", 4088), 17), ErrUnexpected, tdsMaxMessage+2*4096)
	checkBounds(t, "mssql", "\x04\x01\xff\xff\x00\x00\x01\x00"+strings.Repeat("x", 2*MaxBytes), ErrUnexpected, 4096)
}

// FuzzPrelogin checks that the options of a message are parts of it.
func FuzzPrelogin(f *testing.F) {
	for _, name := range []string{"ok", "ok-azure", "ok-short-version", "value-far-outside"} {
		moves := readExchange(f, "testdata/mssql/"+name+".txt").moves
		f.Add([]byte(moves[len(moves)-1].text)[tdsHeader:])
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		options, ok := parsePrelogin(message)
		if !ok {
			return
		}
		if _, ok := options[preloginVersion]; !ok || 5*len(options) >= len(message) {
			t.Errorf("%q: %d options", message, len(options))
		}
		for token, value := range options {
			if token == preloginEnd || !bytes.Contains(message, value) {
				t.Errorf("%q: option %d is %q", message, token, value)
			}
		}
		tdsVersion(options[preloginVersion])
	})
}

// FuzzTDSError checks that an error's text is no longer than the error.
func FuzzTDSError(f *testing.F) {
	moves := readExchange(f, "testdata/mssql/error.txt").moves
	f.Add([]byte(moves[len(moves)-1].text)[tdsHeader:])
	f.Fuzz(func(t *testing.T, message []byte) {
		if text, ok := tdsErrorText(message); ok && len(text) > 12+2*len(message) || !ok && text != "" {
			t.Errorf("%q: %q, %v", message, text, ok)
		}
	})
}

// FuzzTDSWrapper checks that nothing is read but what is in packets, and none of it is lost
// up to the first that is not one.
func FuzzTDSWrapper(f *testing.F) {
	f.Add([]byte("\x12\x01\x00\x0d\x00\x00\x01\x00\x16\x03\x03\x00\x00"), uint8(3))
	f.Add([]byte("\x12\x00\x00\x09\x00\x00\x01\x00\x16\x04\x01\x00\x0a\x00\x00\x01\x00\x03\x03injected"), uint8(100))
	f.Fuzz(func(t *testing.T, said []byte, size uint8) {
		var want []byte
		for rest := said; len(rest) > 8; {
			n := int(binary.BigEndian.Uint16(rest[2:]))
			if rest[0] != 0x12 && rest[0] != 0x04 || rest[1] > 1 || n <= 8 || n > 4096 {
				break
			}
			want = append(want, rest[8:min(n, len(rest))]...)
			rest = rest[min(n, len(rest)):]
		}
		w := &tdsWrapper{Conn: &scripted{said: said}}
		var got []byte
		buffer := make([]byte, int(size)+1)
		for {
			n, err := w.Read(buffer)
			got = append(got, buffer[:n]...)
			if err != nil {
				break
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%q: read %q, want %q", said, got, want)
		}
	})
}

// TestMSSQLTransparent: behind the handshake the wrapper adds nothing and takes nothing away.
func TestMSSQLTransparent(t *testing.T) {
	client, server := pair(t)
	w := Find("mssql").Wrap(client)
	w.HandshakeDone()
	io.WriteString(w, "from the client")
	io.WriteString(server, "from the server")
	for conn, want := range map[net.Conn]string{w: "from the server", server: "from the client"} {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); string(got) != want {
			t.Errorf("read %q (%v), want %q", got, err, want)
		}
	}
	if err := (&Upgraded{Conn: w}).CloseWrite(); err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(server); len(rest) > 0 || err != nil {
		t.Errorf("behind the end: %q, %v", rest, err)
	}
}
