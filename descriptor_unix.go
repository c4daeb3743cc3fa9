//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
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
