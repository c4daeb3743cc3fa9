//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// watchOutput calls gone when the reader of a pipe or the peer of a socket goes away,
// which writing would show only with the next byte. It does nothing for other files.
func watchOutput(f *os.File, gone func()) {
	info, err := f.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return
	}
	fds := []unix.PollFd{{Fd: int32(f.Fd())}}
	for {
		n, err := unix.Poll(fds, -1)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n > 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
			gone()
		}
		return
	}
}
