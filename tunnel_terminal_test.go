//go:build unix

package main

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTerminalTunnel: a passphrase is asked for once, SIGHUP uses it again, and the end of the
// terminal is that of the tunnel.
func TestTerminalTunnel(t *testing.T) {
	t.Parallel()
	// The shell is the terminal's session leader: with its end the terminal hangs up.
	s := onTerminal(t, nil, "sh", "-c", `tlsup "$@"; true`, "sh", "tunnel",
		"--x509certfile=client.pem", "--x509keyfile=encrypted.key", "0", "smtp://localhost")
	s.sees("passphrase of encrypted.key: ")
	s.types(passphrase + "\n")
	s.sees("msg=listening")
	tunnel := childOf(t, s.cmd.Process.Pid)
	syscall.Kill(tunnel, syscall.SIGHUP)
	s.sees(`msg="certificates read again"`)
	s.cmd.Process.Kill()
	select {
	case <-s.ended:
	case <-time.After(patience):
		syscall.Kill(tunnel, syscall.SIGKILL)
		t.Errorf("the tunnel goes on:\n%s", s.text())
	}
}

// childOf returns the only child of a process.
func childOf(t *testing.T, parent int) int {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "ppid=,pid=").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		var of, pid int
		if fmt.Sscan(line, &of, &pid); of == parent {
			return pid
		}
	}
	t.Fatalf("process %d has no child:\n%s", parent, out)
	return 0
}
