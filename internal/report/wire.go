package report

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"tlsup/internal/quote"
	"tlsup/negotiate"
)

// A recorder notes what happens in a check, and when.
type recorder struct {
	start time.Time

	mu     sync.Mutex
	events []Event
}

func (r *recorder) note(from, text string) { r.noteAt(time.Now(), from, text) }

func (r *recorder) noteAt(at time.Time, from, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, Event{*milliseconds(at.Sub(r.start)), from, text})
}

// all returns what was noted. An address that is still tried, though another has answered, may add to it.
func (r *recorder) all() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

const (
	byClient = "client"
	byServer = "server"
)

// line notes a line of the cleartext exchange.
func (r *recorder) line(l negotiate.Line) {
	switch {
	case l.TLS: // the handshake, which the tap has noted
	case l.Server:
		r.note(byServer, quote.Escape(l.Text))
	default:
		r.note(byClient, quote.Escape(l.Text))
	}
}

// A tap is the connection under TLS during the handshake. It notes the flights: what one side sends
// until the other does. One goroutine uses it until the handshake is done.
type tap struct {
	net.Conn
	rec *recorder

	client, server records
	version        uint16 // as far as the hellos tell

	// The flight that is going on.
	from   string
	began  time.Time
	parts  []string
	hidden int // encrypted parts at the end
	bytes  int

	signature tls.SignatureScheme // of the server, where it is not encrypted
	done      bool
}

func newTap(conn net.Conn, rec *recorder) *tap {
	t := &tap{Conn: conn, rec: rec}
	t.client.tap, t.server.tap = t, t
	return t
}

// SetDeadline and the like are the embedded connection's.

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.feed(byServer, &t.server, p[:n])
	return n, err
}

func (t *tap) Write(p []byte) (int, error) {
	t.feed(byClient, &t.client, p)
	return t.Conn.Write(p)
}

// feed takes bytes of one side.
func (t *tap) feed(from string, r *records, p []byte) {
	if t.done || len(p) == 0 {
		return
	}
	if from != t.from {
		t.flush()
		t.from, t.began = from, time.Now()
	}
	t.bytes += len(p)
	r.feed(p)
}

// flush notes the flight that has ended.
func (t *tap) flush() {
	if t.from == "" {
		return
	}
	t.rec.noteAt(t.began, t.from, fmt.Sprintf("%s, %d bytes", strings.Join(t.parts, ", "), t.bytes))
	t.from, t.parts, t.hidden, t.bytes = "", nil, 0, 0
}

// finish ends the tap's work: what follows is the session.
func (t *tap) finish() {
	t.flush()
	t.done = true
}

// part adds to the flight. Encrypted parts are counted.
func (t *tap) part(name string) {
	if name != encrypted {
		t.parts, t.hidden = append(t.parts, name), 0
		return
	}
	if t.hidden++; t.hidden == 1 {
		t.parts = append(t.parts, encrypted)
	} else {
		t.parts[len(t.parts)-1] = fmt.Sprintf("%d %s", t.hidden, encrypted)
	}
}

// encrypted is the part that nothing more is known of.
const encrypted = "encrypted"

// records reads the TLS records of one side (RFC 8446, 5.1), and in them the messages of the
// handshake as long as they are in the clear.
type records struct {
	tap       *tap
	header    []byte
	left      int // of the record's content
	kind      byte
	encrypted bool // all that follows

	message []byte // the beginning of a handshake message, or of an alert
	skip    int    // bytes of it that are not kept
}

// Content types of records, and messages of the handshake that more than the name is read of.
const (
	changeCipherSpec = 20
	alert            = 21
	handshake        = 22
	applicationData  = 23

	serverHello       = 2
	serverKeyExchange = 12
)

// kept is how much of a message is kept. It is enough for a ServerKeyExchange with any curve.
const kept = 2048

func (r *records) feed(p []byte) {
	const headerLen = 5
	for len(p) > 0 {
		if r.left == 0 {
			n := min(headerLen-len(r.header), len(p))
			r.header, p = append(r.header, p[:n]...), p[n:]
			if len(r.header) < headerLen {
				return
			}
			r.kind, r.left = r.header[0], int(binary.BigEndian.Uint16(r.header[3:]))
			r.header = r.header[:0]
			r.begin()
			continue
		}
		n := min(r.left, len(p))
		if !r.encrypted && (r.kind == handshake || r.kind == alert) {
			r.content(p[:n])
		}
		r.left, p = r.left-n, p[n:]
		if r.left == 0 && r.kind == changeCipherSpec && r.tap.version < tls.VersionTLS13 {
			r.encrypted = true
		}
	}
}

// begin names a record that can be named by its type.
func (r *records) begin() {
	switch {
	case r.encrypted && r.kind == handshake:
		r.tap.part("Finished")
	case r.kind == changeCipherSpec:
		r.tap.part("ChangeCipherSpec")
	case r.encrypted && r.kind == alert, r.kind == applicationData:
		r.tap.part(encrypted)
	}
}

// content reads handshake messages, and alerts.
func (r *records) content(p []byte) {
	for len(p) > 0 {
		if r.skip > 0 {
			n := min(r.skip, len(p))
			r.skip, p = r.skip-n, p[n:]
			continue
		}
		r.message, p = append(r.message, p[0]), p[1:]
		if r.kind == alert {
			if len(r.message) == 2 {
				r.tap.part("alert: " + strings.TrimPrefix(tls.AlertError(r.message[1]).Error(), "tls: "))
				r.message = nil
			}
			continue
		}
		const head = 4
		if len(r.message) < head {
			continue
		}
		length := int(r.message[1])<<16 | int(r.message[2])<<8 | int(r.message[3])
		if wanted := head + min(length, kept); len(r.message) == wanted {
			r.skip = head + length - wanted
			r.tap.message(r.message[0], r.message[head:])
			r.message = nil
		}
	}
}

// messageNames are the messages of the handshake that are in the clear in some version.
var messageNames = map[byte]string{
	0: "HelloRequest", 1: "ClientHello", serverHello: "ServerHello", 4: "NewSessionTicket", 11: "Certificate",
	serverKeyExchange: "ServerKeyExchange", 13: "CertificateRequest", 14: "ServerHelloDone", 15: "CertificateVerify",
	16: "ClientKeyExchange", 20: "Finished", 22: "CertificateStatus",
}

// retry is the random value of a HelloRetryRequest (RFC 8446, 4.1.3): its beginning.
var retry = []byte{0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11}

// message takes a message of the handshake, the body cut at kept.
func (t *tap) message(kind byte, body []byte) {
	name := messageNames[kind]
	switch {
	case name == "":
		name = fmt.Sprintf("message %d", kind)
	case kind == serverHello:
		t.version = helloVersion(body)
		if len(body) > 2+len(retry) && string(body[2:2+len(retry)]) == string(retry) {
			name = "HelloRetryRequest"
		}
	case kind == serverKeyExchange && t.version == tls.VersionTLS12:
		t.signature = keyExchangeSignature(body)
	}
	t.part(name)
}

// helloVersion is the version in a ServerHello: TLS 1.3 is named in an extension (RFC 8446, 4.2.1).
func helloVersion(body []byte) uint16 {
	const random, supportedVersions = 32, 43
	if len(body) < 2+random+1 {
		return 0
	}
	version := binary.BigEndian.Uint16(body)
	rest := body[2+random:]
	if skip := 1 + int(rest[0]) + 2 + 1 + 2; len(rest) > skip { // session ID, suite, compression, length
		for rest = rest[skip:]; len(rest) >= 4; {
			kind, n := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
			if rest = rest[4:]; n > len(rest) {
				break
			}
			if kind == supportedVersions && n == 2 {
				return binary.BigEndian.Uint16(rest)
			}
			rest = rest[n:]
		}
	}
	return version
}

// keyExchangeSignature finds the algorithm in a ServerKeyExchange of TLS 1.2 with a named curve
// (RFC 8422, 5.4); 0 if there is none.
func keyExchangeSignature(body []byte) tls.SignatureScheme {
	const namedCurve, head = 3, 4 // type, curve, length of the point
	if len(body) < head || body[0] != namedCurve {
		return 0
	}
	rest := body[head:]
	point := int(body[head-1])
	if len(rest) < point+2 {
		return 0
	}
	return tls.SignatureScheme(binary.BigEndian.Uint16(rest[point:]))
}
