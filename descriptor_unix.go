//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openDescriptor takes over a file descriptor that was handed to the program.
func openDescriptor(n int) (*os.File, error) {
	var stat syscall.Stat_t
	err := syscall.Fstat(n, &stat)
	if err != nil || stat.Mode&syscall.S_IFMT == 0 { // it is the runtime's own
		return nil, fmt.Errorf("descriptor %d is not open", n)
	}
	syscall.CloseOnExec(n) // it is not COMMAND's
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

// readNow reads what is there, and returns how many bytes that were. It waits for none.
func readNow(file *os.File, b []byte) (n int) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Read(func(fd uintptr) bool {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil || syscall.SetNonblock(int(fd), true) != nil {
			return true
		}
		n, _ = syscall.Read(int(fd), b)
		if flags&unix.O_NONBLOCK == 0 { // whoever shares the file is not to find it changed
			syscall.SetNonblock(int(fd), false)
		}
		return true
	})
	return max(n, 0)
}
