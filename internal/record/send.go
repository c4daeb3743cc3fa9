package record

import (
	"net"

	"tlsup/internal/direct"
)

// Send writes p to a connection, like its Write. It does so directly, see package direct, if the
// connection is the system's or has a method WritesTo that returns such a one: what Write passes on to
// as it is from now on, nil as long as it does not.
func Send(conn net.Conn, p []byte) (int, error) {
	to := conn
	for {
		wrapper, ok := to.(interface{ WritesTo() net.Conn })
		if !ok {
			break
		}
		to = wrapper.WritesTo()
	}
	if to == nil {
		return conn.Write(p)
	}
	return direct.Write(to, p)
}
