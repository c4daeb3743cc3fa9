//go:build unix

package pipe

import "syscall"

// errBrokenPipe is what writing to a pipe without a reader gives.
const errBrokenPipe = syscall.EPIPE
