package negotiate

import (
	"io"
	"net"
	"sync/atomic"
)

// Raw returns the connection for somebody else's handshake, the next thing on it, and fails
// with a *CleartextError if the server has sent anything by now. The connection guards the handshake's
// beginning as Upgraded does: Read fails with a *CleartextError for what the server sends ahead of the
// ClientHello, or in place of a TLS record. It may be read from and written to at the same time, by
// one goroutine each; its ReadFrom and WriteTo leave what comes behind that to the kernel, where it can
// copy.
func (u *Upgraded) Raw() (net.Conn, error) {
	if err := u.guard.checkWrite(); err != nil {
		return nil, err
	}
	conn := u.guard.conn
	if u.Protocol != nil && u.Protocol.WrapRaw != nil {
		conn = u.Protocol.WrapRaw(conn)
	}
	if !u.guard.upgraded {
		return conn, nil
	}
	return &rawConn{Conn: conn, guard: guard{upgraded: true}}, nil
}

// A rawConn is a connection on which somebody else's handshake is due.
type rawConn struct {
	net.Conn
	started atomic.Bool // the ClientHello is being sent
	guard   guard       // of what the server sends
}

// Read fails for what is no TLS record, or none that answers the client.
func (c *rawConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	switch {
	case c.guard.checked || n == 0:
		return n, err
	case !c.started.Load():
		return 0, cleartext(c.Conn, p[:n], true)
	}
	return c.guard.checkRead(c.Conn, p[:n], err)
}

func (c *rawConn) Write(p []byte) (int, error) {
	if len(p) > 0 {
		c.started.Store(true)
	}
	return c.Conn.Write(p)
}

// firstBytes is how much is read of either side until it has said enough: more than a first flight.
const firstBytes = 16 << 10

// WriteTo copies to the end of what the server sends.
func (c *rawConn) WriteTo(w io.Writer) (n int64, err error) {
	for !c.guard.checked {
		m, err := forward(w, c)
		n += m
		if err != nil {
			return n, unlessEOF(err)
		}
	}
	rest, err := io.Copy(w, c.Conn)
	return n + rest, err
}

// ReadFrom copies to the end of what the client sends.
func (c *rawConn) ReadFrom(r io.Reader) (n int64, err error) {
	if !c.started.Load() {
		if n, err = forward(c, r); err != nil {
			return n, unlessEOF(err)
		}
	}
	rest, err := io.Copy(c.Conn, r)
	return n + rest, err
}

// forward copies what one read yields. At the end its error is io.EOF.
func forward(w io.Writer, r io.Reader) (int64, error) {
	b := make([]byte, firstBytes)
	n, err := r.Read(b)
	if n > 0 {
		if n, werr := w.Write(b[:n]); werr != nil {
			return int64(n), werr
		}
	}
	return int64(n), err
}

func unlessEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// CloseWrite shuts down the writing side.
func (c *rawConn) CloseWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }
