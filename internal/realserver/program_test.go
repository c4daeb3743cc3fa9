package realserver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"tlsup/negotiate"
)

// binDir is where the program is built.
var binDir string

func TestMain(m *testing.M) {
	var err error
	if binDir, err = os.MkdirTemp("", "tlsup-bin-"); err != nil {
		panic(err)
	}
	status := m.Run()
	os.RemoveAll(binDir)
	os.Exit(status)
}

// build builds the program, once.
var build = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(binDir, "tlsup.exe")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "tlsup").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return binary, lookAtSources()
})

// lookAtSources shows the files that the program is built from to "go test", which keeps
// a result in its cache as long as the files that the test has looked at stay the same.
func lookAtSources() error {
	const files = `{{if not .Standard}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{end}}`
	out, err := exec.Command("go", "list", "-deps", "-f", files, "tlsup").Output()
	if err != nil {
		return err
	}
	for file := range strings.Lines(string(out)) {
		if _, err := os.Stat(strings.TrimSpace(file)); err != nil {
			return err
		}
	}
	return nil
}

// A result is how a run of the program ended.
type result struct {
	name           string // of a client; "" for the program itself
	args           []string
	status         int
	stdout, stderr string
}

// tlsup runs the program with a text at its stdin.
func tlsup(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return tlsupWith(t, nil, stdin, args...)
}

// tlsupWith is tlsup with variables added to the environment.
func tlsupWith(t *testing.T, env []string, stdin string, args ...string) result {
	t.Helper()
	// On a busy machine a server may take longer than the program would wait by itself.
	r := bare(t, env, stdin, append([]string{"--timeout", limit.String()}, args...)...)
	r.args = args
	return r
}

// bare is tlsupWith without an option that the test does not give.
func bare(t *testing.T, env []string, stdin string, args ...string) result {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return result{args: args, status: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// must checks the status, that stdout contains a text, or is empty if that is, and that
// stderr contains texts, or is empty if there are none.
func (r result) must(t *testing.T, status int, stdout string, stderr ...string) {
	t.Helper()
	ok := r.status == status && strings.Contains(r.stdout, stdout) && (stdout != "" || r.stdout == "") && (len(stderr) > 0 || r.stderr == "")
	for _, text := range stderr {
		ok = ok && strings.Contains(r.stderr, text)
	}
	if !ok {
		t.Errorf("%s %s\nstatus %d, stdout %q, stderr %q\nwant   %d, stdout %q, stderr %q",
			cmp.Or(r.name, "tlsup"), strings.Join(r.args, " "), r.status, r.stdout, r.stderr, status, stdout, stderr)
	}
}

// target is the URL of a scheme's port.
func (s *Server) target(scheme string) string { return scheme + "://" + s.Addr(scheme) }

// turnsOf returns a whole session with a scheme's port.
func turnsOf(t *testing.T, scheme string) []turn {
	var turns []turn
	if p := find(t, scheme); p.Upgrade == nil && p.Lines {
		turns = []turn{{"", "\r\n"}} // the greeting
	}
	switch strings.TrimSuffix(scheme, "s") {
	case "smtp", "submission":
		return append(turns, turn{"EHLO client.example.org\r\n", "\r\n250 "}, turn{"QUIT\r\n", "221 2.0.0 Bye\r\n"})
	case "lmtp":
		return append(turns, turn{"LHLO client.example.org\r\n", "\r\n250 "}, turn{"QUIT\r\n", "221 2.0.0 Bye\r\n"})
	case "imap":
		return append(turns, turn{"a LOGIN " + User + " " + Password + "\r\n", "a OK "},
			turn{"b SELECT INBOX\r\n", "b OK "}, turn{"c LOGOUT\r\n", "c OK "})
	case "pop3":
		return append(turns, turn{"USER " + User + "\r\n", "+OK"}, turn{"PASS " + Password + "\r\n", "+OK"},
			turn{"STAT\r\n", "+OK 1 "}, turn{"QUIT\r\n", "+OK Logging out.\r\n"})
	}
	return append(turns, turn{stream(scheme), "</stream:features>"}, turn{"</stream:stream>", "</stream:stream>"})
}

// testProgram leads a session with each port through the program's stdin and stdout, and
// meets what may go wrong.
func testProgram(t *testing.T, s *Server) {
	for _, scheme := range s.program.schemes {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			p, turns := find(t, scheme), turnsOf(t, scheme)
			last := turns[len(turns)-1].hear
			target := []string{s.target(scheme)}
			if p.Names == negotiate.ServiceDomain {
				target = append(target, "--starttls-name", Domain)
			}
			trusting := append(target, "--x509cafile", s.CAFile())
			tlsupTurns(t, turns, trusting...).must(t, 0, last)
			tlsupTurns(t, turns, append(trusting, "--verify-hostname", Domain, "--no-half-close")...).must(t, 0, last)

			verify := s.Addr(scheme) + ": verify: "
			tlsup(t, "", target...).must(t, 6, "", verify, "throwaway authority")
			got := tlsup(t, "", append(trusting, "--sni-hostname", Domain, "--verify-hostname", "mail.example.com")...)
			got.must(t, 6, "", verify, "mail.example.com")
			if p.Upgrade != nil {
				got := tlsup(t, "", "--x509cafile", s.CAFile(), "tls://"+s.Addr(scheme))
				got.must(t, 5, "", s.Addr(scheme)+": handshake: server answers in the clear: ", "tlsup: hint: ")
			}
		})
	}
	t.Run("nothing listens", func(t *testing.T) {
		port, err := freePort(s.Ports)
		if err != nil {
			t.Fatal(err)
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		tlsup(t, "", s.program.schemes[0]+"://"+addr).must(t, 3, "", addr+": connect: ")
	})
}
