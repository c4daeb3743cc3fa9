package trace

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"tlsup/internal/quote"
	"tlsup/internal/wire"
)

// A run is what one side sends without anything else happening: it is one line, however long it is.
type run struct {
	who         string
	what        string // "records of application_data"
	first, last time.Time
	n           int
	bytes       int64
	lastBytes   int
}

const (
	// pause ends a run.
	pause = time.Second
	// many lines are enough to see who says what when: from then on a run goes on while the other side
	// has one, so that a long session writes two lines a second at most.
	many = 1000
	// alertBytes is how long a record with an alert is in TLS 1.3: alert, type and tag.
	alertBytes = 2 + 1 + 16
)

// count adds n bytes to the run of a side. The caller holds the lock.
func (t *Trace) count(side int, who, what string, n int) {
	now := time.Now()
	r, other := &t.runs[side], &t.runs[1-side]
	if r.n > 0 && now.Sub(r.last) > pause || other.n > 0 && t.lines < many {
		t.flush()
	}
	if r.n == 0 {
		*r = run{who: who, what: what, first: now}
	}
	r.last, r.lastBytes = now, n
	r.n++
	r.bytes += int64(n)
}

// flush writes the runs. The caller holds the lock.
func (t *Trace) flush() {
	runs := slices.Clone(t.runs[:])
	t.runs = [2]run{}
	slices.SortFunc(runs, func(a, b run) int { return a.first.Compare(b.first) })
	for _, r := range runs {
		if r.n == 0 {
			continue
		}
		text := fmt.Sprintf("%s: %d bytes", r.what, r.bytes)
		if r.n > 1 {
			text = fmt.Sprintf("%d times %s: %d bytes, to %s", r.n, r.what, r.bytes, t.since(r.last))
		}
		if t.shaken && r.lastBytes == alertBytes {
			text += ", the last as long as an alert"
		}
		t.line(r.first, r.who, text)
	}
}

const (
	client = iota
	server
)

// side is the index of a side's run, and what stands in front of its records.
func side(from wire.Side) (int, string) {
	if from == wire.Client {
		return client, "C> "
	}
	return server, "S> "
}

// An observer is told of what is under TLS.
type observer struct{ *Trace }

// Bytes is told by records.
func (observer) Bytes(wire.Side, int) {}

func recordNames() map[byte]string {
	return map[byte]string{
		wire.ChangeCipherSpec: "change_cipher_spec", wire.Alert: "alert", wire.Handshake: "handshake", wire.ApplicationData: "application_data",
	}
}

func (o observer) Record(from wire.Side, r wire.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i, who := side(from)
	name := cmp.Or(recordNames()[r.Type], fmt.Sprintf("type %d", r.Type))
	if r.Encrypted && r.Type != wire.ApplicationData {
		name = "encrypted " + name
	}
	name = fmt.Sprintf("record %s, %s", name, tls.VersionName(r.Version))
	if o.shaken && r.Type == wire.ApplicationData {
		o.count(i, who, name, r.Length)
		return
	}
	o.flush()
	o.line(time.Now(), who, fmt.Sprintf("%s: %d bytes", name, r.Length))
}

func (o observer) Message(from wire.Side, m wire.Message) {
	_, who := side(from)
	text := m.Name()
	if m.Record == wire.Handshake {
		text += fmt.Sprintf(": %d bytes", m.Length)
	}
	if detail := m.Detail(); detail != "" {
		text += ": " + detail
	}
	o.event(who, "  "+text)
}

func (o observer) Failed(from wire.Side, err error) {
	_, who := side(from)
	o.failed(who, err)
}

// failed writes that a side of the connection has ended.
func (t *Trace) failed(who string, err error) {
	switch {
	case os.IsTimeout(err), errors.Is(err, net.ErrClosed): // of our own making
	case errors.Is(err, io.EOF):
		t.event(who, "end of the connection (FIN)")
	case errors.Is(err, syscall.ECONNRESET):
		t.event(who, "connection reset")
	default:
		t.event(who, "connection failed: "+quote.Escape(err.Error()))
	}
}

func (o observer) Closed() { o.close() }

func (t *Trace) close() {
	t.mu.Lock()
	closed := t.closed
	t.closed = true
	t.mu.Unlock()
	if !closed {
		t.event("C> ", "connection closed")
	}
}

// ByHand returns conn for what a person says on it in the clear: the lengths alone are written, until
// TLS is due.
func (t *Trace) ByHand(conn net.Conn) net.Conn {
	if t == nil {
		return conn
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.manual, t.byHand = true, true
	return &byHand{conn, t}
}

// byHand hides the socket, from which others would read past it.
type byHand struct {
	net.Conn
	trace *Trace
}

// Read and Write are the connection's.
func (c *byHand) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.said(server, "S: ", n, err)
	return n, err
}

func (c *byHand) Write(p []byte) (int, error) {
	c.said(client, "C: ", len(p), nil) // before the answer can be there
	n, err := c.Conn.Write(p)
	c.said(client, "C: ", 0, err)
	return n, err
}

func (c *byHand) said(side int, who string, n int, err error) {
	t := c.trace
	t.mu.Lock()
	now := t.byHand
	if now && n > 0 {
		t.count(side, who, "by hand", n)
	}
	t.mu.Unlock()
	if now && err != nil {
		t.failed(who, err)
	}
}

// CloseWrite ends our side of the connection.
func (c *byHand) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close closes the connection.
func (c *byHand) Close() error {
	c.trace.close()
	return c.Conn.Close()
}
