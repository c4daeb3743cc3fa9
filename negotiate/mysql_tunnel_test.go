package negotiate

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// The login of the tests.
const (
	mysqlTestCaps  = mysqlLongPassword | mysqlProtocol41 | mysqlSecureConnection | mysqlPluginAuth
	mysqlTestMore  = "\x07\x00\x00\x00" // MariaDB's capabilities
	mysqlTestOK    = "\x00\x00\x00\x02\x00\x00\x00"
	mysqlTestNonce = "abcdefghijklmnopqrst" // a scramble
	mysqlNative    = "mysql_native_password"
)

// mysqlSaid is a packet.
func mysqlSaid(sequence byte, payload string) string {
	return string(mysqlPacket(sequence, []byte(payload)))
}

// mysqlHello is a server's first packet.
func mysqlHello(version string, capabilities uint32, more, scramble, plugin string) string {
	p := "\x0a" + version + "\x00\x08\x00\x00\x00" + scramble[:8] + "\x00"
	p += string(binary.LittleEndian.AppendUint16(nil, uint16(capabilities))) + "\x2d\x02\x00"
	p += string(binary.LittleEndian.AppendUint16(nil, uint16(capabilities>>16)))
	if capabilities&mysqlPluginAuth == 0 {
		return mysqlSaid(0, p+"\x00\x00\x00\x00\x00\x00\x00"+more+scramble[8:]+"\x00")
	}
	return mysqlSaid(0, p+"\x15\x00\x00\x00\x00\x00\x00"+more+scramble[8:]+"\x00"+plugin+"\x00")
}

// mysqlBegin is what a login packet begins with.
func mysqlBegin(capabilities uint32) string {
	p := string(binary.LittleEndian.AppendUint32(nil, capabilities))
	return p + "\x00\x00\x00\x40\xff" + strings.Repeat("\x00", 19) + mysqlTestMore
}

// mysqlIn is a login packet's payload, by which a plugin is given an answer.
func mysqlIn(capabilities uint32, answer, plugin string) string {
	length := string([]byte{byte(len(answer))})
	switch {
	case capabilities&mysqlLongAnswer != 0 && len(answer) > 250:
		length = "\xfc" + string(binary.LittleEndian.AppendUint16(nil, uint16(len(answer))))
	case capabilities&(mysqlLongAnswer|mysqlSecureConnection) == 0:
		length, answer = "", answer+"\x00"
	}
	p := mysqlBegin(capabilities) + "demo\x00" + length + answer
	if capabilities&mysqlConnectWithDB != 0 {
		p += "test\x00"
	}
	return p + plugin + "\x00\x07\x03key\x02it"
}

// A mysqlTunnel is a client beside a server, in the clear and inside TLS, which is left out here.
type mysqlTunnel struct {
	t                     *testing.T
	client, clear, server net.Conn // the far ends
	bytewise              bool
	failed                chan error // why the login did not begin, or nil
	ended                 chan error // why what the client says is passed on no more
	key                   *rsa.PublicKey
}

func newMySQLTunnel(t *testing.T, bytewise bool) *mysqlTunnel {
	t.Helper()
	x := &mysqlTunnel{t: t, bytewise: bytewise, failed: make(chan error, 1), ended: make(chan error, 1)}
	var near, clear, session net.Conn
	x.client, near = pair(t)
	clear, x.clear = pair(t)
	session, x.server = pair(t)
	for _, conn := range []net.Conn{x.client, x.clear, x.server} {
		conn.SetDeadline(time.Now().Add(20 * time.Second))
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		up, err := Client(ctx, clear, Find("mysql"), &Options{Host: "mail.example.org", Local: &Local{Conn: near}})
		if err == nil {
			var client, server net.Conn
			if client, server, err = up.Lead(ctx, session); err == nil {
				go func() {
					_, err := io.Copy(server, client)
					server.(interface{ CloseWrite() error }).CloseWrite()
					x.ended <- err
				}()
				go func() {
					io.Copy(client, server)
					client.(interface{ CloseWrite() error }).CloseWrite()
				}()
			}
		}
		if err != nil {
			clear.Close()
			near.Close()
		}
		x.failed <- err
	}()
	return x
}

// play leads a dialogue. Each move begins with who says or hears it: "C: " the client, "G: " the
// server in the clear, "S: " the server inside TLS; and "c: ", "g: ", "s: " to hear.
func (x *mysqlTunnel) play(moves ...string) {
	x.t.Helper()
	for i, move := range moves {
		conn := map[byte]net.Conn{'C': x.client, 'G': x.clear, 'S': x.server}[move[0]&^0x20]
		text := move[3:]
		if move[0] < 'a' {
			x.say(conn, text)
			continue
		}
		got := make([]byte, len(text))
		if n, err := io.ReadFull(conn, got); string(got) != text {
			x.t.Fatalf("move %d: %q (%v), want %q", i, got[:n], err, text)
		}
	}
}

func (x *mysqlTunnel) say(conn net.Conn, text string) {
	size := len(text)
	if x.bytewise {
		size = 1
	}
	for ; len(text) > 0; text = text[size:] {
		if _, err := io.WriteString(conn, text[:size]); err != nil {
			x.t.Fatal(err)
		}
	}
}

// hearKey has the client read the tunnel's key.
func (x *mysqlTunnel) hearKey(sequence byte) {
	x.t.Helper()
	header := make([]byte, 5)
	if _, err := io.ReadFull(x.client, header); err != nil || header[3] != sequence || header[4] != 1 {
		x.t.Fatalf("in place of a key came % x, %v", header, err)
	}
	text := make([]byte, mysqlLength(header)-1)
	if _, err := io.ReadFull(x.client, text); err != nil {
		x.t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || len(rest) > 0 {
		x.t.Fatalf("no key: %q", text)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		x.t.Fatal(err)
	}
	x.key = key.(*rsa.PublicKey)
}

// encrypted is what a client sends of a password, with the zero byte at its end.
func (x *mysqlTunnel) encrypted(password, scramble string) string {
	mixed := []byte(password)
	for i := range mixed {
		mixed[i] ^= scramble[i%20]
	}
	p, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, x.key, mixed, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	return string(p)
}

// begin leads to the login packet.
func (x *mysqlTunnel) begin(capabilities uint32, answer, plugin string) {
	x.t.Helper()
	x.play("G: "+mysqlHello("8.4.0", capabilities|mysqlSSL, mysqlTestMore, mysqlTestNonce, plugin),
		"c: "+mysqlHello("8.4.0", capabilities, moreOf(capabilities), mysqlTestNonce, plugin),
		"C: "+mysqlSaid(1, mysqlIn(capabilities, answer, plugin)),
		"g: "+mysqlSaid(1, mysqlBegin(capabilities|mysqlSSL)))
}

// moreOf is what is shown of MariaDB's capabilities.
func moreOf(capabilities uint32) string {
	if capabilities&mysqlLongPassword != 0 {
		return "\x00\x00\x00\x00"
	}
	return mysqlTestMore
}

// in leads through the login packet.
func (x *mysqlTunnel) in(capabilities uint32, answer, plugin string) {
	x.t.Helper()
	x.begin(capabilities, answer, plugin)
	x.play("s: " + mysqlSaid(2, mysqlIn(capabilities|mysqlSSL, answer, plugin)))
	if err := <-x.failed; err != nil {
		x.t.Fatal(err)
	}
}

// untouched checks that all is passed on as it comes.
func (x *mysqlTunnel) untouched() {
	x.t.Helper()
	for _, text := range []string{mysqlSaid(0, "\x0e"), "\x12\x00\x00\x00\x00\x00\x00compressed", mysqlSaid(9, "\xfe\x02\x01\x04"), "\xff\xff\xff\x00"} {
		x.play("C: "+text, "s: "+text, "S: "+text, "c: "+text)
	}
	x.client.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(x.server); len(rest) > 0 || err != nil {
		x.t.Errorf("at the end came %q, %v", rest, err)
	}
	x.server.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(x.client); len(rest) > 0 || err != nil {
		x.t.Errorf("at the end came %q, %v", rest, err)
	}
}

// TestMySQLQuit: close_notify is not sent to a server that closes by itself.
func TestMySQLQuit(t *testing.T) {
	closes := func(x *mysqlTunnel, moves ...string) {
		x.in(mysqlTestCaps, "x", mysqlNative)
		x.play(moves...)
		x.client.(*net.TCPConn).CloseWrite()
		if err := <-x.ended; err != nil {
			x.t.Error(err)
		}
		x.server.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := x.server.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			x.t.Errorf("the server is told %d bytes, %v", n, err)
		}
		x.play("S: bye", "c: bye")
		x.server.(*net.TCPConn).CloseWrite()
		if rest, err := io.ReadAll(x.client); len(rest) > 0 || err != nil {
			x.t.Errorf("at the end came %q, %v", rest, err)
		}
	}
	both(t, "quit", func(x *mysqlTunnel) {
		closes(x, "S: "+mysqlSaid(3, mysqlTestOK), "c: "+mysqlSaid(2, mysqlTestOK),
			"C: "+mysqlSaid(0, "\x0e")+mysqlSaid(0, "\x01"), "s: "+mysqlSaid(0, "\x0e")+mysqlSaid(0, "\x01"))
	})
	both(t, "refused", func(x *mysqlTunnel) {
		closes(x, "S: "+mysqlSaid(3, "\xff\x15\x04#28000no"), "c: "+mysqlSaid(2, "\xff\x15\x04#28000no"))
	})
}

// both runs a test on packets that come whole, and byte by byte.
func both(t *testing.T, name string, test func(x *mysqlTunnel)) {
	for _, bytewise := range []bool{false, true} {
		t.Run(fmt.Sprintf("%s/%v", name, bytewise), func(t *testing.T) {
			t.Parallel()
			test(newMySQLTunnel(t, bytewise))
		})
	}
}

// TestMySQLTunnel logs in where packets are numbered anew, and nothing else is changed.
func TestMySQLTunnel(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, test := range map[string]struct {
		capabilities   uint32
		answer, plugin string
		moves          []string
	}{
		"native":      {mysqlTestCaps, "twenty bytes", mysqlNative, []string{"S: " + mysqlSaid(3, mysqlTestOK), "c: " + mysqlSaid(2, mysqlTestOK)}},
		"MariaDB":     {mysqlTestCaps &^ mysqlLongPassword, "x", mysqlNative, []string{"S: " + mysqlSaid(3, mysqlTestOK), "c: " + mysqlSaid(2, mysqlTestOK)}},
		"no password": {mysqlTestCaps, "", mysqlCachingSHA, []string{"S: " + mysqlSaid(3, mysqlTestOK), "c: " + mysqlSaid(2, mysqlTestOK)}},
		"no plugin":   {mysqlTestCaps &^ mysqlPluginAuth, "x", "", []string{"S: " + mysqlSaid(3, mysqlTestOK), "c: " + mysqlSaid(2, mysqlTestOK)}},
		"database":    {mysqlTestCaps | mysqlConnectWithDB, "x", mysqlNative, []string{"S: " + mysqlSaid(3, mysqlTestOK), "c: " + mysqlSaid(2, mysqlTestOK)}},
		"long answer": {mysqlTestCaps | mysqlLongAnswer, long, mysqlNative, []string{"S: " + mysqlSaid(3, mysqlTestOK), "c: " + mysqlSaid(2, mysqlTestOK)}},
		"old answer":  {mysqlTestCaps &^ mysqlSecureConnection, "x", mysqlNative, []string{"S: " + mysqlSaid(3, mysqlTestOK), "c: " + mysqlSaid(2, mysqlTestOK)}},
		"another number": {mysqlTestCaps, "x", mysqlNative, []string{ // the client has its own
			"S: " + mysqlSaid(7, "\xfe"+mysqlNative+"\x00"+mysqlTestNonce+"\x00"), "c: " + mysqlSaid(2, "\xfe"+mysqlNative+"\x00"+mysqlTestNonce+"\x00"),
			"C: " + mysqlSaid(3, "y"), "s: " + mysqlSaid(8, "y"), "S: " + mysqlSaid(9, mysqlTestOK), "c: " + mysqlSaid(4, mysqlTestOK)}},
		"switch to ed25519": {mysqlTestCaps, "x", mysqlNative, []string{
			"S: " + mysqlSaid(3, "\xfeclient_ed25519\x00"+long[:32]), "c: " + mysqlSaid(2, "\xfeclient_ed25519\x00"+long[:32]),
			"C: " + mysqlSaid(3, long[:64]), "s: " + mysqlSaid(4, long[:64]), "S: " + mysqlSaid(5, mysqlTestOK), "c: " + mysqlSaid(4, mysqlTestOK)}},
		"old password": {mysqlTestCaps, "x", mysqlNative, []string{
			"S: " + mysqlSaid(3, "\xfe"), "c: " + mysqlSaid(2, "\xfe"), "C: " + mysqlSaid(3, "12345678\x00"), "s: " + mysqlSaid(4, "12345678\x00"),
			"S: " + mysqlSaid(5, mysqlTestOK), "c: " + mysqlSaid(4, mysqlTestOK)}},
		"clear password": {mysqlTestCaps, "x", mysqlNative, []string{
			"S: " + mysqlSaid(3, "\xfemysql_clear_password\x00"), "c: " + mysqlSaid(2, "\xfemysql_clear_password\x00"),
			"C: " + mysqlSaid(3, "secret\x00"), "s: " + mysqlSaid(4, "secret\x00"), "S: " + mysqlSaid(5, mysqlTestOK), "c: " + mysqlSaid(4, mysqlTestOK)}},
		"questions": {mysqlTestCaps, "x", mysqlNative, []string{ // the first byte is a kind, that of a password is 4
			"S: " + mysqlSaid(3, "\xfedialog\x00\x02Name: "), "c: " + mysqlSaid(2, "\xfedialog\x00\x02Name: "), "C: " + mysqlSaid(3, "me\x00"), "s: " + mysqlSaid(4, "me\x00"),
			"S: " + mysqlSaid(5, "\x02Code: "), "c: " + mysqlSaid(4, "\x02Code: "), "C: " + mysqlSaid(5, "\x02"), "s: " + mysqlSaid(6, "\x02"),
			"S: " + mysqlSaid(7, "\x04Password: "), "c: " + mysqlSaid(6, "\x04Password: "), "C: " + mysqlSaid(7, "secret"), "s: " + mysqlSaid(8, "secret"),
			"S: " + mysqlSaid(9, ""), "c: " + mysqlSaid(8, ""), "C: " + mysqlSaid(9, ""), "s: " + mysqlSaid(10, ""), "S: " + mysqlSaid(11, mysqlTestOK), "c: " + mysqlSaid(10, mysqlTestOK)}},
		"fast": {mysqlTestCaps, long[:32], mysqlCachingSHA, []string{
			"S: " + mysqlSaid(3, "\x01\x03") + mysqlSaid(4, mysqlTestOK), "c: " + mysqlSaid(2, "\x01\x03") + mysqlSaid(3, mysqlTestOK)}},
		"full, by a client that trusts the line": {mysqlTestCaps, long[:32], mysqlCachingSHA, []string{
			"S: " + mysqlSaid(3, "\x01\x04"), "c: " + mysqlSaid(2, "\x01\x04"), "C: " + mysqlSaid(3, "secret\x00"), "s: " + mysqlSaid(4, "secret\x00"),
			"S: " + mysqlSaid(5, mysqlTestOK), "c: " + mysqlSaid(4, mysqlTestOK)}},
		"sha256, no password":                      {mysqlTestCaps, "\x00", mysqlSHA256, []string{"S: " + mysqlSaid(3, mysqlTestOK), "c: " + mysqlSaid(2, mysqlTestOK)}},
		"sha256, by a client that trusts the line": {mysqlTestCaps, "secret\x00", mysqlSHA256, []string{"S: " + mysqlSaid(3, mysqlTestOK), "c: " + mysqlSaid(2, mysqlTestOK)}},
		"two factors": {mysqlTestCaps | mysqlFactors, "x", mysqlNative, []string{
			"S: " + mysqlSaid(3, "\x02other\x00data\x00"), "c: " + mysqlSaid(2, "\x02other\x00data\x00"), "C: " + mysqlSaid(3, "\x01"), "s: " + mysqlSaid(4, "\x01"),
			"S: " + mysqlSaid(5, mysqlTestOK), "c: " + mysqlSaid(4, mysqlTestOK)}},
		"commands sent ahead": {mysqlTestCaps, "x", mysqlNative, []string{
			"C: " + mysqlSaid(0, "\x0e") + mysqlSaid(0, "\x0e"), "s: " + mysqlSaid(0, "\x0e") + mysqlSaid(0, "\x0e"),
			"S: " + mysqlSaid(3, mysqlTestOK) + mysqlSaid(1, mysqlTestOK), "c: " + mysqlSaid(2, mysqlTestOK) + mysqlSaid(1, mysqlTestOK)}},
	} {
		both(t, name, func(x *mysqlTunnel) {
			x.in(test.capabilities, test.answer, test.plugin)
			x.play(test.moves...)
			x.untouched()
		})
	}
}

// TestMySQLKey gives clients that ask for the server's key one of the tunnel's.
func TestMySQLKey(t *testing.T) {
	const other = "zyxwvutsrqponmlkjihg"
	ok := func(x *mysqlTunnel, server, client byte) {
		x.t.Helper()
		x.play("s: "+mysqlSaid(server, "secret\x00"), "S: "+mysqlSaid(server+1, mysqlTestOK), "c: "+mysqlSaid(client, mysqlTestOK))
		x.untouched()
	}
	full := func(x *mysqlTunnel, plugin string) { // for a client that is in by now
		x.play("S: "+mysqlSaid(5, "\x01\x04"), "c: "+mysqlSaid(4, "\x01\x04"), "C: "+mysqlSaid(5, "\x02"))
		x.hearKey(6)
		x.say(x.client, mysqlSaid(7, x.encrypted("secret\x00", other)))
		ok(x, 6, 8)
	}
	both(t, "full", func(x *mysqlTunnel) {
		x.in(mysqlTestCaps, "wrong", mysqlCachingSHA)
		x.play("S: "+mysqlSaid(3, "\x01\x04"), "c: "+mysqlSaid(2, "\x01\x04"), "C: "+mysqlSaid(3, "\x02"))
		x.hearKey(4)
		x.say(x.client, mysqlSaid(5, x.encrypted("secret\x00", mysqlTestNonce)))
		ok(x, 4, 6)
	})
	both(t, "full behind a switch", func(x *mysqlTunnel) {
		x.in(mysqlTestCaps, "wrong", mysqlNative)
		offer := "\xfe" + mysqlCachingSHA + "\x00" + other + "\x00"
		x.play("S: "+mysqlSaid(3, offer), "c: "+mysqlSaid(2, offer), "C: "+mysqlSaid(3, "wrong"), "s: "+mysqlSaid(4, "wrong"))
		full(x, mysqlCachingSHA)
	})
	both(t, "full as the second factor", func(x *mysqlTunnel) {
		x.in(mysqlTestCaps|mysqlFactors, "x", mysqlNative)
		offer := "\x02" + mysqlCachingSHA + "\x00" + other + "\x00"
		x.play("S: "+mysqlSaid(3, offer), "c: "+mysqlSaid(2, offer), "C: "+mysqlSaid(3, "wrong"), "s: "+mysqlSaid(4, "wrong"))
		full(x, mysqlCachingSHA)
	})
	both(t, "sha256", func(x *mysqlTunnel) {
		x.begin(mysqlTestCaps, "\x01", mysqlSHA256)
		x.hearKey(2)
		x.say(x.client, mysqlSaid(3, x.encrypted("secret\x00", mysqlTestNonce)))
		x.play("s: "+mysqlSaid(2, mysqlIn(mysqlTestCaps|mysqlSSL, "secret\x00", mysqlSHA256)),
			"S: "+mysqlSaid(3, mysqlTestOK), "c: "+mysqlSaid(4, mysqlTestOK))
		x.untouched()
	})
	both(t, "sha256 in a packet of long answers", func(x *mysqlTunnel) {
		const capabilities = mysqlTestCaps | mysqlLongAnswer | mysqlConnectWithDB
		x.begin(capabilities, "\x01", mysqlSHA256)
		x.hearKey(2)
		x.say(x.client, mysqlSaid(3, x.encrypted("secret\x00", mysqlTestNonce)))
		x.play("s: "+mysqlSaid(2, mysqlIn(capabilities|mysqlSSL, "secret\x00", mysqlSHA256)),
			"S: "+mysqlSaid(3, "\xfe"+mysqlNative+"\x00"+other+"\x00"), "c: "+mysqlSaid(4, "\xfe"+mysqlNative+"\x00"+other+"\x00"),
			"C: "+mysqlSaid(5, "\x02"), "s: "+mysqlSaid(4, "\x02"), "S: "+mysqlSaid(5, mysqlTestOK), "c: "+mysqlSaid(6, mysqlTestOK))
		x.untouched()
	})
	both(t, "sha256 behind a switch", func(x *mysqlTunnel) {
		x.in(mysqlTestCaps, "wrong", mysqlCachingSHA)
		offer := "\xfe" + mysqlSHA256 + "\x00" + other + "\x00"
		x.play("S: "+mysqlSaid(3, offer), "c: "+mysqlSaid(2, offer), "C: "+mysqlSaid(3, "\x01"))
		x.hearKey(4)
		x.say(x.client, mysqlSaid(5, x.encrypted("secret\x00", other)))
		ok(x, 4, 6)
	})
}

// mustEnd checks what a client is told last, and how the login ended.
func (x *mysqlTunnel) mustEnd(told string, err error, want string) {
	x.t.Helper()
	if got, readErr := io.ReadAll(x.client); string(got) != told || readErr != nil {
		x.t.Errorf("the client is told %q (%v), want %q", got, readErr, told)
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		x.t.Errorf("error %v, want %q", err, want)
	}
	if local := new(LocalError); !errors.As(err, &local) {
		x.t.Errorf("%v is not named as the client's fault", err)
	}
}

// TestMySQLKeyWrong: a password that can't be read goes nowhere.
func TestMySQLKeyWrong(t *testing.T) {
	denied := func(sequence byte) string {
		return mysqlSaid(sequence, "\xff\x13\x04#08S01tlsup: "+string(mysqlDenyKey))
	}
	const unread = "the local client: unexpected answer: a password that is not encrypted with the tunnel's key"
	for name, answer := range map[string]func(x *mysqlTunnel) string{
		"garbage":     func(*mysqlTunnel) string { return strings.Repeat("x", 256) },
		"nothing":     func(*mysqlTunnel) string { return "" },
		"no password": func(x *mysqlTunnel) string { return x.encrypted("", mysqlTestNonce) },
		"no end":      func(x *mysqlTunnel) string { return x.encrypted("secret", mysqlTestNonce) },
	} {
		both(t, name, func(x *mysqlTunnel) {
			x.in(mysqlTestCaps, "wrong", mysqlCachingSHA)
			x.play("S: "+mysqlSaid(3, "\x01\x04"), "c: "+mysqlSaid(2, "\x01\x04"), "C: "+mysqlSaid(3, "\x02"))
			x.hearKey(4)
			x.say(x.client, mysqlSaid(5, answer(x)))
			if rest, err := io.ReadAll(x.server); len(rest) > 0 || err != nil {
				t.Errorf("the server is told %q, %v", rest, err)
			}
			x.server.(*net.TCPConn).CloseWrite()
			x.mustEnd("", <-x.ended, unread)
		})
		both(t, "sha256, "+name, func(x *mysqlTunnel) {
			x.begin(mysqlTestCaps, "\x01", mysqlSHA256)
			x.hearKey(2)
			x.say(x.client, mysqlSaid(3, answer(x)))
			x.mustEnd("", <-x.failed, unread)
		})
	}
	both(t, "the server's key", func(x *mysqlTunnel) {
		x.in(mysqlTestCaps, "wrong", mysqlCachingSHA)
		x.play("S: "+mysqlSaid(3, "\x01\x04"), "c: "+mysqlSaid(2, "\x01\x04"), "C: "+mysqlSaid(3, strings.Repeat("x", 256)))
		x.mustEnd(denied(4), x.leave(), string(mysqlDenyKey))
	})
	both(t, "sha256, the server's key", func(x *mysqlTunnel) {
		x.begin(mysqlTestCaps|mysqlLongAnswer, strings.Repeat("x", 256), mysqlSHA256)
		x.mustEnd(denied(2), x.leave(), string(mysqlDenyKey))
	})
}

// leave has the client go, which the tunnel waits for, and returns how the login ended.
func (x *mysqlTunnel) leave() error {
	x.client.(*net.TCPConn).CloseWrite()
	select {
	case err := <-x.failed:
		return err
	case err := <-x.ended:
		return err
	}
}

// TestMySQLClientFails checks what is logged of a client that can't be led, and what it is told.
func TestMySQLClientFails(t *testing.T) {
	for name, test := range map[string]struct{ said, told, want, hint string }{
		"TLS":                 {"\x16\x03\x01\x00\xc4\x01", "", "the local client speaks TLS", "turn TLS off"},
		"SSLRequest":          {mysqlSaid(1, mysqlBegin(mysqlTestCaps|mysqlSSL)), mysqlSaid(2, "\xff\x13\x04#08S01tlsup: "+string(mysqlDenyTLS)), string(mysqlDenyTLS), "turn TLS off"},
		"HandshakeResponse32": {mysqlSaid(1, "\x05\x24\x00\x00\x01demo\x00"), mysqlSaid(2, "\xff\x13\x04tlsup: "+string(mysqlDenyOld)), string(mysqlDenyOld), ""},
		"HTTP":                {"GET / HTTP/1.0\r\n\r\n", "", "the local client: unexpected answer: packet 32 of 5522759 bytes where packet 1 is due", ""},
		"number":              {mysqlSaid(2, mysqlIn(mysqlTestCaps, "x", mysqlNative)), "", "packet 2 of 69 bytes where packet 1 is due", ""},
		"too long":            {"\xfd\xff\x00\x01" + strings.Repeat("x", MaxBytes), "", "sent too much", ""},
		"far too long":        {"\x01\x00\x01\x01", "", "packet 1 of 65537 bytes", ""},
		"empty":               {mysqlSaid(1, ""), "", "0 bytes that are no login packet", ""},
		"cut":                 {mysqlSaid(1, mysqlBegin(mysqlTestCaps))[:20], "", "closed the connection", ""},
		"no user":             {mysqlSaid(1, mysqlBegin(mysqlTestCaps)), "", "32 bytes that are no login packet", ""},
		"user without end":    {mysqlSaid(1, mysqlBegin(mysqlTestCaps)+"demo"), "", "36 bytes that are no login packet", ""},
		"no answer":           {mysqlSaid(1, mysqlBegin(mysqlTestCaps)+"demo\x00"), "", "37 bytes that are no login packet", ""},
		"answer cut":          {mysqlSaid(1, mysqlBegin(mysqlTestCaps)+"demo\x00\x05four"), "", "42 bytes that are no login packet", ""},
		"answer far too long": {mysqlSaid(1, mysqlBegin(mysqlTestCaps|mysqlLongAnswer)+"demo\x00\xfd\xff\xff\xff"), "", "41 bytes that are no login packet", ""},
		"nothing":             {"", "", "the local client closed the connection", ""},
	} {
		both(t, name, func(x *mysqlTunnel) {
			x.play("G: "+mysqlHello("8.4.0", mysqlTestCaps|mysqlSSL, mysqlTestMore, mysqlTestNonce, mysqlNative),
				"c: "+mysqlHello("8.4.0", mysqlTestCaps, moreOf(mysqlTestCaps), mysqlTestNonce, mysqlNative))
			// The tunnel may have had enough before all is said.
			io.WriteString(x.client, test.said)
			x.client.(*net.TCPConn).CloseWrite()
			err := <-x.failed
			if got, _ := io.ReadAll(x.client); string(got) != test.told {
				x.t.Errorf("the client is told %q, want %q", got, test.told)
			}
			var own *Error
			if !errors.As(err, &own) || !errors.As(err, new(*LocalError)) || !strings.Contains(err.Error(), test.want) || !strings.Contains(own.Hint, test.hint) {
				x.t.Errorf("error %v, want %q, %q", err, test.want, test.hint)
			}
			if got, _ := io.ReadAll(x.clear); len(got) > 0 {
				x.t.Errorf("the server is told %q", got)
			}
		})
	}
	both(t, "number in the login", func(x *mysqlTunnel) {
		x.in(mysqlTestCaps, "x", mysqlNative)
		x.play("C: " + mysqlSaid(5, "x")[:4])
		x.server.(*net.TCPConn).CloseWrite()
		x.mustEnd("", <-x.ended, "packet 5 of 1 bytes where packet 2 is due")
	})
	both(t, "cut in the login", func(x *mysqlTunnel) {
		x.in(mysqlTestCaps, "x", mysqlNative)
		x.play("C: " + mysqlSaid(2, "x")[:4])
		x.client.(*net.TCPConn).CloseWrite()
		if err := <-x.ended; err != io.ErrUnexpectedEOF {
			x.t.Errorf("error %v", err)
		}
	})
}

// TestMySQLServerFails checks what a client is told of a server that it can't be led to.
func TestMySQLServerFails(t *testing.T) {
	hello := func(version string, capabilities uint32, scramble, plugin string) string {
		return mysqlHello(version, capabilities, mysqlTestMore, scramble, plugin)
	}
	told := func(text string) string { return mysqlSaid(0, "\xff\x13\x04tlsup: "+text) }
	const tls = mysqlTestCaps | mysqlSSL
	for name, test := range map[string]struct {
		said, told string
		want       error
	}{
		"too many connections": {mysqlSaid(0, "\xff\x10\x04Too many connections"), mysqlSaid(0, "\xff\x10\x04Too many connections"), ErrRefused},
		"with a state":         {mysqlSaid(0, "\xff\x10\x04#08004Too many connections"), mysqlSaid(0, "\xff\x10\x04Too many connections"), ErrRefused},
		"escapes":              {mysqlSaid(0, "\xff\x6a\x04\x1b[31mno\r\n"), mysqlSaid(0, "\xff\x6a\x04\\x1b[31mno\\r\\n"), ErrRefused},
		"long":                 {mysqlSaid(0, "\xff\x6a\x04"+strings.Repeat("x", 600)), mysqlSaid(0, "\xff\x6a\x04"+strings.Repeat("x", 512)), ErrRefused},
		"no known code":        {mysqlSaid(0, "\xff\x00\x00no"), told(`server refuses: "0: no"`), ErrRefused},
		"not offered":          {hello("8.4.0", mysqlTestCaps, mysqlTestNonce, mysqlNative), told("server does not offer TLS (CLIENT_SSL)"), ErrNotOffered},
		"text":                 {"220 ", told(`unexpected answer: "220 "`), ErrUnexpected},
		"version":              {hello("8\x1b[2J", tls, mysqlTestNonce, mysqlNative), told(`unexpected answer: "version 8\x1b[2J"`), ErrUnexpected},
		"plugin":               {hello("8.4.0", tls, mysqlTestNonce, "a\r\nb"), told(`unexpected answer: "plugin a\r\nb"`), ErrUnexpected},
		"scramble":             {hello("8.4.0", tls, mysqlTestNonce[:12], mysqlNative), told(`unexpected answer: "scramble of 12 bytes"`), ErrUnexpected},
		"closed":               {"", "", ErrClosed},
	} {
		both(t, name, func(x *mysqlTunnel) {
			io.WriteString(x.clear, test.said)
			x.clear.(*net.TCPConn).CloseWrite()
			x.client.(*net.TCPConn).CloseWrite()
			if got, err := io.ReadAll(x.client); string(got) != test.told || err != nil {
				x.t.Errorf("the client is told %q (%v), want %q", got, err, test.told)
			}
			if err := <-x.failed; !errors.Is(err, test.want) || errors.As(err, new(*LocalError)) {
				x.t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
	both(t, "injection", func(x *mysqlTunnel) {
		x.play("G: "+hello("8.4.0", tls, mysqlTestNonce, mysqlNative)+"X", "c: "+mysqlHello("8.4.0", mysqlTestCaps, moreOf(mysqlTestCaps), mysqlTestNonce, mysqlNative),
			"C: "+mysqlSaid(1, mysqlIn(mysqlTestCaps, "x", mysqlNative)))
		// Where it came late it is the handshake's to refuse, which is left out here.
		if err := <-x.failed; !x.bytewise && !errors.As(err, new(*CleartextError)) {
			x.t.Errorf("error %v", err)
		}
	})
	both(t, "too long in the login", func(x *mysqlTunnel) {
		x.in(mysqlTestCaps, "x", mysqlNative)
		x.play("S: \x01\x00\x01\x03")
		if got, err := io.ReadAll(x.client); len(got) > 0 || err != nil {
			x.t.Errorf("the client is told %q, %v", got, err)
		}
	})
}

// scriptedEnd is scripted, and can be half-closed.
type scriptedEnd struct{ scripted }

func (*scriptedEnd) CloseWrite() error { return nil }

// atOnce is scripted, in one segment.
type atOnce struct{ scripted }

func (a *atOnce) Read(p []byte) (int, error) {
	if a.read == len(a.said) {
		return 0, io.EOF
	}
	n := copy(p, a.said[a.read:])
	a.read += n
	return n, nil
}

// FuzzMySQLLogin feeds a client's bytes to the login. Whatever they are, it returns, within the
// bounds; nothing reaches the server in the clear but SSLRequest, and no request for a key, nor
// what answers the key, reaches it inside TLS.
func FuzzMySQLLogin(f *testing.F) {
	login := mysqlSaid(1, mysqlIn(mysqlTestCaps, "x", mysqlCachingSHA))
	for _, said := range []string{
		login + mysqlSaid(3, "\x02") + mysqlSaid(5, strings.Repeat("x", 256)),
		login + mysqlSaid(3, "secret\x00") + mysqlSaid(0, "\x0e"),
		mysqlSaid(1, mysqlIn(mysqlTestCaps, "\x01", mysqlSHA256)) + mysqlSaid(3, strings.Repeat("x", 256)),
		mysqlSaid(1, mysqlIn(mysqlTestCaps|mysqlLongAnswer|mysqlConnectWithDB, strings.Repeat("x", 300), mysqlNative)),
		mysqlSaid(1, mysqlBegin(mysqlTestCaps|mysqlSSL)), mysqlSaid(1, "\x05\x24\x00\x00\x01demo\x00"), "GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\x00\xc4\x01",
	} {
		f.Add([]byte(said))
	}
	hello := mysqlHello("8.4.0", mysqlTestCaps|mysqlSSL, mysqlTestMore, mysqlTestNonce, mysqlCachingSHA)
	f.Fuzz(func(t *testing.T, said []byte) {
		near, clear, inside := &scriptedEnd{scripted{said: said}}, &scripted{said: []byte(hello)}, &scripted{}
		l := &Local{Conn: near}
		up, err := Client(context.Background(), clear, Find("mysql"), &Options{Host: "mail.example.org", Local: l})
		if err != nil && !errors.As(err, new(*LocalError)) || (err != nil) != (len(clear.sent) == 0) {
			t.Errorf("error %v, and the server was sent %q", err, clear.sent)
		}
		if err != nil {
			return
		}
		if len(clear.sent) != 36 || string(clear.sent[:4]) != "\x20\x00\x00\x01" || binary.LittleEndian.Uint16(clear.sent[4:])&(mysqlSSL|mysqlProtocol41) != mysqlSSL|mysqlProtocol41 {
			t.Errorf("SSLRequest is %q", clear.sent)
		}
		client, _, err := up.Lead(context.Background(), inside)
		if err != nil {
			if len(inside.sent) > 0 {
				t.Errorf("%v, and the server was sent %q", err, inside.sent)
			}
			return
		}
		first := parseAgain(t, inside.sent)
		if m := l.state.(*mysqlLogin); first.plugin != m.plugin || m.client == 1 && !bytes.Contains(said, first.answer) {
			t.Errorf("%q was made of %q", inside.sent, said)
		}
		l.state.(*mysqlLogin).full = l.state.(*mysqlLogin).plugin == mysqlCachingSHA
		full := l.state.(*mysqlLogin).full
		rest, err := io.ReadAll(client)
		if full && len(rest) >= 5 && rest[3] != 0 && rest[4+mysqlLength(rest)-1] != 0 && mysqlLength(rest) > 0 {
			t.Errorf("in place of a password the server is sent %q (%v)", rest, err)
		}
		if len(near.sent) > len(hello)+2*1024 {
			t.Errorf("the client is sent %d bytes", len(near.sent))
		}
	})
}

// parseAgain reads a login packet that was sent.
func parseAgain(t *testing.T, packet []byte) mysqlResponse {
	t.Helper()
	if len(packet) < 4 || packet[3] != 2 || mysqlLength(packet) != len(packet)-4 {
		t.Fatalf("%q is no packet", packet)
	}
	r, ok := parseMySQLLogin(packet[4:])
	if !ok || r.start.capabilities&mysqlSSL == 0 || !bytes.Equal(r.packet(r.answer), packet[4:]) {
		t.Errorf("%q is no login packet", packet)
	}
	return r
}

// FuzzMySQLAuth feeds a server's bytes to the login. The client is shown them as they are, but for
// the sequence numbers, which count on, until the login is over; however they are cut.
func FuzzMySQLAuth(f *testing.F) {
	for _, said := range []string{
		mysqlSaid(3, mysqlTestOK) + mysqlSaid(1, mysqlTestOK), mysqlSaid(3, "\x01\x03") + mysqlSaid(4, mysqlTestOK), mysqlSaid(3, "\x01\x04"),
		mysqlSaid(3, "\xfe"+mysqlSHA256+"\x00"+mysqlTestNonce+"\x00"), mysqlSaid(3, "\xfe"), mysqlSaid(3, ""), mysqlSaid(3, "\xff\x15\x04#28000no"),
		mysqlSaid(3, "\x02"+mysqlSHA256), "\xff\xff\xff\x03", "\x05\x00\x00\x03\x00",
	} {
		f.Add([]byte(said))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		shown := func(server net.Conn) ([]byte, *mysqlLogin, error) {
			m := &mysqlLogin{client: 1, server: 2, factors: true, plugin: mysqlCachingSHA}
			l := &Local{state: m}
			m.local = l
			_, end := mysqlEnds(l, nil, server)
			got, err := io.ReadAll(end)
			return got, m, err
		}
		whole, m, err := shown(&scripted{said: said})
		again, m2, err2 := shown(&atOnce{scripted{said: said}})
		if !bytes.Equal(whole, again) || (err == nil) != (err2 == nil) || m.over != m2.over || m.plugin != m2.plugin {
			t.Errorf("%q, %v in pieces; %q, %v as a whole", whole, err, again, err2)
		}
		if !m.over && err == nil && len(whole) != len(said) || m.over && !bytes.Equal(withoutNumbers(whole), withoutNumbers(said)) {
			t.Errorf("%q is shown as %q", said, whole)
		}
		for due, rest := byte(2), whole; len(rest) >= 4 && due < byte(m.client); due++ {
			if rest[3] != due {
				t.Errorf("packet %d in place of %d in %q", rest[3], due, whole)
			}
			rest = rest[4+mysqlLength(rest):]
		}
	})
}

// withoutNumbers is a login's packets, up to OK or an error, without their numbers, and the rest.
func withoutNumbers(packets []byte) []byte {
	packets = bytes.Clone(packets)
	for rest := packets; len(rest) >= 4; {
		n := mysqlLength(rest)
		rest[3] = 0
		if n > len(rest)-4 || n > 0 && (rest[4] == 0 || rest[4] == 0xff) {
			break
		}
		rest = rest[4+n:]
	}
	return packets
}
