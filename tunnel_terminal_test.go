//go:build unix

package main

import (
	"syscall"
	"testing"
)

// TestTerminalTunnel: a passphrase is asked for once, SIGHUP uses it again, and the end of the
// terminal is that of the tunnel.
func TestTerminalTunnel(t *testing.T) {
	t.Parallel()
	s := onTerminal(t, nil, "tlsup", "tunnel", "--x509certfile=client.pem", "--x509keyfile=encrypted.key", "0", "smtp://localhost")
	s.sees("passphrase of encrypted.key: ")
	s.types(passphrase + "\n")
	s.sees("msg=listening")
	s.cmd.Process.Signal(syscall.SIGHUP)
	s.sees(`msg="certificates read again"`)
	s.pty.Close()
	s.ends(128 + int(syscall.SIGHUP))
}
