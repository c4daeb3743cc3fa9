package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is how many bytes a pipe on stdin is asked to hold, in place of 64 KiB: the
// writer and we take turns less often.
const pipeSize = 256 << 10

// growPipe makes a pipe larger. What is no pipe, or may not grow, stays as it is.
func growPipe(f *os.File) { unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, pipeSize) }
