// Package wire reads what passes under a TLS session: the headers of records, and in them the messages
// of the handshake and the alerts that are not encrypted.
package wire

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
)

// A Side is who says something.
type Side string

// The sides of a connection.
const (
	Client Side = "client"
	Server Side = "server"
)

// Content types of records (RFC 8446, 5.1).
const (
	ChangeCipherSpec = 20
	Alert            = 21
	Handshake        = 22
	ApplicationData  = 23
)

// Messages of the handshake of which more than the name is read (RFC 8446, 4).
const (
	ClientHello       = 1
	ServerHello       = 2
	ServerKeyExchange = 12
)

// A Record is the header of a record.
type Record struct {
	Type    byte
	Version uint16 // as it stands there: it says little since TLS 1.3
	Length  int    // of what follows, in bytes
	// Encrypted tells that it comes behind a ChangeCipherSpec before TLS 1.3; in TLS 1.3 what is
	// encrypted has the type ApplicationData.
	Encrypted bool
}

// A Message is a message of the handshake, or an alert, in the clear.
type Message struct {
	Record byte   // the type of the record: Handshake or Alert
	Type   byte   // or the alert's code
	Body   []byte // of a handshake message, cut at 16 KiB
	Length int    // of the whole body, in bytes
}

// An Observer is told what a Tap sees, by one call at a time.
type Observer interface {
	// Bytes tells that n bytes pass, which the calls that follow are about.
	Bytes(from Side, n int)
	Record(from Side, r Record)
	Message(from Side, m Message)
	// Failed tells that nothing more can be read from the server, or written by the client; io.EOF is
	// the end of the server's side. Time-outs are told too.
	Failed(from Side, err error)
	// Closed tells that this side closes the connection.
	Closed()
}

// A Tap is a connection under TLS, of which an observer is told. One goroutine may read while others
// write.
type Tap struct {
	net.Conn
	to Observer

	mu             sync.Mutex
	client, server records
	version        uint16 // as far as the ServerHello tells
	stopped        bool
}

// NewTap returns the connection to run TLS on in place of conn.
func NewTap(conn net.Conn, to Observer) *Tap {
	t := &Tap{Conn: conn, to: to}
	t.client, t.server = records{tap: t, from: Client}, records{tap: t, from: Server}
	return t
}

// Stop ends what the observer is told.
func (t *Tap) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
}

// Read reads from the connection.
func (t *Tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.tell(&t.server, p[:n], err)
	return n, err
}

// Write writes to the connection. The observer is told before: an answer comes behind.
func (t *Tap) Write(p []byte) (int, error) {
	t.tell(&t.client, p, nil)
	n, err := t.Conn.Write(p)
	t.tell(&t.client, nil, err)
	return n, err
}

// Close closes the connection.
func (t *Tap) Close() error {
	t.mu.Lock()
	if !t.stopped {
		t.to.Closed()
	}
	t.mu.Unlock()
	return t.Conn.Close()
}

// tell tells of bytes of one side, and of the error behind them.
func (t *Tap) tell(r *records, p []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	if len(p) > 0 {
		t.to.Bytes(r.from, len(p))
		r.feed(p)
	}
	if err != nil {
		t.to.Failed(r.from, err)
	}
}

// records reads the TLS records of one side (RFC 8446, 5.1), and in them the messages of the
// handshake as long as they are in the clear.
type records struct {
	tap  *Tap
	from Side

	header    []byte
	left      int // of the record's content
	kind      byte
	encrypted bool // all that follows

	message []byte // the beginning of a handshake message, or of an alert
	skip    int    // bytes of it that are not kept
}

// kept is how much of a message is kept. A ClientHello has keys of over a kilobyte in it.
const kept = 16 << 10

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
			r.tap.to.Record(r.from, Record{r.kind, binary.BigEndian.Uint16(r.header[1:]), r.left, r.encrypted})
			r.header = r.header[:0]
			continue
		}
		n := min(r.left, len(p))
		if !r.encrypted && (r.kind == Handshake || r.kind == Alert) {
			r.content(p[:n])
		}
		r.left, p = r.left-n, p[n:]
		if r.left == 0 && r.kind == ChangeCipherSpec && r.tap.version < tls.VersionTLS13 {
			r.encrypted = true
		}
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
		if r.kind == Alert {
			if len(r.message) == 2 {
				r.tap.to.Message(r.from, Message{Record: Alert, Type: r.message[1]})
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
			m := Message{Handshake, r.message[0], r.message[head:], length}
			if m.Type == ServerHello {
				r.tap.version = m.Version()
			}
			r.tap.to.Message(r.from, m)
			r.message = nil
		}
	}
}

// messageNames are the messages of the handshake that are in the clear in some version.
func messageNames() map[byte]string {
	return map[byte]string{
		0: "HelloRequest", ClientHello: "ClientHello", ServerHello: "ServerHello", 4: "NewSessionTicket", 11: "Certificate",
		ServerKeyExchange: "ServerKeyExchange", 13: "CertificateRequest", 14: "ServerHelloDone", 15: "CertificateVerify",
		16: "ClientKeyExchange", 20: "Finished", 22: "CertificateStatus",
	}
}

// retry is the random value of a HelloRetryRequest (RFC 8446, 4.1.3): its beginning.
const retry = "\xcf\x21\xad\x74\xe5\x9a\x61\x11"

// Name is what a message is called, or an alert with what it means.
func (m Message) Name() string {
	const random = 2 // where it begins, behind the version
	name := messageNames()[m.Type]
	switch {
	case m.Record == Alert:
		return "alert: " + strings.TrimPrefix(tls.AlertError(m.Type).Error(), "tls: ")
	case name == "":
		return fmt.Sprintf("message %d", m.Type)
	case m.Type == ServerHello && len(m.Body) > random && strings.HasPrefix(string(m.Body[random:]), retry):
		return "HelloRetryRequest"
	}
	return name
}
