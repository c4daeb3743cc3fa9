// Package trace writes down what happens on a connection, for a bug report: addresses, the cleartext
// exchange, headers of TLS records, times, and how it ended. There is no secret in it: no key, nothing
// that is said inside TLS, and of what a person says in the clear the length alone.
//
// It is text, a line an event: the milliseconds since the beginning, who, and what.
//
//	--  what neither side says
//	C:  S:  a line, element or packet of the cleartext exchange, escaped
//	C>  S>  a TLS record, or a message of the handshake in it
//
// Who are C, the client, and S, the server.
package trace

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/internal/trust"
	"tlsup/internal/wire"
	"tlsup/negotiate"
)

// A Trace is a file that is being written. Its methods may be called by several goroutines at once, and
// do nothing on nil.
type Trace struct {
	mu     sync.Mutex
	file   io.WriteCloser
	start  time.Time
	err    error // the first of writing
	inside bool  // what is said now is said inside TLS
	manual bool  // the cleartext part is done by hand
	byHand bool  // what is said now is said in the clear, by hand
	shaken bool  // the handshake is done
	closed bool  // by this side
	lines  int
	secret *regexp.Regexp // of secretField
	runs   [2]run         // of the client and the server
}

// Create begins a trace in a file that its owner alone can read. A file that is there is replaced.
func Create(path string) (*Trace, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		if err := file.Chmod(0o600); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			file.Close()
			return nil, err
		}
	}
	return newTrace(file), nil
}

func newTrace(file io.WriteCloser) *Trace {
	return &Trace{file: file, start: time.Now(), secret: regexp.MustCompile(secretField)}
}

// Note writes what neither side says. The text can be shown as it is.
func (t *Trace) Note(format string, args ...any) { t.event("-- ", fmt.Sprintf(format, args...)) }

// Failure writes what went wrong; nothing for nil.
func (t *Trace) Failure(err error) {
	var failed *connect.Error
	switch {
	case errors.As(err, &failed):
		t.Note("failed: %s: %s", failed.Step, t.reason(failed))
	case err != nil:
		t.Note("%s", quote.Escape(err.Error()))
	}
}

// reason is why something failed, without what was said by hand or inside TLS, which errors quote.
func (t *Trace) reason(failed *connect.Error) string {
	if t == nil {
		return ""
	}
	t.mu.Lock()
	manual, inside := t.manual, t.inside
	t.mu.Unlock()
	var cleartext *negotiate.CleartextError
	switch {
	case manual && errors.As(failed, &cleartext):
		return fmt.Sprintf("cleartext where TLS is due, %d bytes", len(cleartext.Text))
	case !inside || failed.Status() != connect.StatusNoUpgrade:
		return connect.Reason(failed.Err)
	}
	for _, known := range []error{negotiate.ErrNotOffered, negotiate.ErrRefused, negotiate.ErrUnexpected, negotiate.ErrTooLong, negotiate.ErrClosed, negotiate.ErrSilent} {
		if errors.Is(failed, known) {
			return known.Error()
		}
	}
	return "the rest of the upgrade, inside TLS"
}

// End writes the exit status, and closes the file. It returns the first error of writing.
func (t *Trace) End(status int) error {
	if t == nil {
		return nil
	}
	t.Note("status %d", status)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.file.Close(); t.err == nil {
		t.err = err
	}
	return t.err
}

// event writes a line, behind the records that have been counted.
func (t *Trace) event(who, text string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flush()
	t.line(time.Now(), who, text)
}

// line writes a line. The caller holds the lock.
func (t *Trace) line(at time.Time, who, text string) {
	t.lines++
	if _, err := fmt.Fprintf(t.file, "%10s %s%s\n", t.since(at), who, text); t.err == nil {
		t.err = err
	}
}

// since is the time of an event, in milliseconds.
func (t *Trace) since(at time.Time) string {
	return fmt.Sprintf("%.3f", float64(at.Sub(t.start).Microseconds())/1000)
}

// Watch has o tell the trace of all that happens on the way to the session, and in it.
func (t *Trace) Watch(o *connect.Options) {
	if t == nil {
		return
	}
	dialing, reached, recognised, traced, upgraded, done, under, notice := o.Dialing, o.Reached, o.Recognised, o.Trace, o.Upgraded, o.Done, o.Under, o.Notice
	records := o.TLSA
	o.Dialing = func(address string) {
		t.Note("connect to %s", quote.Escape(address))
		call(dialing, address)
	}
	o.Reached = func(address net.Addr) {
		t.again()
		t.Note("connected to %s", quote.Escape(address.String()))
		call(reached, address)
	}
	o.TLSA = func(d *trust.DANE) {
		t.Note("%s", d)
		call(records, d)
	}
	o.Recognised = func(p *negotiate.Protocol, why string) {
		t.Note("taken for %s: %s", p.Name, quote.Escape(why))
		if recognised != nil {
			recognised(p, why)
		}
	}
	o.Trace = func(l negotiate.Line) {
		t.said(l)
		call(traced, l)
	}
	o.Upgraded = func(p *negotiate.Protocol) {
		t.Note("upgraded, TLS is due")
		call(upgraded, p)
	}
	o.Done = func(step connect.Step) {
		if step == connect.Handshake {
			t.handshakeDone()
		}
		call(done, step)
	}
	o.Notice = func(text string) {
		t.Note("warning: %s", text)
		call(notice, text)
	}
	o.Under = func(conn net.Conn) net.Conn {
		if under != nil {
			conn = under(conn)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.flush()
		t.byHand = false
		return wire.NewTap(conn, observer{t})
	}
}

func call[T any](f func(T), arg T) {
	if f != nil {
		f(arg)
	}
}

// again forgets the connection before.
func (t *Trace) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flush()
	t.inside, t.shaken, t.closed = false, false, false
}

// handshakeDone writes what is left to be seen: records with application data, which are counted.
func (t *Trace) handshakeDone() {
	t.Note("handshake done")
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inside, t.shaken = true, true
}

// said writes a line of the cleartext exchange; of one that is said inside TLS, how long it is.
func (t *Trace) said(l negotiate.Line) {
	who := "C: "
	if l.Server {
		who = "S: "
	}
	t.mu.Lock()
	t.inside = t.inside || l.TLS
	inside := t.inside
	t.mu.Unlock()
	switch {
	case l.TLS:
	case inside:
		t.event(who, fmt.Sprintf("(inside TLS, %d bytes)", len(l.Text)))
	default:
		t.event(who, quote.Escape(t.mask(l.Text)))
	}
}

// secretField matches fields that are made for secrets in what looks like a header of HTTP's kind. No
// upgrade sends one; a server may.
const secretField = `(?im)^([a-z0-9-]*(?:authorization|cookie|token|secret|password|api-key)[a-z0-9-]*:)[ \t]*([^\r\n]+)`

// mask puts the length in the place of what may be a secret.
func (t *Trace) mask(text string) string {
	return t.secret.ReplaceAllStringFunc(text, func(field string) string {
		name, value, _ := strings.Cut(field, ":")
		return fmt.Sprintf("%s: (%d bytes)", name, len(strings.TrimSpace(value)))
	})
}
