//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openDescriptor takes over a file descriptor that was handed to the program, to be read from or
// written to.
func openDescriptor(n int, write bool) (*os.File, error) {
	// What is handed over is open behind exec; the runtime's own descriptors are not.
	flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return nil, fmt.Errorf("no descriptor %d was handed over", n)
	}
	if flags, err = unix.FcntlInt(uintptr(n), unix.F_GETFL, 0); err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", n, err)
	}
	switch mode := flags & unix.O_ACCMODE; {
	case write && mode != unix.O_WRONLY && mode != unix.O_RDWR:
		return nil, fmt.Errorf("descriptor %d is not open for writing", n)
	case !write && mode != unix.O_RDONLY && mode != unix.O_RDWR:
		return nil, fmt.Errorf("descriptor %d is not open for reading", n)
	}
	unix.CloseOnExec(n) // it is not COMMAND's
	return os.NewFile(uintptr(n), fmt.Sprintf("descriptor %d", n)), nil
}

// handsDescriptors tells that programs can be handed descriptors by their numbers.
const handsDescriptors = true

// socketPair makes two sockets that are connected, ours with deadlines.
func socketPair(ours, theirs **os.File) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	syscall.CloseOnExec(pair[0])
	syscall.CloseOnExec(pair[1])
	if err := syscall.SetNonblock(pair[0], true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	*ours, *theirs = os.NewFile(uintptr(pair[0]), "socket"), os.NewFile(uintptr(pair[1]), "socket")
	return nil
}

// awaitByte waits for a byte at a socket of socketPair, and leaves it there. It reports false at the end.
func awaitByte(socket *os.File) (b byte, ok bool) {
	if raw, err := socket.SyscallConn(); err == nil {
		raw.Read(func(fd uintptr) bool {
			b, ok, err = peek(fd)
			return err != unix.EAGAIN
		})
	}
	return b, ok
}

// hasByte reports whether there is a byte at a socket of socketPair now.
func hasByte(socket *os.File) (ok bool) {
	if raw, err := socket.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { _, ok, _ = peek(fd) })
	}
	return ok
}

func peek(fd uintptr) (byte, bool, error) {
	b := make([]byte, 1)
	n, _, err := unix.Recvfrom(int(fd), b, unix.MSG_PEEK)
	return b[0], n == 1, err
}

// hasUnread reports whether there is something to be read from a pipe now. Reading it without waiting
// would be seen by those who share the pipe.
func hasUnread(pipe *os.File) bool {
	n := 0
	if raw, err := pipe.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { n, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) })
	}
	return n > 0
}
