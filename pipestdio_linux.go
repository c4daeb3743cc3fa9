package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"tlsup/internal/direct"
)

// inputSize and outputSize are how many bytes pipes on stdin and stdout are asked to hold, in place of
// 64 KiB: their other ends and we take turns less often.
const (
	inputSize  = 256 << 10
	outputSize = 1 << 20
)

// inputFrom returns what to read stdin from. A pipe is made larger, if it may be, and opened once more:
// waiting for it then blocks no thread, which costs a multiple of a round trip on one core.
func inputFrom(stdin *os.File) io.Reader {
	again := reopen(stdin, unix.O_RDONLY)
	if again == nil {
		return stdin
	}
	unix.FcntlInt(stdin.Fd(), unix.F_SETPIPE_SZ, inputSize)
	return direct.Reader(again)
}

// outputTo returns what to write stdout to. A pipe is made larger, if it may be, and opened once more for
// what is short.
func outputTo(stdout *os.File) io.Writer {
	again := reopen(stdout, unix.O_WRONLY)
	if again == nil {
		return stdout
	}
	unix.FcntlInt(stdout.Fd(), unix.F_SETPIPE_SZ, outputSize)
	return direct.Pipe(again, stdout)
}

// reopen opens a pipe once more, to be used without blocking: whoever else has it open does not see that.
// It returns nil for other files, and if that can't be done.
func reopen(file *os.File, way int) *os.File {
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return nil
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), way|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil { // another user's, or one with a name that nobody reads
		return nil
	}
	return os.NewFile(uintptr(fd), file.Name())
}
