package report

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"tlsup/internal/quote"
	"tlsup/internal/wire"
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
	byClient = string(wire.Client)
	byServer = string(wire.Server)
)

// line notes a line of the cleartext exchange.
func (r *recorder) line(l negotiate.Line) {
	switch {
	case l.TLS: // the handshake, which the flights tell of
	case l.Server:
		r.note(byServer, quote.Escape(l.Text))
	default:
		r.note(byClient, quote.Escape(l.Text))
	}
}

// flights notes what one side sends in the handshake until the other does. It is the observer of a
// tap, and used by one goroutine until the handshake is done.
type flights struct {
	tap *wire.Tap
	rec *recorder

	// The flight that is going on.
	from   wire.Side
	began  time.Time
	parts  []string
	hidden int // encrypted parts at the end
	bytes  int

	version   uint16
	signature tls.SignatureScheme // of the server, where it is not encrypted
}

// watchFlights returns the flights on conn, of which tap is to be used.
func watchFlights(conn net.Conn, rec *recorder) *flights {
	f := &flights{rec: rec}
	f.tap = wire.NewTap(conn, f)
	return f
}

// finish ends the flights: what follows is the session.
func (f *flights) finish() {
	f.tap.Stop()
	f.flush()
}

// flush notes the flight that has ended.
func (f *flights) flush() {
	if f.from == "" {
		return
	}
	f.rec.noteAt(f.began, string(f.from), fmt.Sprintf("%s, %d bytes", strings.Join(f.parts, ", "), f.bytes))
	f.from, f.parts, f.hidden, f.bytes = "", nil, 0, 0
}

// encrypted is the part that nothing more is known of.
const encrypted = "encrypted"

// part adds to the flight. Encrypted parts are counted.
func (f *flights) part(name string) {
	if name != encrypted {
		f.parts, f.hidden = append(f.parts, name), 0
		return
	}
	if f.hidden++; f.hidden == 1 {
		f.parts = append(f.parts, encrypted)
	} else {
		f.parts[len(f.parts)-1] = fmt.Sprintf("%d %s", f.hidden, encrypted)
	}
}

// Bytes begins a flight when it is the other side's turn.
func (f *flights) Bytes(from wire.Side, n int) {
	if from != f.from {
		f.flush()
		f.from, f.began = from, time.Now()
	}
	f.bytes += n
}

// Record names a record that can be named by its type.
func (f *flights) Record(_ wire.Side, r wire.Record) {
	switch {
	case r.Encrypted && r.Type == wire.Handshake:
		f.part("Finished")
	case r.Type == wire.ChangeCipherSpec:
		f.part("ChangeCipherSpec")
	case r.Encrypted && r.Type == wire.Alert, r.Type == wire.ApplicationData:
		f.part(encrypted)
	}
}

// Message names a message.
func (f *flights) Message(_ wire.Side, m wire.Message) {
	switch {
	case m.Record == wire.Handshake && m.Type == wire.ServerHello:
		f.version = m.Version()
	case m.Record == wire.Handshake && m.Type == wire.ServerKeyExchange && f.version == tls.VersionTLS12:
		f.signature = m.Signature()
	}
	f.part(m.Name())
}

// Failed and Closed are told otherwise.
func (*flights) Failed(wire.Side, error) {}
func (*flights) Closed()                 {}
