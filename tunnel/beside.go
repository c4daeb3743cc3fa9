package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"
)

// goBeside runs what a protocol does beside the session. Its error ends nothing else.
func (c *connection) goBeside(run func(ctx context.Context) error) {
	c.beside.Go(func() {
		defer func() {
			if fault := recover(); fault != nil {
				c.log.Error("fault in the tunnel, please report it", "panic", fault, "stack", string(debug.Stack()))
			}
		}()
		if err := run(c.besides); err != nil && c.besides.Err() == nil {
			c.log.Warn("failed beside the session", "error", err)
		}
	})
}

// joinBeside carries the bytes of a further connection.
func (c *connection) joinBeside(ctx context.Context, client, server net.Conn) error {
	d := &connection{accepted: client, client: client, server: server, session: c, began: time.Now(), log: c.log}
	d.sent.all, d.received.all = c.sent.all, c.received.all
	if s, ok := server.(interface{ Abort() error }); ok {
		d.abortServer = s.Abort
	}
	defer func() {
		if fault := recover(); fault != nil {
			d.abort()
			panic(fault)
		}
	}()
	err := d.join(ctx, 0) // the session's watch sees to idle ones
	args := []any{"took", time.Since(d.began).Round(time.Millisecond), "sent", d.sent.Load(), "received", d.received.Load()}
	if err != nil {
		args = append(args, "error", err)
	}
	c.log.Info("transferred", args...)
	return nil
}

// errSessionFailed is what further connections end with when the session has failed.
var errSessionFailed = errors.New("the session failed")

// serve carries the session to its end, and what is beside it.
func (c *connection) serve(ctx context.Context, idle time.Duration) error {
	err := c.join(ctx, idle)
	if err != nil {
		c.cutBesides(fmt.Errorf("%w: %w", errSessionFailed, err))
	}
	c.beside.Wait()
	return err
}
