package negotiate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// A Local is the local end of a tunnel: a client that knows nothing of TLS, and has to be led
// to where its session begins. It is one connection's, in Options.Local.
type Local struct {
	// Conn is the client's connection. It stays the caller's to close.
	Conn net.Conn
	// User and Password are for an upgrade that logs in in the client's place.
	User, Password string

	// What follows is for further connections, FTP's data connections.

	// Dial, if not nil, connects to another port of the server; Secure shakes hands as the TLS
	// client on such a connection, whoever made it, with the settings of the session and resuming
	// it if it can. The contexts bound both. On error of Secure the connection is still the caller's.
	Dial   func(ctx context.Context, port int) (net.Conn, error)
	Secure func(ctx context.Context, conn net.Conn) (net.Conn, error)
	// Proxied tells that the server can't connect to the address that its connection comes from.
	Proxied bool
	// Go, if not nil, runs something beside the session and takes care of its error. ctx ends when
	// the session fails.
	Go func(run func(ctx context.Context) error)
	// Join carries bytes both ways until the connection ends, as it is done with the session, and
	// closes both ends, which have CloseWrite. It is set when Go is.
	Join func(ctx context.Context, client, server net.Conn) error

	client *Conn // Conn, bounded like the server
	state  any   // what the protocol's Upgrade keeps for Lead and Ends
}

// Heard reports whether the client has said something that an upgrade needed: there can't be another
// one in its place.
func (l *Local) Heard() bool { return l.client != nil && l.client.received > 0 }

// A LocalError tells that it was the local client that failed, not the server.
type LocalError struct{ Err error }

// Error says what is wrong with the client, escaped where it comes from it.
func (e *LocalError) Error() string {
	var op *net.OpError
	switch {
	case errors.Is(e.Err, ErrTLS):
		return "the local client speaks TLS"
	case errors.Is(e.Err, ErrTooLong):
		return "the local client sent too much"
	case errors.Is(e.Err, io.EOF) || errors.Is(e.Err, io.ErrUnexpectedEOF):
		return "the local client closed the connection"
	case errors.Is(e.Err, os.ErrDeadlineExceeded):
		return "the local client said nothing in time"
	case errors.As(e.Err, &op):
		return "the local client: " + op.Err.Error()
	}
	return "the local client: " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *LocalError) Unwrap() error { return e.Err }

// localHint is for a client that begins a TLS handshake.
const localHint = "turn TLS off in the client, the tunnel does it; or give the client its own TLS with --raw"

// Lead leads the client of Options.Local to where its session begins, and returns the two
// ends to copy between. session is the TLS session on which Finish has been called; nothing is
// read from the client before that but what the upgrade needs. The context bounds what Lead itself
// exchanges, not what the ends do later. It fails with an *Error.
func (u *Upgraded) Lead(ctx context.Context, session net.Conn) (client, server net.Conn, err error) {
	l, p := u.options.Local, u.Protocol
	s := newConn(session, u.options.Trace)
	s.local = l
	s.Step(Upgrade)
	lead := p.Lead
	if lead == nil {
		lead = func(l *Local, _ *Conn) error {
			if len(u.Greeting) == 0 {
				return nil
			}
			_, err := l.client.Write(u.Greeting)
			return err
		}
	}
	if err := s.run(ctx, p, func() error { return lead(l, s) }); err != nil {
		return nil, nil, err
	}
	u.options = nil // for as long as the session lasts
	client, server = withPrefix(l.Conn, l.client.rest()), withPrefix(session, s.rest())
	switch {
	case p.Ends != nil:
		client, server = p.Ends(l, client, server)
	case p.Lead == nil && p != implicitTLS: // inside which anything may be said
		client = &clearConn{Conn: client}
	}
	return client, server, nil
}

// clearConn is the connection of a client whose first bytes are not to be a ClientHello: the server
// would be asked for TLS inside TLS.
type clearConn struct {
	net.Conn
	checked bool
}

// Read fails with a *LocalError for a client that speaks TLS.
func (c *clearConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.checked || n == 0 {
		return n, err
	}
	for n < 3 && n < len(p) && p[0] == recordHandshake && err == nil { // it may come in pieces
		var m int
		m, err = c.Conn.Read(p[n:])
		n += m
	}
	c.checked = true
	if looksLikeTLS(p[:n]) {
		return 0, fmt.Errorf("%w: %s", &LocalError{ErrTLS}, localHint)
	}
	return n, err
}

// Bare returns what is read from when the first bytes have been looked at, nil until then.
func (c *clearConn) Bare() net.Conn {
	if !c.checked {
		return nil
	}
	return c.Conn
}

// WritesTo returns what is written to.
func (c *clearConn) WritesTo() net.Conn { return c.Conn }

// CloseWrite tells the client that the server has ended.
func (c *clearConn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// withPrefix is conn, of which some bytes have been read already.
func withPrefix(conn net.Conn, prefix []byte) net.Conn {
	if len(prefix) == 0 {
		return conn
	}
	return &prefixConn{Conn: conn, prefix: prefix}
}

// forLocal makes c, a connection with the local client, name it in its errors.
func (c *Conn) forLocal() *Conn {
	c.isLocal = true
	return c
}

// fault is an error of the connection, which names the local client if it is its.
func (c *Conn) fault(err error) error {
	if err == nil || !c.isLocal {
		return err
	}
	err = &LocalError{err}
	if errors.Is(err, ErrTLS) {
		err = Hinted(err, localHint)
	}
	return err
}

// misspoken is the error for something that the protocol does not allow the local client to say.
func (l *Local) misspoken(what string) error {
	return &LocalError{fmt.Errorf("%w: %s", ErrUnexpected, what)}
}

// lastWords is how long a client that has been told its last packet is waited for.
const lastWords = time.Second

// sayLast sends the client a packet that is its last, an error, and waits for it to go: closing the
// connection at once could take the packet from it.
func (l *Local) sayLast(p []byte) {
	if _, err := l.Conn.Write(p); err != nil {
		return
	}
	if c, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	gone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, l.Conn)
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(lastWords):
	}
}
