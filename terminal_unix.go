//go:build unix

package main

import "os"

// openTerminal opens the terminal that the program was started from, wherever stdin and
// stdout lead.
func openTerminal() (*os.File, error) { return os.OpenFile("/dev/tty", os.O_RDWR, 0) }
