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
	headerLen = 5        // bytes of a record's header (RFC 8446, 5.1)
	maxData   = 16 << 10 // bytes of data in a record
)

// Conn is the connection under a tls.Conn. One goroutine may read while others write. It holds
// buffers only while there is something in them.
type Conn struct {
	net.Conn
	idle *idleReader // of Conn; nil as long as it has none

	// The reading side. in[r:w] was read and not handed out; left bytes of it, or of what
	// is still to come, belong to the record that is being handed out.
	in      *buffer // nil: there is nothing
	r, w    int
	left    int
	err     error // of the network, after in[r:w]
	hunger  appetite
	noBlock bool // Read must not wait for the network
	eof     bool // crypto/tls was told of the network's end

	// The writing side.
	mu      sync.Mutex
	out     *buffer // out[:filled] was collected; nil: nothing
	filled  int
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
		c.left = headerLen + int(binary.BigEndian.Uint16(c.in.b[c.r+3:]))
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
	n := copy(p, c.in.b[c.r:c.r+most])
	c.r += n
	return n, nil
}

// fill reads until at least n bytes are there to be handed out.
func (c *Conn) fill(n int) error {
	if c.w-c.r >= n {
		return nil
	}
	if c.r == c.w {
		c.in.release()
		c.in, c.r, c.w = nil, 0, 0
	}
	if c.r > 0 {
		c.w = copy(c.in.b, c.in.b[c.r:c.w])
		c.r = 0
	}
	for c.w < n {
		if c.err != nil {
			return c.err
		}
		if c.noBlock {
			return os.ErrDeadlineExceeded // temporary for crypto/tls, which goes on later
		}
		m, err := c.read()
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

// read reads what has come, behind what is there.
func (c *Conn) read() (n int, err error) {
	if c.in != nil {
		return c.Conn.Read(c.in.b[c.w:])
	}
	if c.idle == nil {
		c.idle = newIdleReader(bare(c.Conn))
	}
	if c.idle != nil {
		c.idle.hunger.bulk = c.hunger.bulk
		c.in, n, err = c.idle.receive()
		return n, err
	}
	c.in = takeBuffer(int(c.hunger.next))
	n, err = c.Conn.Read(c.in.b)
	c.hunger.after(n, c.in)
	return n, err
}

// wait waits, without a buffer if it can, until there is more for Read to hand out. It returns an
// error that Read would not meet again.
func (c *Conn) wait() error {
	n := 1
	if c.left == 0 {
		n = headerLen
	}
	if err := c.fill(n); c.err == nil {
		return err
	}
	return nil
}

// pending returns how many bytes the record has that is next to be handed out, with its header: 0 if
// it is not there as a whole.
func (c *Conn) pending() int {
	have := c.w - c.r
	if c.left > 0 || have < headerLen {
		return 0
	}
	if n := headerLen + int(binary.BigEndian.Uint16(c.in.b[c.r+3:])); n <= have {
		return n
	}
	return 0
}

// cut reports whether crypto/tls met the network's end. It does not read on behind a
// close_notify.
func (c *Conn) cut() bool { return c.eof }

// Write writes p, or keeps it for one larger write while records are being collected.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.collect {
		return Send(c.Conn, p)
	}
	most := c.hunger.most() + overhead
	if c.filled+len(p) > most {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > most {
		return Send(c.Conn, p)
	}
	if c.out == nil {
		c.out = takeBuffer(c.hunger.most())
	}
	c.filled += copy(c.out.b[c.filled:most], p)
	return len(p), nil
}

// flush writes what was collected. The caller holds the lock.
func (c *Conn) flush() error {
	if c.filled == 0 {
		return nil
	}
	_, err := Send(c.Conn, c.out.b[:c.filled])
	c.out.release()
	c.out, c.filled = nil, 0
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
