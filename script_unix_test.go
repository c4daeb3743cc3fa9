//go:build unix

package main

import (
	"net"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

func init() {
	scriptCommands["full"] = scriptCommand(0, (*script).full)
}

// full finds an address where a connection is neither accepted nor refused: the backlog
// of its socket is full. That holds for Linux, which drops what comes then.
func (s *script) full(ts *testscript.TestScript, _ []string) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	ts.Check(err)
	ts.Defer(func() { unix.Close(fd) })
	ts.Check(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	ts.Check(unix.Listen(fd, 0))
	name, err := unix.Getsockname(fd)
	ts.Check(err)
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*unix.SockaddrInet4).Port}
	conn, err := net.Dial("tcp", addr.String())
	ts.Check(err)
	ts.Defer(func() { conn.Close() })
	setAddress(ts, addr)
}
