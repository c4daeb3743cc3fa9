package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/record"
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
	accepted       net.Conn     // the client's, bare
	client, server net.Conn     // what to copy between
	source         net.Addr     // where the client is
	abortServer    func() error // closes the server's connection without close_notify; nil before there is one
	raw            bool         // both are bare, so that the kernel can copy between them
	began          time.Time
	log            *slog.Logger

	session    *connection     // that this further connection is beside; nil for none
	beside     sync.WaitGroup  // of what runs beside this one
	besides    context.Context // in which that runs
	cutBesides context.CancelCauseFunc

	stats          *stats        // of the pair, nil for none
	sent, received tally         // bytes to the server and from it
	moved          atomic.Int64  // when a byte last moved, in nanoseconds since began
	clientEnded    chan struct{} // closed when the client has ended its side
	serverEnded    chan struct{} // closed when nothing more can come from the server
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
// It returns nil for a clean end.
func (c *connection) join(ctx context.Context, idle time.Duration) error {
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	whole := context.AfterFunc(ctx, c.abort) // which ends both directions

	splice := c.raw && idle == 0
	c.clientEnded, c.serverEnded = make(chan struct{}), make(chan struct{})
	c.move()
	if idle > 0 {
		c.watch(ctx, cut, idle)
	}
	var ends atomic.Int32
	ended := func(err error) {
		if err != nil {
			cut(err)
		} else if ends.Add(1) == 1 && idle == 0 && !splice {
			c.watch(ctx, cut, linger)
		}
	}
	downloaded := apart(func() error {
		err := errFault
		defer func() { ended(err) }()
		err = c.download(splice)
		return nil
	})
	ended(c.upload(splice))
	downloaded()
	if !whole() {
		return context.Cause(ctx)
	}
	c.server.Close()
	c.client.Close()
	return nil
}

// upload carries what the client says to its end, and passes that on.
func (c *connection) upload(splice bool) error {
	writing, err := c.carry(c.server, c.client, &c.sent, splice)
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

// download carries what the server says to its end, and passes that on.
func (c *connection) download(splice bool) error {
	defer close(c.serverEnded)
	writing, err := c.carry(c.client, c.server, &c.received, splice)
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

// carry carries one direction, and tells whether it was dst that failed.
func (c *connection) carry(dst, src net.Conn, count *tally, splice bool) (writing bool, err error) {
	if !splice {
		return c.copy(dst, src, count)
	}
	n, err := io.Copy(dst, src)
	count.Add(n)
	return errors.Is(err, syscall.EPIPE), err
}

// copy copies to the end of src, and tells whether it was dst that failed.
func (c *connection) copy(dst io.Writer, src net.Conn, count *tally) (writing bool, err error) {
	from := record.NewReceiver(src)
	for {
		data, err := from.Receive()
		if len(data) > 0 {
			c.move()
			if _, err := dst.Write(data); err != nil {
				return true, err
			}
			count.Add(int64(len(data)))
			c.move()
		}
		switch {
		case err == io.EOF:
			return false, nil
		case err != nil:
			return false, err
		}
	}
}

func (c *connection) move() {
	c.moved.Store(int64(time.Since(c.began)))
	if c.session != nil {
		c.session.move()
	}
}

// watch cuts the connection when nothing has moved for idle.
func (c *connection) watch(ctx context.Context, cut context.CancelCauseFunc, idle time.Duration) {
	quiet := time.Since(c.began) - time.Duration(c.moved.Load())
	switch {
	case ctx.Err() != nil:
	case quiet >= idle:
		cut(fmt.Errorf("nothing moved for %v", idle))
	default:
		time.AfterFunc(idle-quiet, func() { c.watch(ctx, cut, idle) })
	}
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
	c.log.Error("failed", args...)
}

// closed logs the end of a connection.
func (c *connection) closed(err error) {
	args := []any{"took", time.Since(c.began).Round(time.Millisecond), "sent", c.sent.Load(), "received", c.received.Load()}
	if err == nil {
		c.log.Info("closed", args...)
		return
	}
	c.log.Warn("closed", append(args, "error", err)...)
}
