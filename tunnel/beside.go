package tunnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// goBeside runs what a protocol does beside the session. Its error ends nothing else.
func (c *connection) goBeside(run func(ctx context.Context) error) {
	ctx := c.besideSession()
	c.beside.Go(func() {
		defer func() {
			if value := recover(); value != nil {
				c.fault(value)
			}
		}()
		if err := run(ctx); err != nil && ctx.Err() == nil {
			c.tell(slog.LevelWarn, "failed beside the session", "error", err)
		}
	})
}

// besideSession is the context in which what is beside the session runs.
func (c *connection) besideSession() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.besides == nil {
		c.besides, c.cutBesides = context.WithCancelCause(c.parent)
	}
	return c.besides
}

// endBesides waits for what is beside a session that has ended, and cuts it first if that has failed.
func (c *connection) endBesides(err error) {
	c.mu.Lock()
	cut := c.cutBesides
	c.mu.Unlock()
	if cut == nil {
		return
	}
	if err != nil {
		cut(fmt.Errorf("%w: %w", errSessionFailed, err))
	}
	c.beside.Wait()
	cut(nil)
}

// joinBeside carries the bytes of a further connection to its end.
func (c *connection) joinBeside(ctx context.Context, client, server net.Conn) error {
	d := &connection{accepted: client, client: client, server: server, session: c, parent: ctx, began: time.Now()}
	d.sent.all, d.received.all = c.sent.all, c.received.all
	if s, ok := server.(interface{ Abort() error }); ok {
		d.abortServer = s.Abort
	}
	ended := make(chan error, 1)
	d.join(0, func(err error) { ended <- err }) // the session's watch sees to idle ones
	err := <-ended
	args := []any{"took", time.Since(d.began).Round(time.Millisecond), "sent", d.sent.Load(), "received", d.received.Load()}
	if err != nil {
		args = append(args, "error", err)
	}
	c.tell(slog.LevelInfo, "transferred", args...)
	return nil
}

// errSessionFailed is what further connections end with when the session has failed.
var errSessionFailed = errors.New("the session failed")
