//go:build unix

package main

import "syscall"

// openFiles returns how many files a process may have open, and has the programs that are
// started here have that limit too: Go raises it for itself alone, unless it is set.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil || syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return uint64(limit.Cur)
}
