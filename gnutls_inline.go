package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/gnutls"
	"tlsup/pipe"
)

// inlineFor returns what finds commands in the input, or nil if none are looked for.
func (g *gnutlsRun) inlineFor() (*gnutls.Inline, error) {
	prefix := "^"
	if g.line.Has("inline-commands-prefix") {
		prefix = g.line.Value("inline-commands-prefix")
	}
	if len(prefix) != 1 || prefix[0] >= 0x80 {
		g.complain("inline-commands-prefix value is a single US-ASCII character (octets 0 - 127)")
		return nil, reportedError(1)
	}
	if !g.line.Has("inline-commands") {
		return nil, nil
	}
	return &gnutls.Inline{Prefix: prefix[0]}, nil
}

// input has a piece of the input sent, with -V told of, and commands in it run.
func (g *gnutlsRun) input(p []byte, send func([]byte) error, resume func() error) (int, error) {
	told := func(b []byte) error {
		g.sending(len(b))
		return send(b)
	}
	var err error
	if g.inline == nil {
		err = told(p)
	} else {
		err = g.inline.Take(p, told, func(c gnutls.Command) error { return g.command(c, resume) })
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// command runs a command from the input. One that can't be run does not end the session.
func (g *gnutlsRun) command(c gnutls.Command, resume func() error) error {
	switch {
	case c == gnutls.Renegotiate:
		g.complain("*** ReHandshake has failed: crypto/tls begins no second handshake; the session goes on")
	case c != gnutls.Resume:
		g.complain("*** Rekey has failed: crypto/tls begins no key update; the session goes on")
	case resume == nil:
		g.complain("*** Resuming has failed: it can't be used with --starttls; the session goes on")
	default:
		return resume()
	}
	return nil
}

// A gnutlsSession is a session that another one may take the place of, whose keys come from it.
type gnutlsSession struct {
	*connect.Session // the first one

	run *gnutlsRun
	ctx context.Context

	mu      sync.Mutex
	current *connect.Session
	failed  error         // why there is none
	next    chan struct{} // closed when the next one is there, or failed; nil if none is awaited
}

// now returns the session, and what to wait for if it is about to end.
func (s *gnutlsSession) now() (*connect.Session, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, s.next, s.failed
}

func (s *gnutlsSession) Read(p []byte) (int, error) {
	for {
		session, _, err := s.now()
		if err != nil {
			return 0, err
		}
		n, err := session.Read(p)
		now, next, _ := s.now()
		switch {
		case err == nil || next == nil && now == session:
			return n, err
		case n > 0:
			return n, nil
		case next != nil:
			<-next
		}
	}
}

func (s *gnutlsSession) Write(p []byte) (int, error) {
	session, _, _ := s.now()
	return session.Write(p)
}

func (s *gnutlsSession) CloseWrite() error {
	session, _, _ := s.now()
	return session.CloseWrite()
}

func (s *gnutlsSession) SetReadDeadline(t time.Time) error {
	session, _, _ := s.now()
	return session.SetReadDeadline(t)
}

// resume ends the session and begins another with its keys.
func (s *gnutlsSession) resume() error {
	s.run.awaitTicket(s.current)
	s.mu.Lock()
	s.next = make(chan struct{})
	s.mu.Unlock()
	session, err := s.run.reconnect(s.ctx, s.current)
	if err != nil && !errors.As(err, new(reportedError)) && s.ctx.Err() == nil {
		err = reportedError(s.run.failed(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.current, s.run.session = session, session
	}
	s.failed = err
	close(s.next)
	s.next = nil
	return err
}

// awaitTicket waits until the server has sent a ticket, which in TLS 1.3 it does behind the handshake.
// Somebody else reads.
func (g *gnutlsRun) awaitTicket(session *connect.Session) {
	if session.TLS.ConnectionState().Version < tls.VersionTLS13 {
		return
	}
	came := make(chan struct{})
	var once sync.Once
	tickets := g.connect.Sessions.(*ticketCache)
	tickets.onPut(func() { once.Do(func() { close(came) }) })
	defer tickets.onPut(nil)
	select {
	case <-came:
	case <-time.After(g.ticketWait()):
	}
}

// ticketWait is how long a ticket is waited for.
func (g *gnutlsRun) ticketWait() time.Duration {
	if g.line.Has("waitresumption") {
		return ticketAtAll
	}
	return ticketSoon
}

// watched is a session as the pipe sees it.
func (g *gnutlsRun) watched(ctx context.Context, session *connect.Session) pipe.Conn {
	g.session = session
	c := &gnutlsConn{Conn: session, run: g, most: g.line.Int("recordsize", 0)}
	if g.inline != nil && !g.started {
		s := &gnutlsSession{Session: session, run: g, ctx: ctx, current: session}
		c.Conn, c.resume = s, s.resume
	}
	return c
}

// gnutlsClear is the connection of manual mode before TLS.
type gnutlsClear struct {
	net.Conn
	run *gnutlsRun
}

func (c gnutlsClear) Write(p []byte) (int, error) {
	return c.run.input(p, func(b []byte) error {
		_, err := c.Conn.Write(b)
		return err
	}, nil)
}
