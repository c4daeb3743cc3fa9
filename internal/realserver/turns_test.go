package realserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"testing"
)

// A turn is what the user says, and what has to come back before the user goes on, behind
// whatever else.
type turn struct{ say, hear string }

// tlsupTurns runs the program with a user who waits for each answer, for servers that forget
// the answers that they owe when the session ends.
func tlsupTurns(t *testing.T, turns []turn, args ...string) result {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"--timeout", limit.String()}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var heard []byte
	r := bufio.NewReader(stdout)
	for _, turn := range turns {
		if _, err := io.WriteString(stdin, turn.say); err != nil {
			t.Error(err)
		}
		for from := len(heard); err == nil && !bytes.Contains(heard[from:], []byte(turn.hear)); {
			var b byte
			if b, err = r.ReadByte(); err == nil {
				heard = append(heard, b)
			}
		}
		if err != nil {
			t.Errorf("%v, while %q was due", err, turn.hear)
			break
		}
	}
	stdin.Close()
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return result{args: args, status: cmd.ProcessState.ExitCode(), stdout: string(append(heard, rest...)), stderr: stderr.String()}
}
