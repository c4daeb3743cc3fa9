//go:build unix

package main

import "os"

// openTerminal opens the terminal that the program was started from, wherever stdin and
// stdout lead.
func openTerminal() (in, out *os.File, err error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	return tty, tty, err
}

// understandsColours reports whether a terminal does.
func understandsColours(*os.File) bool { return true }
