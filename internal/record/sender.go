package record

import (
	"net"

	"tlsup/internal/direct"
)

// A Sender writes to a connection, one goroutine at a time. What is short it writes directly, see
// package direct, if the connection is the system's or has a method WritesTo that returns such a one:
// what Write passes on to as it is from now on, nil as long as it does not.
type Sender struct {
	conn   net.Conn
	direct direct.Writer // if known
	known  bool
}

// NewSender returns a Sender to conn.
func NewSender(conn net.Conn) *Sender { return &Sender{conn: conn} }

// Write writes p at once. Errors are those of the connection's Write.
func (s *Sender) Write(p []byte) (int, error) {
	if !s.known {
		s.direct, s.known = direct.ToConn(writesTo(s.conn))
	}
	if !s.known {
		return s.conn.Write(p)
	}
	return s.direct.Write(p)
}

// writesTo returns what a connection writes to, perhaps itself; nil as long as it does not only pass that on.
func writesTo(conn net.Conn) net.Conn {
	for {
		wrapper, ok := conn.(interface{ WritesTo() net.Conn })
		if !ok {
			return conn
		}
		conn = wrapper.WritesTo()
	}
}
