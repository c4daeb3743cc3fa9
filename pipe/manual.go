package pipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"time"

	"tlsup/negotiate"
)

const (
	// maxLine is how many bytes of one line from the server are compared with After.
	maxLine = 64 << 10
	// maxCleartext is how many bytes behind the line that matched go into the error.
	maxCleartext = 512
)

// ErrNotStarted tells that a manual session ended before TLS was started.
var ErrNotStarted = errors.New("server closed the connection before TLS was started")

// ErrNoLine tells that no line matched After while the server was waited for.
var ErrNoLine = errors.New("no line from the server matched in time")

// Manual says when a manual session starts TLS, and how.
type Manual struct {
	// StartTLS runs the handshake on the connection that RunManual was given.
	StartTLS func(context.Context) (Conn, error)
	// Start, if not nil, gives the order to start TLS (SIGALRM).
	Start <-chan struct{}
	// After, if not nil, starts TLS behind the first line from the server that matches. The
	// end of an input that is not a terminal then does not start TLS.
	After *regexp.Regexp
}

// RunManual pipes in the clear, both ways, until the end of the input or another order to
// start TLS, then goes on inside TLS like Run. An input that has really ended is closed
// inside TLS too; a terminal is read again. Bytes that the server sent behind the line
// that matched After are a *negotiate.CleartextError. No input that is read after the
// order is sent in the clear. A session that ends before TLS was started is ErrNotStarted.
func (p *Pipe) RunManual(ctx context.Context, clear net.Conn, m Manual) error {
	p.init()
	defer close(p.done)
	start := &order{pipe: p, given: make(chan struct{}), ended: make(chan struct{})}
	p.conn = clearConn{clear}
	go p.send(func() bool {
		if m.After != nil && !p.Terminal {
			close(start.ended)
			start.wait(nil)
			return false
		}
		return start.give() && p.Terminal
	})
	if m.Start != nil {
		go func() {
			if start.wait(m.Start) {
				start.give()
			}
		}()
	}
	if err := p.clearPhase(ctx, clear, m, start); err != nil {
		return err
	}
	conn, err := m.StartTLS(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err // sending stays acquired: no input gets into a failed handshake
	}
	p.begin(conn)
	p.release() // give has acquired it
	return p.session(ctx)
}

// clearPhase shows what the server sends in the clear until the order to start TLS. On
// return without an error p.sending is acquired, and nobody reads clear.
func (p *Pipe) clearPhase(ctx context.Context, clear net.Conn, m Manual, start *order) error {
	var cut func([]byte) ([]byte, error)
	if m.After != nil {
		lines := &lineMatcher{after: m.After}
		cut = func(b []byte) ([]byte, error) {
			show, err := lines.cut(b)
			if err != nil {
				start.give() // before the line is shown: an answer to it must not go in the clear
			}
			return show, err
		}
	}
	go func() { p.download <- p.receive(clear, cut) }()
	idle := p.watchIdle()
	given, reading := start.given, true
	ended, linger := start.ended, (<-chan time.Time)(nil)
	for given != nil || reading {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-idle:
			return p.idleError()
		case err := <-p.upload: // it can't end well before TLS: that needs p.sending
			if !reading {
				return err
			}
			return p.lastWords(ctx, err)
		case <-ended:
			ended = nil
			if p.Linger >= 0 {
				linger = time.After(p.Linger)
			}
		case <-linger:
			return ErrNoLine
		case <-given:
			given, linger = nil, nil
			clear.SetReadDeadline(past)
		case err := <-p.download:
			reading = false
			switch {
			case errors.Is(err, errMatched):
			case given == nil && errors.Is(err, os.ErrDeadlineExceeded):
			case err == nil:
				return ErrNotStarted
			default:
				return err
			}
		}
	}
	return clear.SetReadDeadline(time.Time{})
}

// An order to start TLS is given once.
type order struct {
	pipe  *Pipe
	given chan struct{}
	ended chan struct{} // closed when the input has ended without giving it
}

// give stops the input, which can't be sent on until the handshake is done. It reports
// whether this was the first order.
func (o *order) give() bool {
	select {
	case <-o.given:
		return false
	default:
	}
	if !o.pipe.acquire() {
		return false
	}
	select {
	case <-o.given:
		o.pipe.release()
		return false
	default:
		close(o.given)
		return true
	}
}

// wait waits for other, if it is not nil, and reports whether it came before the order
// and the end.
func (o *order) wait(other <-chan struct{}) bool {
	select {
	case <-other:
		return true
	case <-o.given:
	case <-o.pipe.done:
	}
	return false
}

// clearConn is the connection before TLS.
type clearConn struct{ net.Conn }

func (clearConn) CloseWrite() error { return nil }

// errMatched ends the cleartext phase behind the line that was waited for.
var errMatched = errors.New("matched")

// lineMatcher looks for a line in what a server sends.
type lineMatcher struct {
	after *regexp.Regexp
	line  []byte // the beginning of a line that has not come whole
}

// cut returns what of b is to be shown. It ends at the line that matches with errMatched,
// or with the bytes behind it as an error.
func (l *lineMatcher) cut(b []byte) ([]byte, error) {
	for at := 0; at < len(b); {
		end := bytes.IndexByte(b[at:], '\n')
		whole := end >= 0
		if !whole {
			end = len(b) - at
		}
		l.line = append(l.line, b[at:at+end]...)
		if len(l.line) > maxLine {
			return b, fmt.Errorf("the server sent a line of over %d bytes", maxLine)
		}
		if !whole {
			break
		}
		at += end + 1
		matched := l.after.Match(bytes.TrimSuffix(l.line, []byte("\r")))
		l.line = l.line[:0]
		switch {
		case matched && at < len(b):
			text := bytes.Clone(b[at:min(len(b), at+maxCleartext)])
			return b[:at], &negotiate.CleartextError{Text: text, Upgraded: true}
		case matched:
			return b, errMatched
		}
	}
	return b, nil
}
