package pipe

import "syscall"

// errBrokenPipe is what writing to a pipe without a reader gives: ERROR_NO_DATA, "the pipe
// is being closed".
const errBrokenPipe = syscall.Errno(232)
