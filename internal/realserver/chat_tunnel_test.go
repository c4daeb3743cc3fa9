package realserver

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// dialTunnel is a connection with a tunnel that ends with the test.
func dialTunnel(t *testing.T, tu *tunnelling) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", tu.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(limit))
	return conn
}

// throughTunnel is a session with a tunnel, in the clear.
func throughTunnel(t *testing.T, tu *tunnelling) *session {
	t.Helper()
	conn := dialTunnel(t, tu)
	return &session{t: t, conn: conn, r: bufio.NewReader(conn)}
}

// TestQuasselTunnel begins as Quassel's client does, with and without a wish for encryption.
func TestQuasselTunnel(t *testing.T) {
	t.Parallel()
	s := Quassel(t)
	tu := tunnelTo(t, s, "quassel", "0")
	for _, probe := range []string{"\x42\xb3\x3f\x00", "\x42\xb3\x3f\x01"} {
		core := throughTunnel(t, tu)
		core.say(probe + "\x00\x00\x00\x02\x80\x00\x00\x01")
		core.hear("\x00\x00\x00\x02")
		core.say(quasselInit)
		var length [4]byte
		if _, err := io.ReadFull(core.r, length[:]); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, min(binary.BigEndian.Uint32(length[:]), 1<<16))
		if _, err := io.ReadFull(core.r, answer); err != nil || !strings.Contains(string(answer), quasselUTF16("ClientInitAck")) {
			t.Errorf("%q (%v)", answer, err)
		}
	}
}

// TestSyncplayTunnel begins as Syncplay's client does, with and without TLS of its own.
func TestSyncplayTunnel(t *testing.T) {
	t.Parallel()
	s := Syncplay(t)
	tu := tunnelTo(t, s, "syncplay", "0")
	for _, wish := range []bool{false, true} {
		session := throughTunnel(t, tu)
		if wish {
			session.ask(`{"TLS": {"startTLS": "send"}}`, `{"TLS": {"startTLS": "false"}}`)
		}
		session.say(syncplayHello + "\r\n")
		for line := ""; !strings.HasPrefix(line, `{"Hello": {"username": "demo`); line = session.hear("\r\n") {
		}
	}
}
