package connect

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// HasFastOpen tells whether Options.FastOpen can be used here.
const HasFastOpen = true

func fastOpen(raw syscall.RawConn) error {
	var err error
	if e := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1)
	}); e != nil {
		return e
	}
	return err
}
