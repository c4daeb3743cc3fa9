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
	first    []byte   // what has been seen of it, while that is too little
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
	g.first = append(g.first, p[:min(len(p), cleartextBytes)]...)
	if !startsRecord(g.first) {
		return 0, cleartext(conn, g.first, g.upgraded)
	}
	if g.checked = len(g.first) > 1; g.checked {
		g.first = nil
	}
	return len(p), err
}

// startsRecord reports whether b, of one byte or more, may be the start of a server's first
// TLS record: its type, and the version's upper half (RFC 8446, 5.1).
func startsRecord(b []byte) bool {
	return (b[0] == recordAlert || b[0] == recordHandshake) && (len(b) == 1 || b[1] == 3)
}

// cleartext is the error for what has begun to come in place of a TLS record. It collects
// more of it for the message.
func cleartext(conn net.Conn, text []byte, upgraded bool) error {
	text = append(make([]byte, 0, cleartextBytes), text...)
	conn.SetReadDeadline(time.Now().Add(cleartextWait))
	for len(text) < cleartextBytes && (upgraded || !bytes.Contains(text, []byte("\n"))) {
		n, err := conn.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if err != nil {
			break
		}
	}
	// Behind injected text the server's own record may have come, which is not to be shown.
	if i := bytes.Index(text, []byte{recordHandshake, 3}); i > 0 {
		text = text[:i]
	}
	return &CleartextError{Text: text, Upgraded: upgraded}
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
