//go:build !linux

package main

import (
	"io"
	"os"
)

// inputFrom returns what to read stdin from: only Linux has something better than stdin.
func inputFrom(stdin *os.File) io.Reader { return stdin }

// outputTo returns what to write stdout to, likewise.
func outputTo(stdout *os.File) io.Writer { return stdout }
