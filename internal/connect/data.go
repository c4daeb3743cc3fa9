package connect

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	"tlsup/internal/record"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// equip gives a tunnel's client the means for further connections with the server that conn leads
// to, with the session's settings. It returns the cache for the session, in place of all.
func (o *Options) equip(l *negotiate.Local, t Target, conn net.Conn, with *settings, all tls.ClientSessionCache) tls.ClientSessionCache {
	kept := &keptSession{all: all}
	if t.Socket != "" {
		return kept
	}
	if o.Proxy != nil {
		proxy, err := o.Proxy.forTarget(t.Address())
		l.Proxied = err == nil && proxy != nil
	}
	if remote, ok := conn.RemoteAddr().(*net.TCPAddr); ok && !l.Proxied {
		t.Host = remote.AddrPort().Addr().Unmap().String() // of several, the one that has the session
	}
	l.Dial = func(ctx context.Context, n int) (net.Conn, error) {
		to := t
		to.Port = n
		conn, err := to.dialWith(ctx, &net.Dialer{}, o)
		if err != nil {
			return nil, to.dialError(ctx, err)
		}
		return conn, nil
	}
	l.Secure = func(ctx context.Context, conn net.Conn) (net.Conn, error) {
		from := t
		if remote, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
			from.Port = remote.Port
		}
		under := record.NewConn(negotiate.GoAhead(conn))
		resumed := &furtherSession{kept: kept}
		ctx = trust.Watching(ctx)
		config := with.client(ctx)
		config.ClientSessionCache = resumed
		tlsConn := tls.Client(under, config)
		if err := tlsConn.HandshakeContext(ctx); err != nil {
			return nil, from.handshakeError(ctx, o.Trust, o.Trust.Rejection(tlsConn.ConnectionState(), err))
		}
		resumed.done(tlsConn.ConnectionState().DidResume)
		return &dataSession{record.NewSession(tlsConn, tlsConn, under), conn}, nil
	}
	return kept
}

// A dataSession is a further connection with a server, whose end is the end of what is transferred.
type dataSession struct {
	*record.Session
	bare net.Conn
}

// CloseWrite sends close_notify, and ends the connection in this direction too: some servers wait
// for that.
func (s *dataSession) CloseWrite() error {
	err := s.Session.CloseWrite()
	if c, ok := s.bare.(interface{ CloseWrite() error }); ok && err == nil {
		err = c.CloseWrite()
	}
	return err
}

// Abort resets the connection where it can be: many servers take one that ends without close_notify
// for whole.
func (s *dataSession) Abort() error {
	if c, ok := s.bare.(interface{ SetLinger(sec int) error }); ok {
		c.SetLinger(0)
	}
	return s.Session.Abort()
}

// A keptSession is the latest session of one connection, beside the cache that all share: servers
// may want further connections to resume this very one.
type keptSession struct {
	all tls.ClientSessionCache // nil for none

	mu      sync.Mutex
	own     *tls.ClientSessionState // the connection's
	further *tls.ClientSessionState // the latest of the further ones
}

// Get returns the session to resume, another connection's.
func (k *keptSession) Get(key string) (*tls.ClientSessionState, bool) {
	if k.all == nil {
		return nil, false
	}
	state, ok := k.all.Get(key)
	k.set(&k.own, state) // resumed, it may come without a new ticket
	return state, ok
}

// Put keeps the session.
func (k *keptSession) Put(key string, state *tls.ClientSessionState) {
	k.set(&k.own, state)
	if k.all != nil {
		k.all.Put(key, state)
	}
}

func (k *keptSession) set(where **tls.ClientSessionState, state *tls.ClientSessionState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	*where = state
}

// furtherSession is the cache of one further connection, to whatever address it leads.
type furtherSession struct {
	kept  *keptSession
	given *tls.ClientSessionState // that was asked for
}

// Get returns the connection's own session, as long as the connection lasts; when the server knows it no
// more, one of a further connection.
func (f *furtherSession) Get(string) (*tls.ClientSessionState, bool) {
	f.kept.mu.Lock()
	defer f.kept.mu.Unlock()
	if f.given = f.kept.own; f.given == nil {
		f.given = f.kept.further
	}
	return f.given, f.given != nil
}

// Put keeps the session. A nil is passed over: it may only mean that the connection was closed.
func (f *furtherSession) Put(_ string, state *tls.ClientSessionState) {
	if state != nil {
		f.kept.set(&f.kept.further, state)
	}
}

// done tells whether the session was resumed: one that was not has run out.
func (f *furtherSession) done(resumed bool) {
	if resumed {
		return
	}
	f.kept.mu.Lock()
	defer f.kept.mu.Unlock()
	if f.kept.own == f.given {
		f.kept.own = nil
	}
	if f.kept.further == f.given {
		f.kept.further = nil
	}
}
