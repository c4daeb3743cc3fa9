package negotiate

import (
	"bytes"
	"net"
	"os"
	"time"
)

// Content types of TLS records that a server may send first (RFC 8446, 5.1).
const (
	recordAlert     = 21
	recordHandshake = 22
)

// How much of a cleartext answer is collected for the message, and for how long.
const (
	cleartextBytes = 512
	cleartextWait  = 300 * time.Millisecond
)

// guard watches the moment between the server's go-ahead and its first TLS record.
type guard struct {
	conn     net.Conn // the bare connection
	upgraded bool     // there was a go-ahead
	started  bool     // the ClientHello was sent
	checked  bool     // the server's first record has been seen
}

// checkWrite is called before the ClientHello is sent. The client speaks first in TLS:
// what has arrived by now is an injection, even if it looks like a record.
func (g *guard) checkWrite() error {
	g.started = true
	if !g.upgraded {
		return nil
	}
	if text := arrived(g.conn); len(text) > 0 {
		return &CleartextError{Text: text, Upgraded: true}
	}
	return nil
}

// checkRead is called with the server's first bytes, read through conn.
func (g *guard) checkRead(conn net.Conn, p []byte, err error) (int, error) {
	if len(p) == 0 {
		return 0, err
	}
	if p[0] == recordAlert || p[0] == recordHandshake {
		g.checked = true
		return len(p), err
	}
	text := append(make([]byte, 0, cleartextBytes), p[:min(len(p), cleartextBytes)]...)
	conn.SetReadDeadline(time.Now().Add(cleartextWait))
	for err == nil && len(text) < cleartextBytes && (g.upgraded || !bytes.Contains(text, []byte("\n"))) {
		var n int
		n, err = conn.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
	}
	return 0, &CleartextError{Text: text, Upgraded: g.upgraded}
}

// arrivedByReading returns what has arrived on a connection that can't be peeked at. It
// waits a millisecond, since a deadline that has passed would not even try. It leaves
// the connection without a read deadline.
func arrivedByReading(conn net.Conn) []byte {
	var b [cleartextBytes]byte
	if conn.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return nil
	}
	defer conn.SetReadDeadline(time.Time{})
	n, err := conn.Read(b[:])
	if err != nil && !os.IsTimeout(err) {
		return nil // the handshake meets the same error and reports it
	}
	return b[:n]
}
