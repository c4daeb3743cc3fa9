//go:build unix

package negotiate

import (
	"net"
	"syscall"
)

// arrived returns bytes that have arrived on conn and were not read, without waiting.
func arrived(conn net.Conn) []byte {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return arrivedByReading(conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return arrivedByReading(conn)
	}
	var b [cleartextBytes]byte
	n := 0
	// The runtime's sockets don't block, and a false from the function would wait.
	raw.Read(func(fd uintptr) bool {
		n, _, _ = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return true
	})
	return b[:max(n, 0)]
}
