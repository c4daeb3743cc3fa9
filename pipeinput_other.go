//go:build !linux

package main

import "os"

// input returns what to read stdin from: only Linux has something better than stdin.
func input(stdin *os.File) *os.File { return stdin }
