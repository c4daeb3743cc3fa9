package negotiate

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// tdsOption is an option of PRELOGIN.
type tdsOption struct {
	token byte
	value string
}

// tdsPreloginOf is a PRELOGIN message in one packet.
func tdsPreloginOf(kind byte, options ...tdsOption) string {
	list, values := "", ""
	for _, o := range options {
		offset := 5*len(options) + 1 + len(values)
		list += string([]byte{o.token, byte(offset >> 8), byte(offset), byte(len(o.value) >> 8), byte(len(o.value))})
		values += o.value
	}
	return string(tdsMessage(kind, []byte(list+"\xff"+values)))
}

var (
	tdsAsks    = tdsPreloginOf(0x12, tdsOption{0, "\x11\x00\x00\x01\x00\x00"}, tdsOption{1, "\x02"}, tdsOption{2, "main\x00"}, tdsOption{4, "\x00"})
	tdsAsked   = tdsPreloginOf(0x12, tdsOption{0, "\x11\x00\x00\x01\x00\x00"}, tdsOption{1, "\x01"}, tdsOption{2, "main\x00"}, tdsOption{4, "\x00"})
	tdsReplies = tdsPreloginOf(0x04, tdsOption{0, "\x10\x00\x03\xe8\x00\x00"}, tdsOption{1, "\x01"}, tdsOption{2, "\x00"}, tdsOption{3, ""}, tdsOption{4, "\x01"}, tdsOption{6, "\x01"})
	tdsTold    = tdsPreloginOf(0x04, tdsOption{0, "\x10\x00\x03\xe8\x00\x00"}, tdsOption{1, "\x02"}, tdsOption{2, "\x00"}, tdsOption{4, "\x01"})
	tdsLogin   = "\x10\x01\x00\x0d\x00\x00\x01\x00login"
)

// tdsLed leads a client through PRELOGIN, which may end behind what it says, and returns what Client
// and Lead end with.
func tdsLed(t *testing.T, says, asks, replies string, ends bool) (tu *tunnelled, client, server net.Conn, err error) {
	t.Helper()
	tu = &tunnelled{}
	var near, conn net.Conn
	tu.client, near = pair(t)
	conn, tu.server = pair(t)
	tu.local = &Local{Conn: near}
	deadline := time.Now().Add(20 * time.Second)
	tu.client.SetDeadline(deadline)
	tu.server.SetDeadline(deadline)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	send(t, tu.client, says, false)
	if ends {
		closeWrite(tu.client)
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		got := make([]byte, len(asks))
		n, _ := io.ReadFull(tu.server, got)
		if string(got[:n]) != asks {
			t.Errorf("the server is asked %q, want %q", got[:n], asks)
		}
		io.WriteString(tu.server, replies)
	}()
	up, err := Client(ctx, conn, Find("mssql"), &Options{Host: "db.example.org", Local: tu.local})
	<-heard
	if err != nil {
		return tu, nil, nil, err
	}
	client, server, err = up.Lead(ctx, conn)
	return tu, client, server, err
}

// TestMSSQLLocal checks what the server is asked in a client's place, and what the client is told.
func TestMSSQLLocal(t *testing.T) {
	version := tdsOption{0, "\x11\x00\x00\x01\x00\x00"}
	fixed := string(tdsMessage(0x12, preloginRequest))
	for name, x := range map[string]struct{ says, asks, replies, told string }{
		"not supported":      {tdsAsks, tdsAsked, tdsReplies, tdsTold},
		"required by server": {tdsAsks, tdsAsked, strings.Replace(tdsReplies, "\xe8\x00\x00\x01", "\xe8\x00\x00\x03", 1), tdsTold},
		"off":                {tdsPreloginOf(0x12, version, tdsOption{1, "\x00"}), tdsPreloginOf(0x12, version, tdsOption{1, "\x01"}), tdsReplies, tdsPreloginOf(0x04, tdsOption{0, "\x10\x00\x03\xe8\x00\x00"}, tdsOption{1, "\x02"})},
		"no ENCRYPTION":      {tdsPreloginOf(0x12, version), tdsPreloginOf(0x12, version, tdsOption{1, "\x01"}), tdsReplies, tdsPreloginOf(0x04, tdsOption{0, "\x10\x00\x03\xe8\x00\x00"}, tdsOption{1, "\x02"})},
		"unknown options": {
			tdsPreloginOf(0x12, version, tdsOption{1, "\x02"}, tdsOption{9, "x"}, tdsOption{4, "\x00\x00"}, tdsOption{200, ""}, tdsOption{6, "\x00"}),
			tdsPreloginOf(0x12, version, tdsOption{1, "\x01"}, tdsOption{6, "\x00"}), tdsReplies,
			tdsPreloginOf(0x04, tdsOption{0, "\x10\x00\x03\xe8\x00\x00"}, tdsOption{1, "\x02"}, tdsOption{4, "\x01"}, tdsOption{6, "\x01"})},
		"server's version short": {tdsAsks, tdsAsked, tdsPreloginOf(0x04, tdsOption{0, "\x09"}, tdsOption{1, "\x01"}),
			tdsPreloginOf(0x04, tdsOption{0, "\x09\x00\x00\x00\x00\x00"}, tdsOption{1, "\x02"})},
		"LOGIN7 at once": {tdsLogin, fixed, tdsReplies, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tu, client, server, err := tdsLed(t, x.says, x.asks, x.replies, false)
			if err != nil {
				t.Fatal(err)
			}
			hear(t, tu.client, x.told)
			if x.told != "" {
				send(t, tu.client, tdsLogin, true)
			}
			go io.Copy(server, client)
			hear(t, tu.server, tdsLogin)
		})
	}
}

// TestMSSQLLocalFails checks what is logged of a client that can't be led, and what it is told.
func TestMSSQLLocalFails(t *testing.T) {
	version := tdsOption{0, "\x11\x00\x00\x01\x00\x00"}
	required := tdsPreloginOf(0x12, version, tdsOption{1, "\x03"})
	for name, x := range map[string]struct {
		says, asks, told, want, hint string
		refused                      bool
	}{
		"required":         {required, "", "\x04\x01", "demands encryption (ENCRYPT_REQ)", "--raw", true},
		"required, a cert": {tdsPreloginOf(0x12, version, tdsOption{1, "\x83"}), "", "\x04\x01", "demands encryption", "--raw", true},
		"TLS":              {"\x16\x03\x01\x00\xc4\x01", "", "", "the local client speaks TLS", "--raw", false},
		"TDS 5":            {"\x02\x00\x02\x00\x00\x00\x00\x00login", "", "", `the local client: unexpected answer: "\x02\x00\x02\x00`, "", false},
		"HTTP":             {"GET / HTTP/1.0\r\n\r\n", "", "", "the local client: unexpected answer", "", false},
		"too long":         {"\x12\x01\x10\x01\x00\x00\x01\x00", "", "", "the local client: unexpected answer", "", false},
		"no list":          {string(tdsMessage(0x12, []byte("x"))), "", "", "the local client: unexpected answer", "", false},
		"ends":             {tdsAsks[:20], "", "", "the local client closed the connection", "", false},
		"on":               {tdsPreloginOf(0x12, version, tdsOption{1, "\x01"}), tdsPreloginOf(0x12, version, tdsOption{1, "\x01"}), tdsPreloginOf(0x04, tdsOption{0, "\x10\x00\x03\xe8\x00\x00"}, tdsOption{1, "\x02"}), "wants encryption (ENCRYPT_ON), and left", "--raw", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tu, _, _, err := tdsLed(t, x.says, x.asks, tdsReplies, true)
			var own *Error
			if !errors.As(err, &own) || !errors.As(err, new(*LocalError)) {
				t.Fatalf("%v is a %T", err, err)
			}
			if !strings.Contains(err.Error(), x.want) || !strings.Contains(own.Hint, x.hint) {
				t.Errorf("%v, hint %q; want %q, %q", err, own.Hint, x.want, x.hint)
			}
			tu.local.Conn.Close()
			told, err := io.ReadAll(tu.client)
			if err != nil && x.told != "" || !strings.HasPrefix(string(told), x.told) || x.told == "" && len(told) > 0 {
				t.Errorf("the client is told %q, %v", told, err)
			}
			if text, ok := tdsErrorText(told[min(len(told), tdsHeader):]); x.refused && (!ok || !strings.Contains(text, "turn encryption off")) {
				t.Errorf("the client is told %q", text)
			}
		})
	}
}

// rawTDSPair runs what --raw is: a program's own TLS on one side, packets on the other. pieces cuts
// what the program writes.
func rawTDSPair(t *testing.T, raw net.Conn, pieces bool) (program net.Conn) {
	t.Helper()
	program, near := pair(t)
	go func() {
		buffer := make([]byte, 1<<16)
		if pieces {
			buffer = buffer[:1]
		}
		io.CopyBuffer(struct{ io.Writer }{raw}, struct{ io.Reader }{near}, buffer)
		closeWrite(raw)
	}()
	go func() {
		io.Copy(near, struct{ io.Reader }{raw})
		near.Close()
	}()
	return program
}

// TestMSSQLRaw has a program run the handshake by itself, in a new session and in one that is resumed,
// and goes on in the clear of the packets.
func TestMSSQLRaw(t *testing.T) {
	for name, pieces := range map[string]bool{"flights": false, "bytes": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, ca := serverConfig(t, "db.example.org")
			config.MaxVersion = tls.VersionTLS12
			config.SetSessionTicketKeys([][32]byte{{1}}) // config is cloned for each connection
			sessions := tls.NewLRUClientSessionCache(1)
			for _, resumes := range []bool{false, true} {
				far, conn := pair(t)
				far.SetDeadline(time.Now().Add(20 * time.Second))
				served := make(chan error, 1)
				packets := &tdsServer{Conn: far, kind: 0x12, size: 4096}
				go func() {
					s := tls.Server(packets, config)
					err := s.Handshake()
					packets.HandshakeDone()
					if err == nil {
						_, err = io.Copy(s, s)
					}
					s.CloseWrite()
					served <- err
				}()
				up := &Upgraded{Conn: conn, Protocol: Find("mssql")}
				up.guard.conn = conn
				raw, err := up.Raw()
				if err != nil {
					t.Fatal(err)
				}
				program := tls.Client(rawTDSPair(t, raw, pieces), &tls.Config{ServerName: "db.example.org", RootCAs: ca.Pool(), ClientSessionCache: sessions})
				const said = "inside, and bare"
				if _, err := io.WriteString(program, said); err != nil {
					t.Fatal(err)
				}
				program.CloseWrite()
				got, err := io.ReadAll(program)
				if err != nil || string(got) != said {
					t.Errorf("%q, %v", got, err)
				}
				if program.ConnectionState().DidResume != resumes {
					t.Errorf("resumed: %v, want %v", !resumes, resumes)
				}
				if err := <-served; err != nil {
					t.Error(err)
				}
				if packets.heard != 2 {
					t.Errorf("the program's two flights came in %d packets", packets.heard)
				}
			}
		})
	}
}

// TestMSSQLRawFails meets what is no handshake, or none that can be carried.
func TestMSSQLRawFails(t *testing.T) {
	record := func(kind byte, content string) string {
		return string([]byte{kind, 3, 3, 0, byte(len(content))}) + content
	}
	for name, x := range map[string]struct {
		said, want string
	}{
		"TLS 1.3":              {record(22, "server hello") + record(20, "\x01") + record(23, "extensions"), "TLS 1.3 can't be carried"},
		"TLS 1.3, no CCS":      {record(22, "server hello") + record(23, "extensions"), "TLS 1.3 can't be carried"},
		"no record":            {"HTTP/1.1 400 Bad Request\r\n", "cleartext"},
		"no record, later":     {record(22, "server hello") + "HTTP/1.1 400", "cleartext"},
		"no version":           {"\x16\x02\x00\x00\x01x", "cleartext"},
		"a record of no bytes": {record(22, ""), "cleartext"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRawTDS(&scripted{said: tdsMessage(tdsPrelogin, []byte(x.said))})
			_, err := io.ReadAll(r)
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, want %q", err, x.want)
			}
			conn := &scripted{}
			_, err = io.WriteString(newRawTDS(conn), x.said)
			if err == nil || !strings.Contains(err.Error(), "the local program") || len(conn.sent) > 0 {
				t.Errorf("%v, sent %q", err, conn.sent)
			}
		})
	}
	conn := &scripted{}
	r := newRawTDS(conn)
	io.WriteString(r, record(22, "client hello")+record(21, "no"))
	if want := string(tdsMessage(tdsPrelogin, []byte(record(22, "client hello")+record(21, "no")))); string(conn.sent) != want {
		t.Errorf("an alert is sent as %q", conn.sent)
	}
	long := "\x16\x03\x03\xff\xff" + strings.Repeat("x", 0xffff)
	if _, err := io.WriteString(newRawTDS(&scripted{}), long); err == nil {
		t.Error("a flight is held without end")
	}
}

// TestSMP: a packet of several sessions on one connection is whole in a record too.
func TestSMP(t *testing.T) {
	for data, want := range map[string]int{
		"S":                                 0,
		"S\x08\x00\x00\x1c\x00\x00":         0,
		"S\x08\x00\x00\x1c\x00\x00\x00":     28,
		"S\x01\x00\x00\x10\x00\x00\x00more": 16,
		"S\x01\x00\x00\x0f\x00\x00\x00":     -1,
		"S\x01\x00\x00\x00\x00\x01\x00":     -1,
		"SELECT 1":                          -1,
	} {
		if got := tdsPacket([]byte(data)); got != want {
			t.Errorf("%q: %d, want %d", data, got, want)
		}
	}
}

// FuzzTDSClient feeds a client's bytes to the lead. Whatever they are, it returns within the bounds,
// and the server is asked for encryption or nothing.
func FuzzTDSClient(f *testing.F) {
	f.Add([]byte(tdsAsks + tdsLogin))
	f.Add([]byte(tdsLogin))
	f.Add([]byte(tdsPreloginOf(0x12, tdsOption{0, "123456"}, tdsOption{1, "\x03"})))
	f.Add([]byte(tdsPreloginOf(0x12, tdsOption{0, ""}, tdsOption{9, "x"})))
	f.Add([]byte("\x16\x03\x01\x00\xc4\x01"))
	f.Fuzz(func(t *testing.T, said []byte) {
		local, server := &scriptedClient{scripted{said: said}}, &scripted{said: []byte(tdsReplies)}
		_, err := Client(context.Background(), server, Find("mssql"), &Options{Host: "db.example.org", Local: &Local{Conn: local}})
		if err != nil {
			if !errors.As(err, new(*LocalError)) || len(server.sent) > 0 {
				t.Errorf("%v, and the server was sent %q", err, server.sent)
			}
			return
		}
		message, err := readTDSMessage(newConn(&scripted{said: server.sent}, nil), tdsPrelogin)
		if err != nil {
			t.Fatal(err)
		}
		options, ok := parsePrelogin(message)
		if !ok || string(options[preloginEncryption]) != "\x01" || len(options[preloginVersion]) != 6 {
			t.Errorf("the server is asked %q", message)
		}
	})
}

// FuzzTLSHandshake checks that the end of a handshake is where it is, whatever the pieces, and that
// all of it is records.
func FuzzTLSHandshake(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x02hi\x14\x03\x03\x00\x01\x01\x16\x03\x03\x00\x02okmore"), uint8(3))
	f.Add([]byte("\x16\x03\x01\x00\x02hi\x15\x03\x03\x00\x02no"), uint8(1))
	f.Add([]byte("\x16\x03\x01\x00\x02hi\x17\x03\x03"), uint8(0))
	f.Fuzz(func(t *testing.T, said []byte, size uint8) {
		var whole, pieces tlsHandshake
		n, err := whole.pass(said)
		m := 0
		var again error
		for m < len(said) && again == nil && !pieces.done {
			k := 0
			k, again = pieces.pass(said[m:min(len(said), m+1+int(size))])
			m += k
		}
		if err == nil && n != m || err != again || whole.done != pieces.done || err == nil && whole.between() != pieces.between() {
			t.Errorf("%d, %v, %v; in pieces %d, %v, %v", n, err, whole.done, m, again, pieces.done)
		}
		if whole.done && !bytes.Contains(said[:n], []byte{recordChange, 3}) {
			t.Errorf("%q is done", said[:n])
		}
	})
}
