package negotiate

import (
	"net"
	"sync"
)

// packetConn is a TLS session into which each packet is written by itself, so that it is in a
// TLS record of its own. What has not come whole is kept until it has, or until the end.
type packetConn struct {
	net.Conn
	length func([]byte) int // Protocol.Packet

	mu   sync.Mutex
	held []byte // the beginning of a packet
	free bool   // something was no packet: what follows is not looked at
}

// Write writes the packets that p completes.
func (c *packetConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	data := p
	if len(c.held) > 0 {
		c.held = append(c.held, p...)
		data = c.held
	}
	for len(data) > 0 {
		n := len(data)
		if !c.free {
			n = c.length(data)
		}
		if n < 0 {
			c.free = true
			continue
		}
		if n == 0 || n > len(data) {
			break
		}
		if _, err := c.Conn.Write(data[:n]); err != nil {
			return 0, err
		}
		data = data[n:]
	}
	c.held = append(c.held[:0], data...)
	return len(p), nil
}

// Bare returns what is read from: only what is written is another.
func (c *packetConn) Bare() net.Conn { return c.Conn }

// CloseWrite writes what was kept, and ends the writing side.
func (c *packetConn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) > 0 {
		if _, err := c.Conn.Write(c.held); err != nil {
			return err
		}
		c.held = nil
	}
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}
