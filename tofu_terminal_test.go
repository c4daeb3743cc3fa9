//go:build unix

package main

import (
	"os/exec"
	"testing"
)

// TestTerminalTofu: a person is asked once.
func TestTerminalTofu(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	_, address := playing(t, "TLS\nC- x\\n\nS: heard\nend")
	for _, run := range []struct {
		option, answer string
		status         int
	}{
		{"--tofu", "no\n", 6}, {"--tofu", ctrlC, 130}, {"--tofu", ctrlD, 6}, {"--tofu", "yes\n", 0}, {"--tofu", "", 0}, {"--strict-tofu", "", 0},
	} {
		s := onTerminal(t, func(cmd *exec.Cmd) {
			cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state)
		}, "tlsup", "-v", run.option, address)
		if run.answer != "" {
			s.sees("Trust this key from now on? (yes or no) ")
			s.types(run.answer)
		}
		if run.status == 0 {
			s.sees("verified by the known hosts in ") // what was typed before is the answer's
			s.types("x\n")
			s.sees("heard")
			s.types(ctrlD)
		}
		s.ends(run.status)
	}
}
