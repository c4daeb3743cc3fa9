package tunnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/internal/record"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

const (
	// linger is how long nothing may move when one side has ended.
	linger = 5 * time.Minute
	// lastWords is how long a server that can't be written to is read from.
	lastWords = 5 * time.Second
	// moment is how long a client may take to end behind its last word.
	moment = 500 * time.Millisecond
)

// A connection is one client's, and the session that it has been given.
type connection struct {
	pair           *Pair        // nil for one beside a session
	id             uint64       // for the log
	accepted       net.Conn     // the client's, bare
	client, server net.Conn     // what to copy between
	source         net.Addr     // where the client is
	via            net.Addr     // who has told that; nil: it was not told
	abortServer    func() error // closes the server's connection without close_notify; nil before there is one
	raw            bool         // both are bare, so that the kernel can copy between them
	began          time.Time
	log            *slog.Logger
	left           func(error) // called when the connection has ended

	session *connection     // that this further connection is beside; nil for none
	parent  context.Context // in which the connection is
	beside  sync.WaitGroup  // of what runs beside this one

	stats          *stats        // of the pair, nil for none
	sent, received tally         // bytes to the server and from it
	moved          atomic.Int64  // when a byte last moved, in nanoseconds since began
	ends           atomic.Int32  // how many directions have come to their end
	clientEnded    chan struct{} // closed when the client has ended its side
	serverEnded    chan struct{} // closed when nothing more can come from the server

	mu         sync.Mutex
	over       bool            // both directions have ended: it can't be cut any more
	cause      error           // why it was cut; nil if it was not
	besides    context.Context // in which what is beside runs; nil as long as there is nothing
	cutBesides context.CancelCauseFunc
}

// count has the connection counted.
func (c *connection) count() {
	if c.stats != nil {
		c.stats.begin()
		c.sent.all, c.received.all = c.stats.sent, c.stats.received
	}
}

// end is one end of a connection.
type end interface {
	net.Conn
	CloseWrite() error
}

// join carries bytes both ways until the connection ends, see the package comment, and closes it.
// Then it calls ended, with nil for a clean end. It does not wait for that: as long as nothing
// comes, a connection is two goroutines that have little on their stacks.
func (c *connection) join(idle time.Duration, ended func(error)) {
	whole := context.AfterFunc(c.parent, func() { c.cut(context.Cause(c.parent)) })
	splice := c.raw && idle == 0
	c.clientEnded, c.serverEnded = make(chan struct{}), make(chan struct{})
	c.move()
	if idle > 0 {
		c.watch(idle)
	}
	finish := func(err error) {
		c.cut(err)
		if c.ends.Add(1) == 1 {
			if err == nil && idle == 0 && !splice {
				c.watch(linger)
			}
			return
		}
		whole()
		ended(c.close())
	}
	up := &way{c: c, dst: c.server, src: c.client, count: &c.sent, ended: c.uploaded, finish: finish}
	down := &way{c: c, dst: c.client, src: c.server, count: &c.received, ended: c.downloaded, finish: finish}
	for _, w := range []*way{up, down} {
		if splice {
			go w.splice()
		} else {
			w.from = record.NewReceiver(w.src)
			go w.carry()
		}
	}
}

// close closes both sides when both directions have ended, and tells why they were cut.
func (c *connection) close() error {
	c.mu.Lock()
	c.over = true
	cause := c.cause
	c.mu.Unlock()
	if cause == nil {
		c.server.Close()
		c.client.Close()
	}
	return cause
}

// cut ends both directions at once, for a reason; nil: not at all.
func (c *connection) cut(cause error) {
	c.mu.Lock()
	first := cause != nil && c.cause == nil && !c.over
	if first {
		c.cause = cause
	}
	c.mu.Unlock()
	if first {
		c.abort()
	}
}

// ending tells that the connection is being cut, or has ended.
func (c *connection) ending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over || c.cause != nil
}

// uploaded passes on how what the client says has ended: by itself, or by an error of reading, or of
// writing to the server.
func (c *connection) uploaded(writing bool, err error) error {
	switch {
	case err == nil:
		close(c.clientEnded)
		c.server.(end).CloseWrite() // one that is gone has heard all that it wanted
		return nil
	case !writing:
		return fmt.Errorf("client: %w", err)
	}
	// What the server still says may tell why.
	select {
	case <-c.serverEnded:
	case <-time.After(lastWords):
	}
	return fmt.Errorf("server: %w", err)
}

// downloaded is the same for what the server says.
func (c *connection) downloaded(writing bool, err error) error {
	defer close(c.serverEnded)
	switch {
	case err == nil:
		c.client.(end).CloseWrite()
		if c.session != nil && c.sent.Load() == 0 {
			c.server.(end).CloseWrite() // it carries one direction, and the server may wait for the answer
		}
		return nil
	case writing:
		return fmt.Errorf("client: %w", err)
	case errors.Is(err, record.ErrCut) && (c.session == nil || c.sent.Load() > 0 && c.received.Load() == 0):
		// Some servers close so when the client has said its last word, or sent its file.
		select {
		case <-c.clientEnded:
			return nil
		case <-time.After(moment):
		}
	}
	return fmt.Errorf("server: %w", err)
}

func (c *connection) move() {
	c.moved.Store(int64(time.Since(c.began)))
	if c.session != nil {
		c.session.move()
	}
}

// watch cuts the connection when nothing has moved for idle.
func (c *connection) watch(idle time.Duration) {
	quiet := time.Since(c.began) - time.Duration(c.moved.Load())
	switch {
	case c.ending():
	case quiet >= idle:
		c.cut(fmt.Errorf("nothing moved for %v", idle))
	default:
		time.AfterFunc(idle-quiet, func() { c.watch(idle) })
	}
}

// fault is the error that a panic ends the connection with. The log has its place.
func (c *connection) fault(value any) error {
	c.tell(slog.LevelError, "fault in the tunnel, please report it", "panic", value, "stack", string(debug.Stack()))
	return fmt.Errorf("fault in the tunnel: %v", value)
}

// abort cuts both sides, so that neither can take what it has for all there was.
func (c *connection) abort() {
	if c.abortServer != nil {
		c.abortServer()
	}
	if tcp, ok := c.accepted.(interface{ SetLinger(sec int) error }); ok {
		tcp.SetLinger(0) // a reset
	}
	c.accepted.Close()
}

// tell logs something of the connection.
func (c *connection) tell(level slog.Level, message string, args ...any) {
	if c.session != nil {
		c.session.tell(level, message, args...)
		return
	}
	if !c.log.Enabled(context.Background(), level) {
		return
	}
	all := append(make([]any, 0, 16), "id", c.id, "target", c.pair.Target.Address(), "client", Address(c.source))
	if c.via != nil {
		all = append(all, "via", Address(c.via))
	}
	c.log.Log(context.Background(), level, message, append(all, args...)...)
}

// follow has the log told how the connection gets its session, as far as nobody else is.
func (c *connection) follow(o *connect.Options) {
	if o.Notice == nil {
		o.Notice = func(text string) { c.tell(slog.LevelWarn, text) }
	}
	if !c.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	debug := func(message string, args ...any) { c.tell(slog.LevelDebug, message, args...) }
	if o.Trace == nil {
		o.Trace = func(l negotiate.Line) { debug(quote.Escape(l.String())) }
	}
	if o.Recognised == nil {
		o.Recognised = func(p *negotiate.Protocol, why string) { debug("recognised", "protocol", p.Name, "why", why) }
	}
	if o.Dialing == nil {
		o.Dialing = func(address string) { debug("connecting", "address", quote.Escape(address)) }
	}
	if o.TLSA == nil {
		o.TLSA = func(d *trust.DANE) { debug(d.String()) }
	}
}

// failed logs a connection that never got its session.
func (c *connection) failed(err error) {
	args := []any{"error", err, "took", time.Since(c.began).Round(time.Millisecond)}
	var known *connect.Error
	if errors.As(err, &known) {
		args = append(args, "step", string(known.Step))
		if known.Hint != "" {
			args = append(args, "hint", known.Hint)
		}
	}
	c.tell(slog.LevelError, "failed", args...)
}

// closed logs the end of a connection.
func (c *connection) closed(err error) {
	args := []any{"took", time.Since(c.began).Round(time.Millisecond), "sent", c.sent.Load(), "received", c.received.Load()}
	if err == nil {
		c.tell(slog.LevelInfo, "closed", args...)
		return
	}
	c.tell(slog.LevelWarn, "closed", append(args, "error", err)...)
}
