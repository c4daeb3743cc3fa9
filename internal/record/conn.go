// Package record is the data path under and above crypto/tls: a connection that takes
// many TLS records in one read and gives many in one write, and a session that tells a
// peer's close_notify from a stream that was cut.
package record

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
)

const (
	headerLen = 5         // bytes of a record's header (RFC 8446, 5.1)
	maxData   = 16 << 10  // bytes of data in a record
	inSize    = 128 << 10 // bytes asked of the network at a time
	outSize   = 128 << 10 // bytes collected for one write
)

// Conn is the connection under a tls.Conn. One goroutine may read while others write.
type Conn struct {
	net.Conn

	// The reading side. in[r:w] was read and not handed out; left bytes of it, or of what
	// is still to come, belong to the record that is being handed out.
	in      []byte
	r, w    int
	left    int
	err     error // of the network, after in[r:w]
	noBlock bool  // Read must not wait for the network
	eof     bool  // crypto/tls was told of the network's end

	// The writing side.
	mu      sync.Mutex
	out     []byte
	collect bool
}

// NewConn returns a Conn over c.
func NewConn(c net.Conn) *Conn { return &Conn{Conn: c} }

// Read hands out bytes of one record at most, so that crypto/tls never has to move what
// belongs to the next.
func (c *Conn) Read(p []byte) (int, error) {
	if c.left == 0 {
		switch err := c.fill(headerLen); {
		case err != nil && c.err == nil:
			return 0, err // it goes on later: a header is handed out whole
		case err != nil:
			return c.handOut(p, c.w-c.r, err)
		}
		c.left = headerLen + int(binary.BigEndian.Uint16(c.in[c.r+3:]))
	}
	err := c.fill(1)
	n, err := c.handOut(p, min(c.left, c.w-c.r), err)
	c.left -= n
	return n, err
}

func (c *Conn) handOut(p []byte, most int, err error) (int, error) {
	if most == 0 {
		c.eof = err == io.EOF
		return 0, err
	}
	n := copy(p, c.in[c.r:c.r+most])
	c.r += n
	return n, nil
}

// fill reads until at least n bytes are there to be handed out.
func (c *Conn) fill(n int) error {
	if c.w-c.r >= n {
		return nil
	}
	if c.in == nil {
		c.in = make([]byte, inSize)
	}
	c.w = copy(c.in, c.in[c.r:c.w])
	c.r = 0
	for c.w < n {
		if c.err != nil {
			return c.err
		}
		if c.noBlock {
			return os.ErrDeadlineExceeded // temporary for crypto/tls, which goes on later
		}
		m, err := c.Conn.Read(c.in[c.w:])
		c.w += m
		if err != nil && !os.IsTimeout(err) {
			c.err = err
		}
		if err != nil && c.w < n {
			return err
		}
	}
	return nil
}

// pending reports whether a whole record is there to be handed out.
func (c *Conn) pending() bool {
	have := c.w - c.r
	return c.left == 0 && have >= headerLen && have >= headerLen+int(binary.BigEndian.Uint16(c.in[c.r+3:]))
}

// cut reports whether crypto/tls met the network's end. It does not read on behind a
// close_notify.
func (c *Conn) cut() bool { return c.eof }

// Write writes p, or keeps it for one larger write while records are being collected.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.collect {
		return c.Conn.Write(p)
	}
	if len(c.out)+len(p) > outSize {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	c.out = append(c.out, p...)
	return len(p), nil
}

// flush writes what was collected. The caller holds the lock.
func (c *Conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// collected runs f and collects what it writes into as few writes as possible.
func (c *Conn) collected(f func() (int, error)) (int, error) {
	c.mu.Lock()
	c.collect = true
	c.mu.Unlock()
	n, err := f()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.collect = false
	if ferr := c.flush(); err == nil {
		err = ferr
	}
	return n, err
}
