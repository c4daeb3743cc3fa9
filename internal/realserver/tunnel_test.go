package realserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A tunnelling is the program, run as a tunnel with one pair. It is stopped at the end of the test.
type tunnelling struct {
	t    *testing.T
	addr string // where it listens, for net.Dial: an address with its port, or a socket's path

	mu    sync.Mutex
	lines []map[string]any // of its log
	more  chan struct{}    // closed and replaced at each line
}

// tunnelTo runs the program as a tunnel to the port for a scheme, with options, and waits until it
// listens.
func tunnelTo(t *testing.T, s *Server, scheme, listen string, options ...string) *tunnelling {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	// On a busy machine a server may take longer than the program would wait by itself.
	args := append([]string{"tunnel", "--log-format", "json", "--timeout", limit.String(), "--drain", "1"}, options...)
	if !slices.Contains(options, "--raw") {
		args = append(args, "--x509cafile", s.CAFile())
	}
	cmd := exec.Command(binary, append(args, listen, s.target(scheme))...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tu := &tunnelling{t: t, more: make(chan struct{})}
	read := make(chan struct{})
	go func() {
		defer close(read)
		tu.read(stderr)
	}()
	t.Cleanup(func() {
		if cmd.Process.Signal(os.Interrupt) != nil {
			cmd.Process.Kill() // where there are no signals
		}
		<-read
		cmd.Wait()
		if t.Failed() {
			t.Logf("the tunnel's log: %v", tu.lines)
		}
	})
	tu.addr = strings.TrimPrefix(tu.await("listening", 1)["listen"].(string), "unix:")
	return tu
}

// read collects the log.
func (tu *tunnelling) read(log io.Reader) {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			line = map[string]any{"msg": lines.Text()}
		}
		tu.mu.Lock()
		tu.lines = append(tu.lines, line)
		close(tu.more)
		tu.more = make(chan struct{})
		tu.mu.Unlock()
	}
}

// await waits for the n-th line with that message, counted from 1.
func (tu *tunnelling) await(message string, n int) map[string]any {
	tu.t.Helper()
	for deadline := time.After(limit); ; {
		tu.mu.Lock()
		found, more, lines := 0, tu.more, tu.lines
		tu.mu.Unlock()
		for _, line := range lines {
			if line["msg"] == message {
				if found++; found == n {
					return line
				}
			}
		}
		select {
		case <-more:
		case <-deadline:
			tu.t.Fatalf("the log has no line %d of %q", n, message)
		}
	}
}

// count is how many lines have that message so far.
func (tu *tunnelling) count(message string) (n int) {
	tu.mu.Lock()
	defer tu.mu.Unlock()
	for _, line := range tu.lines {
		if line["msg"] == message {
			n++
		}
	}
	return n
}

// port is the port that it listens on.
func (tu *tunnelling) port() string {
	tu.t.Helper()
	_, port, err := net.SplitHostPort(tu.addr)
	if err != nil {
		tu.t.Fatal(err)
	}
	return port
}

// client runs a client of another make, with a text at its stdin. A client that is missing is
// looked for in the directories that match the pattern dir, and skips the test, or in CI fails it.
// Nothing of the environment but PATH reaches it.
func client(t *testing.T, env []string, stdin, dir, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, name, dir), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + t.TempDir()}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return result{name: name, args: args, status: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// randomRows writes lines to a file, and returns them: a number, a tab, and text that compresses badly.
func randomRows(t *testing.T, file string, rows int) string {
	t.Helper()
	var text strings.Builder
	random := rand.NewChaCha8([32]byte{})
	line := make([]byte, 90)
	for i := range rows {
		random.Read(line)
		fmt.Fprintf(&text, "%d\t%s\n", i, base64.StdEncoding.EncodeToString(line))
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
