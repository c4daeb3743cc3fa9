// Package tunnel gives clients that know nothing of TLS a local port in front of a server
// that upgrades: each connection gets a TLS session of its own.
//
// How a connection ends, as a table of cases:
//
//	client ends its side        close_notify is sent, and what the server still says is passed on
//	server sends close_notify   the client's connection is half-closed, and what it still says is
//	                            passed on
//	both                        a clean end
//	one of them                 the other is waited for, unless nothing moves for five minutes
//	server cuts the stream      behind the client's end, between two records: the end;
//	                            else the client's connection is reset, so that it can't take
//	                            what came for all there was
//	client's connection fails   the server's is closed without close_notify
//	server can't be written to  what it still says is passed on, for five seconds at most
//	nothing moves for Idle      both are cut
//	the server stops            both are cut, after the time to drain
//
// Further connections that a protocol opens beside the session, for a file, carry bytes in one
// direction. A file that the server cuts is never whole to the client, and one that the client cuts
// is reset to the server. They are cut when the session fails.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/stack"
	"tlsup/negotiate"
)

// A Pair is a listener, and the server that its connections lead to.
type Pair struct {
	Listener net.Listener
	Target   connect.Target
	// Options say how to connect. The function is called for each connection, so that settings can
	// change while others are open; what it returns is not modified. What they leave uncalled goes to
	// the log: notices, and for debugging the cleartext exchange and how the server was found.
	Options func() *connect.Options
	// Watch, if not nil, is called with each connection's options before they are used, to be told of
	// what they tell.
	Watch func(*connect.Options)
	// User and Password log in where an upgrade has to (negotiate.Local).
	User, Password string
	// Raw: the upgrade alone is performed; the client speaks TLS itself.
	Raw bool

	stats *stats // nil without a Monitor
}

// A Server serves pairs until it is told to stop. Its fields are set before Serve.
type Server struct {
	Pairs []Pair
	// MaxConnections is how many connections each listener may have open; the next ones wait in its
	// backlog. 0 means no bound.
	MaxConnections int
	// Timeout bounds connect, upgrade and handshake. 0 means no bound.
	Timeout time.Duration
	// Idle ends a connection on which nothing moves for so long. 0 means no bound.
	Idle time.Duration
	// Drain is how long open connections may go on when the server has been told to stop.
	Drain time.Duration
	// ProxyHeader: each connection has to begin with the PROXY protocol's header, and comes from
	// whom that names.
	ProxyHeader bool
	// Log is told of each connection's opening and end.
	Log *slog.Logger

	number       atomic.Uint64 // of the connection, for the log
	acceptFailed atomic.Int64  // when accepting failed last, in nanoseconds of Unix time
	stopping     atomic.Bool
	open         sync.WaitGroup
	relief       relief
}

// ErrCutOff tells that connections were open when the time to drain had passed.
var ErrCutOff = errors.New("open connections were cut off")

// errStopped is what a connection ends with that is cut off.
var errStopped = errors.New("the tunnel stopped")

// Serve accepts connections until stop ends. Then it closes the listeners and waits for the open
// connections for Drain, or until now ends. It returns nil, ErrCutOff, or the error of a
// listener that can't go on, which stops the server.
func (s *Server) Serve(stop, now context.Context) error {
	stop, cancel := context.WithCancelCause(stop)
	defer cancel(nil)
	conns, cut := context.WithCancelCause(context.WithoutCancel(now))
	defer cut(nil)

	var listening sync.WaitGroup
	for i := range s.Pairs {
		pair := &s.Pairs[i]
		listening.Go(func() {
			defer pair.Listener.Close()
			if err := s.accept(stop, conns, pair); err != nil {
				cancel(err)
			}
		})
		context.AfterFunc(stop, func() { lastCall(pair.Listener) })
	}
	<-stop.Done()
	s.stopping.Store(true)
	listening.Wait()

	drained := make(chan struct{})
	go func() {
		s.open.Wait()
		close(drained)
	}()
	err := context.Cause(stop)
	if errors.Is(err, context.Canceled) || !errors.As(err, new(*listenError)) {
		err = nil
	}
	select {
	case <-drained:
		return err
	case <-now.Done():
	case <-time.After(s.Drain):
	}
	cut(errStopped)
	<-drained
	return errors.Join(err, ErrCutOff)
}

// lastCall ends accepting. Clients that wait in the backlog believe that they are connected: they
// are still accepted, and at the limit wait for a slot as long as the others may drain.
func lastCall(l net.Listener) {
	const moment = 50 * time.Millisecond
	if bounded, ok := l.(interface{ SetDeadline(time.Time) error }); ok && bounded.SetDeadline(time.Now().Add(moment)) == nil {
		return
	}
	l.Close()
}

// A listenError is the end of a listener.
type listenError struct{ error }

func (e *listenError) Unwrap() error { return e.error }

// Bounds of the wait after a failed accept.
const (
	firstBackoff = 5 * time.Millisecond
	lastBackoff  = time.Second
)

// Accepting reports whether new connections can be accepted: it has not failed of late. At the limit
// of MaxConnections they wait, which is no failure.
func (s *Server) Accepting() bool {
	return time.Since(time.Unix(0, s.acceptFailed.Load())) > 2*lastBackoff
}

// accept serves a pair's connections until stop ends.
func (s *Server) accept(stop, conns context.Context, pair *Pair) error {
	log := s.Log.With("listen", Address(pair.Listener.Addr()))
	var slots chan struct{}
	if s.MaxConnections > 0 {
		slots = make(chan struct{}, s.MaxConnections)
	}
	full := false // and the log says so
	backoff := time.Duration(0)
	for {
		holds := slots != nil && s.takeSlot(stop, slots, &full, log)
		conn, err := pair.Listener.Accept()
		if err != nil && holds {
			<-slots
		}
		switch {
		case err == nil:
		case stop.Err() != nil:
			return nil
		case !mayRecover(err):
			return &listenError{fmt.Errorf("%s: accept: %w", Address(pair.Listener.Addr()), err)}
		default:
			s.acceptFailed.Store(time.Now().UnixNano())
			if pair.stats != nil {
				pair.stats.acceptErrors.Inc()
			}
			if backoff = min(max(2*backoff, firstBackoff), lastBackoff); backoff == firstBackoff {
				log.Error("accept fails, trying again", "error", err)
			}
			select {
			case <-time.After(backoff):
			case <-stop.Done():
				return nil
			}
			continue
		}
		if backoff > 0 {
			backoff = 0
			log.Info("accept works again")
		}
		s.open.Add(1)
		go func() {
			stack.Reserve()
			if slots != nil && !holds {
				select {
				case slots <- struct{}{}:
					holds = true
				case <-conns.Done(): // as serve will tell
				}
			}
			s.serve(conns, pair, conn, func(error) {
				if holds {
					<-slots
				}
				s.open.Done()
			})
		}()
	}
}

// takeSlot waits until another connection may be open, and reports false if stop ends first.
func (s *Server) takeSlot(stop context.Context, slots chan struct{}, full *bool, log *slog.Logger) bool {
	select {
	case slots <- struct{}{}:
		*full = *full && len(slots) > cap(slots)/2 // near the limit it would be said again and again
		return true
	default:
	}
	if !*full {
		*full = true
		log.Warn("as many connections as allowed, new ones wait", "max", cap(slots))
	}
	select {
	case slots <- struct{}{}:
		return true
	case <-stop.Done():
		return false
	}
}

// ServeConn serves one client to its end. It returns the error that ended it: *connect.Error, or
// what failed in the session. Closing client is its own.
func (s *Server) ServeConn(ctx context.Context, pair *Pair, client net.Conn) error {
	ended := make(chan error, 1)
	s.serve(ctx, pair, client, func(err error) { ended <- err })
	return <-ended
}

// serve leads one client to the server, and has their bytes carried. Whatever happens to it is no
// other connection's matter. left is called when all has ended, with the error that ended it.
func (s *Server) serve(ctx context.Context, pair *Pair, client net.Conn, left func(error)) {
	c := &connection{
		pair: pair, id: s.number.Add(1), log: s.Log,
		accepted: client, client: client, parent: ctx, left: left,
		began: time.Now(), stats: pair.stats,
		source: client.RemoteAddr(),
	}
	c.count()
	defer func() {
		if value := recover(); value != nil {
			err := c.fault(value)
			c.abort()
			c.leave(err)
		}
	}()
	if err := s.connect(ctx, pair, c); err != nil {
		c.failed(err)
		c.stats.fail(err, "other")
		client.Close()
		c.leave(err)
		return
	}
	c.tell(slog.LevelInfo, "opened", "took", time.Since(c.began).Round(time.Millisecond))
	s.relief.opened()
	c.join(s.Idle, func(err error) {
		c.endBesides(err)
		c.closed(err)
		c.stats.fail(err, connect.Transfer)
		c.leave(err)
	})
}

// leave is the last of a connection.
func (c *connection) leave(err error) {
	c.endBesides(err)
	c.stats.end()
	c.left(err)
}

// connect opens the connection to the server, and leads the client to its session. A client that
// goes away meanwhile is noticed when it is written to.
func (s *Server) connect(ctx context.Context, pair *Pair, c *connection) error {
	if s.Timeout > 0 {
		limited, stop := context.WithTimeout(ctx, s.Timeout)
		defer stop()
		ctx = limited
	}
	if s.ProxyHeader {
		source, err := readHeader(ctx, c.accepted)
		if err != nil {
			return err
		}
		if source != nil {
			c.source, c.via = source, c.source
		}
	}
	options := *pair.Options()
	c.follow(&options)
	options.ProxySource = c.source
	if c.stats != nil {
		options.Done = c.stats.timer(time.Now())
	}
	if pair.Watch != nil {
		pair.Watch(&options)
	}
	if pair.Raw {
		server, err := connect.OpenRaw(ctx, pair.Target, &options)
		if err != nil {
			return err
		}
		c.server, c.abortServer, c.raw = server, server.Close, true
		return nil
	}
	options.Local = &negotiate.Local{
		Conn: c.client, User: pair.User, Password: pair.Password,
		Go: c.goBeside, Join: c.joinBeside,
	}
	session, err := connect.Open(ctx, pair.Target, &options)
	if err != nil {
		return err
	}
	state := session.TLS.ConnectionState()
	if err := session.Trust.Overlooked(state, session.ServerName); err != nil {
		options.Notice(err.Error())
	}
	if c.log.Enabled(ctx, slog.LevelDebug) { // it verifies the certificate once more
		c.tell(slog.LevelDebug, "handshake", "session", session.Trust.Describe(state, session.ServerName))
	}
	c.client, c.server, c.abortServer = session.Client, session.Server, session.Abort
	return nil
}
