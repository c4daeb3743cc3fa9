//go:build unix && !linux

package direct

import "syscall"

// Read reads from a descriptor that does not block.
func Read(fd uintptr, p []byte) (n int, err error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
