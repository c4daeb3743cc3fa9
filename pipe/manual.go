package pipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"time"

	"tlsup/negotiate"
)

// maxLine is how many bytes of one line from the server are compared with After.
const maxLine = 64 << 10

// ErrNotStarted tells that a manual session ended before TLS was started.
var ErrNotStarted = errors.New("server closed the connection before TLS was started")

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
// that matched After are a *negotiate.CleartextError. All input that was read before the
// order was sent in the clear, all that is read after it is sent inside TLS.
func (p *Pipe) RunManual(ctx context.Context, clear net.Conn, m Manual) error {
	p.init()
	start := &order{pipe: p, clear: clear, given: make(chan struct{})}
	p.conn = clearConn{clear}
	go p.send(func() bool {
		if m.After != nil && !p.Terminal {
			<-start.given
			return false
		}
		return start.give() && p.Terminal
	})
	if m.Start != nil {
		go func() {
			<-m.Start
			start.give()
		}()
	}
	if err := p.clearPhase(ctx, clear, m, start); err != nil {
		return err
	}
	clear.SetReadDeadline(time.Time{})
	conn, err := m.StartTLS(ctx)
	if err != nil {
		return err
	}
	p.conn = conn
	p.sending.Unlock() // give locked it
	return p.session(ctx)
}

// clearPhase shows what the server sends in the clear until the order to start TLS. On
// return without an error p.sending is held.
func (p *Pipe) clearPhase(ctx context.Context, clear net.Conn, m Manual, start *order) error {
	var cut func([]byte) ([]byte, error)
	if m.After != nil {
		lines := &lineMatcher{after: m.After}
		cut = lines.cut
	}
	go func() { p.download <- p.receive(clear, cut) }()
	idle := p.watchIdle()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-idle:
		return fmt.Errorf("nothing moved for %v", p.Idle)
	case err := <-p.upload:
		return p.lastWords(ctx, err) // it can't end well before TLS: that needs p.sending
	case err := <-p.download:
		switch {
		case errors.Is(err, errMatched):
			start.give()
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			<-start.given
			return nil
		case err == nil:
			return ErrNotStarted
		}
		return err
	}
}

// An order to start TLS is given once.
type order struct {
	pipe  *Pipe
	clear net.Conn
	given chan struct{}
}

// give stops the cleartext phase: the input first, which can't be sent on until the
// handshake is done, then the reading of clear. It reports whether this was the first
// order.
func (o *order) give() bool {
	o.pipe.sending.Lock()
	select {
	case <-o.given:
		o.pipe.sending.Unlock()
		return false
	default:
	}
	close(o.given)
	o.clear.SetReadDeadline(time.Unix(1, 0))
	return true
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
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			l.line = append(l.line, b[at:]...)
			if len(l.line) > maxLine {
				return b, fmt.Errorf("the server sent a line of over %d bytes", maxLine)
			}
			return b, nil
		}
		line := append(l.line, b[at:at+i]...)
		l.line = l.line[:0]
		at += i + 1
		if !l.after.MatchString(strings.TrimSuffix(string(line), "\r")) {
			continue
		}
		if at < len(b) {
			return b[:at], &negotiate.CleartextError{Text: bytes.Clone(b[at:]), Upgraded: true}
		}
		return b, errMatched
	}
}
