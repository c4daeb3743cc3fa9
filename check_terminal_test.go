//go:build unix

package main

import (
	"os/exec"
	"strings"
	"testing"
)

// Colours are for a terminal that has them, and lines fit it.
func TestTerminalCheck(t *testing.T) {
	for _, c := range []struct {
		name, variable string
		colours        bool
	}{
		{"colours", "TERM=xterm", true},
		{"NO_COLOR", "NO_COLOR=1", false},
		{"TERM=dumb", "TERM=dumb", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, address := playing(t, "TLS\nend")
			s := onTerminal(t, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, c.variable) }, "tlsup", "check", ca, "tls://"+address)
			s.ends(0)
			p.heard(t)
			if got := strings.Contains(s.text(), "\x1b["); got != c.colours {
				t.Errorf("the screen shows %q", s.text())
			}
			if !strings.Contains(s.text(), "tls://"+address) {
				t.Errorf("the screen shows %q", s.text())
			}
		})
	}
}

// A long list shows how far it has come, on standard error alone.
func TestTerminalCheckList(t *testing.T) {
	t.Parallel()
	_, address := playing(t, "TLS\nend")
	args := []string{"check", ca}
	for range longList {
		args = append(args, "tls://"+address)
	}
	s := onTerminal(t, nil, "tlsup", args...)
	s.sees("checking")
	s.ends(0)
	if got := strings.Count(s.text(), "tls://"+address); got != longList {
		t.Errorf("%d rows; the screen shows %q", got, s.text())
	}
}
