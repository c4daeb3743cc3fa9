//go:build !linux

package direct

import "net"

// Write writes p to a connection by its own Write.
func Write(conn net.Conn, p []byte) (int, error) { return conn.Write(p) }
