package record

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

var (
	// ErrCut is what Read returns when the peer ended the connection without
	// close_notify (RFC 8446, 6.1): what came may not be all that was sent.
	ErrCut = errors.New("peer cut the TLS stream without close_notify")
	// ErrCutInside is the same in the middle of a record: data was certainly lost.
	ErrCutInside = errors.New("peer cut the TLS stream in the middle of a record")
)

// Session is a TLS session over a Conn. Its Read returns io.EOF only for a
// close_notify; ErrCut or ErrCutInside for a stream that was cut.
type Session struct {
	net.Conn // what the session's bytes are read from: the tls.Conn or a wrapper of it

	TLS   *tls.Conn
	under *Conn
	dry   bool // receive has met a deadline: nothing is there but what comes from now on

	closing   atomic.Bool   // close_notify is being sent, or was
	notified  chan struct{} // closed when that is done, with notifyErr
	notifyErr error
}

// closeWait is how long a peer that does not read may keep Close waiting.
const closeWait = 5 * time.Second

// NewSession returns the session whose records pass through under. conn is where its
// bytes are read and written, tlsConn itself or what an upgrade made of it.
func NewSession(conn net.Conn, tlsConn *tls.Conn, under *Conn) *Session {
	return &Session{Conn: conn, TLS: tlsConn, under: under, notified: make(chan struct{})}
}

// Bulk has the session read and write 240 KiB at a time, in place of 112, where there are many: it is the only
// one of the process. It is called before anything is read or written, beside the handshake.
func (s *Session) Bulk() { s.under.hunger.bulk = true }

// Read waits for data, then returns all that is there and fits: of several records if p
// has room for them.
func (s *Session) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err != nil {
		return n, s.ended(err)
	}
	return s.readOn(p, n), nil
}

// readOn reads on behind p[:n] as long as whole records are there that fit.
func (s *Session) readOn(p []byte, n int) int {
	for {
		due := s.under.pending()
		if due == 0 || due > len(p)-n {
			return n
		}
		m, err := s.readNow(p[n:])
		n += m
		if err != nil {
			return n // it stays, and the next Read meets it
		}
	}
}

// readNow reads what is there, and does not wait: os.ErrDeadlineExceeded tells that it would.
func (s *Session) readNow(p []byte) (int, error) {
	s.under.noBlock = true
	defer func() { s.under.noBlock = false }()
	return s.Conn.Read(p)
}

// receive is like Read, for a session without a wrapper. It takes the buffer, which is the
// caller's, only when something has come; with an error there is none.
func (s *Session) receive() (*buffer, int, error) {
	for {
		if !s.dry {
			b := takeBuffer(s.under.w - s.under.r)
			space := b.b[:cap(b.b)]
			n, err := s.readNow(space)
			if n > 0 {
				return b, s.readOn(space, n), nil // an error stays, and the next call meets it
			}
			b.release()
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return nil, 0, s.ended(err)
			}
		}
		err := s.under.wait()
		if s.dry = os.IsTimeout(err); err != nil {
			return nil, 0, s.ended(err)
		}
	}
}

// ended tells a close_notify from a cut: crypto/tls takes the network's end between two
// records for a clean one.
func (s *Session) ended(err error) error {
	switch {
	case err == io.EOF && s.under.cut():
		return ErrCut
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ErrCutInside
	}
	return err
}

// Write sends p at once, in as few writes to the network as possible.
func (s *Session) Write(p []byte) (int, error) {
	if len(p) <= maxData {
		return s.Conn.Write(p)
	}
	return s.under.collected(func() (int, error) { return s.Conn.Write(p) })
}

// CloseWrite sends close_notify: this side has nothing more to say. Reading goes on. It
// waits for a peer that does not read, like Write; crypto/tls would give up after five
// seconds, and such a peer then wait forever.
func (s *Session) CloseWrite() error {
	if s.closing.Swap(true) {
		<-s.notified
		return s.notifyErr
	}
	defer close(s.notified)
	_, s.notifyErr = s.under.collected(func() (int, error) {
		err := s.closeWrite()
		s.under.SetWriteDeadline(time.Time{})
		return 0, err
	})
	s.under.SetWriteDeadline(time.Unix(1, 0)) // as crypto/tls leaves it: nothing follows
	return s.notifyErr
}

// closeWrite has the upgrade's connection, which may keep the beginning of a packet, send it
// first.
func (s *Session) closeWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return s.TLS.CloseWrite()
}

// Close sends close_notify if that has not been done, waits for it for closeWait at most,
// and closes the connection.
func (s *Session) Close() error {
	select {
	case <-s.notified:
		return s.Conn.Close()
	default:
	}
	go s.CloseWrite()
	select {
	case <-s.notified:
	case <-time.After(closeWait):
	}
	return s.Conn.Close()
}

// Abort closes the connection without close_notify, so that the peer can't take what it
// has received for all there was.
func (s *Session) Abort() error { return s.under.Conn.Close() }
