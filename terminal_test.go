//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

// Keys that a terminal makes something of.
const (
	ctrlC = "\x03"
	ctrlD = "\x04"
)

// A screen is a terminal with the program on it.
type screen struct {
	t   *testing.T
	cmd *exec.Cmd
	pty *os.File
	*output
}

// onTerminal starts a program on a terminal of its own, in a directory with the files of
// scripts. change, if not nil, may lead its input and output elsewhere.
func onTerminal(t *testing.T, change func(*exec.Cmd), program string, args ...string) *screen {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = t.TempDir()
	if err := writeScriptFiles(cmd.Dir); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "GORACE="+gorace, "TERM=xterm")
	if change != nil {
		change(cmd)
	}
	p, tty, err := pty.Open()
	if errors.Is(err, pty.ErrUnsupported) {
		t.Skip("no pseudo-terminals here")
	}
	if err != nil {
		t.Fatal(err)
	}
	pty.Setsize(p, &pty.Winsize{Rows: 24, Cols: 80})
	if cmd.Stdin == nil {
		cmd.Stdin = tty
	}
	if cmd.Stdout == nil {
		cmd.Stdout = tty
	}
	if cmd.Stderr == nil {
		cmd.Stderr = tty
	}
	cmd.ExtraFiles = []*os.File{tty} // descriptor 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	err = cmd.Start()
	tty.Close()
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, cmd: cmd, pty: p, output: collect(p)}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		p.Close()
	})
	return s
}

// sees waits until the screen has shown a text, behind the last one waited for.
func (s *screen) sees(text string) {
	s.t.Helper()
	if err := s.expect(regexp.MustCompile(regexp.QuoteMeta(text))); err != nil {
		s.t.Fatalf("%v\nthe screen shows %q", err, s.text())
	}
}

func (s *screen) types(keys string) {
	s.t.Helper()
	if _, err := s.pty.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the program's end, with a status.
func (s *screen) ends(want int) {
	s.t.Helper()
	<-s.ended // the read fails when the last process has closed the terminal
	s.cmd.Wait()
	if got := s.cmd.ProcessState.ExitCode(); got != want {
		s.t.Fatalf("status %d, want %d\nthe screen shows %q", got, want, s.text())
	}
}

// playing starts a server with a dialogue.
func playing(t *testing.T, dialogue string, changes ...string) (p *player, address string) {
	t.Helper()
	if _, err := scriptFiles(); err != nil {
		t.Fatal(err)
	}
	p, err := startPlayer(dialogue, "127.0.0.1:0", changes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.listener.Close() })
	return p, p.listener.Addr().String()
}

// heard fails the test unless a connection went as in the dialogue.
func (p *player) heard(t *testing.T) {
	t.Helper()
	if err := p.wait(); err != nil {
		t.Fatal(err)
	}
}

const ca = "--x509cafile=ca.pem"

func TestTerminalManual(t *testing.T) {
	t.Parallel()
	p, address := playing(t, `
		S: 220 hello
		C- STARTTLS\r\n
		S: 220 go
		TLS
		S: inside
		C- hello\r\n
		S: you said hello
		end
		S: bye`)
	s := onTerminal(t, nil, "tlsup", "--starttls", "--crlf", ca, address)
	s.sees("220 hello")
	s.types("STARTTLS\n")
	s.sees("220 go")
	s.types(ctrlD)
	s.sees("inside")
	s.types("hello\n")
	s.sees("you said hello")
	s.types(ctrlD)
	s.sees("bye")
	s.ends(0)
	p.heard(t)
}

const upgradedTo = `
	S: 220 mail.example.org
	C: EHLO .*
	S: 250-mail.example.org
	S: 250 STARTTLS
	C: STARTTLS
	S: 220 2.0.0 Go ahead
	TLS
`

func TestTerminalLineEnds(t *testing.T) {
	for _, c := range []struct {
		name, sent string
		options    []string
	}{
		{"default", `EHLO x\r\n`, nil},
		{"no-crlf", `EHLO x\n`, []string{"--no-crlf"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, address := playing(t, upgradedTo+"C- "+c.sent+"\nS: 250 x\nend")
			s := onTerminal(t, nil, "tlsup", append(c.options, ca, "smtp://"+address)...)
			s.types("EHLO x\n")
			s.sees("250 x")
			s.types(ctrlD)
			s.ends(0)
			p.heard(t)
		})
	}
	t.Run("pipe", func(t *testing.T) {
		t.Parallel()
		p, address := playing(t, upgradedTo+`C- EHLO x\n`+"\nend\nS: 250 x")
		s := onTerminal(t, func(cmd *exec.Cmd) { cmd.Stdin = strings.NewReader("EHLO x\n") }, "tlsup", ca, "smtp://"+address)
		s.sees("250 x")
		s.ends(0)
		p.heard(t)
	})
	t.Run("no line protocol", func(t *testing.T) {
		t.Parallel()
		p, address := playing(t, "TLS\nC- x\\n\nS: heard\nend")
		s := onTerminal(t, nil, "tlsup", ca, address)
		s.types("x\n")
		s.sees("heard")
		s.types(ctrlD)
		s.ends(0)
		p.heard(t)
	})
}

// The peer has closed: nobody has to press a key for the end.
func TestTerminalPeerCloses(t *testing.T) {
	t.Parallel()
	p, address := playing(t, "TLS\nS: bye")
	s := onTerminal(t, nil, "tlsup", ca, address)
	s.sees("bye")
	s.ends(0)
	p.heard(t)
}

func TestTerminalInterrupt(t *testing.T) {
	t.Parallel()
	_, address := playing(t, "TLS\nS: hello\nstall")
	s := onTerminal(t, nil, "tlsup", ca, address)
	s.sees("hello")
	s.types(ctrlC)
	s.ends(130)
}

// Somebody who waits for a greeting is told what may be wrong.
func TestTerminalWaiting(t *testing.T) {
	t.Parallel()
	_, address := playing(t, "stall")
	s := onTerminal(t, nil, "tlsup", ca, "smtp://"+address)
	s.sees("tlsup: " + address + ": no greeting yet; ")
	s.types(ctrlC)
	s.ends(130)
}

func TestTerminalProgress(t *testing.T) {
	const size = 300_000
	start := func(t *testing.T, change func(*exec.Cmd), options ...string) *screen {
		t.Parallel()
		_, address := playing(t, "TLS\nC- "+strings.Repeat("x", size)+"\nS: received\nend")
		return onTerminal(t, func(cmd *exec.Cmd) {
			input := filepath.Join(cmd.Dir, "input")
			if err := os.WriteFile(input, []byte(strings.Repeat("x", size)), 0o600); err != nil {
				t.Fatal(err)
			}
			in, err := os.Open(input)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { in.Close() })
			out, err := os.Create(filepath.Join(cmd.Dir, "output"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { out.Close() })
			cmd.Stdin, cmd.Stdout = in, out
			if change != nil {
				change(cmd)
			}
		}, "tlsup", append(options, ca, address)...)
	}
	output := func(s *screen) string {
		data, err := os.ReadFile(filepath.Join(s.cmd.Dir, "output"))
		if err != nil {
			s.t.Fatal(err)
		}
		return string(data)
	}
	t.Run("terminal", func(t *testing.T) {
		s := start(t, nil, "--progress")
		s.sees("sent 293.0 KiB, received 10 B")
		s.ends(0)
		if got := output(s); got != "received\r\n" {
			t.Errorf("output is %q", got)
		}
	})
	t.Run("not asked for", func(t *testing.T) {
		s := start(t, nil)
		s.ends(0)
		if s.text() != "" {
			t.Errorf("the screen shows %q", s.text())
		}
	})
	t.Run("file", func(t *testing.T) {
		s := start(t, func(cmd *exec.Cmd) { cmd.Stderr = cmd.Stdout }, "--progress")
		s.ends(0)
		if got := output(s); got != "received\r\n" || s.text() != "" {
			t.Errorf("the file holds %q, the screen shows %q", got, s.text())
		}
	})
}

func TestTerminalPassphrase(t *testing.T) {
	options := []string{"--x509certfile=client.pem", "--x509keyfile=encrypted.key", ca}
	const prompt = "passphrase of encrypted.key: "
	t.Run("right", func(t *testing.T) {
		t.Parallel()
		p, address := playing(t, "TLS\nS: welcome\nend", "client-cert")
		s := onTerminal(t, nil, "tlsup", append(slices.Clone(options), address)...)
		s.sees(prompt)
		s.types(passphrase + "\n")
		s.sees("welcome")
		s.types(ctrlD)
		s.ends(0)
		p.heard(t)
		if strings.Contains(s.text(), passphrase) {
			t.Errorf("the screen shows %q", s.text())
		}
	})
	t.Run("from a pipe", func(t *testing.T) {
		t.Parallel()
		p, address := playing(t, "TLS\nC- hello\\n\nend\nS: welcome", "client-cert")
		s := onTerminal(t, func(cmd *exec.Cmd) { cmd.Stdin = strings.NewReader("hello\n") }, "tlsup", append(slices.Clone(options), address)...)
		s.sees(prompt)
		s.types(passphrase + "\n")
		s.sees("welcome")
		s.ends(0)
		p.heard(t)
	})
	t.Run("wrong", func(t *testing.T) {
		t.Parallel()
		s := onTerminal(t, nil, "tlsup", append(slices.Clone(options), "localhost")...)
		s.sees(prompt)
		s.types("open barley\n")
		s.sees("tlsup: --x509keyfile encrypted.key: wrong passphrase")
		s.ends(2)
	})
	t.Run("end of file", func(t *testing.T) {
		t.Parallel()
		s := onTerminal(t, nil, "tlsup", append(slices.Clone(options), "localhost")...)
		s.sees(prompt)
		s.types(ctrlD)
		s.sees("tlsup: --x509keyfile encrypted.key: the key is encrypted, and asking for its passphrase failed: none was given")
		s.ends(2)
	})
	t.Run("interrupt", func(t *testing.T) {
		t.Parallel()
		s := onTerminal(t, nil, "sh", append([]string{"-c", `trap : INT; tlsup "$@"; echo "status $?"; stty -a`, "sh", "localhost"}, options...)...)
		s.sees(prompt)
		s.types(ctrlC)
		s.sees("status 130")
		s.ends(0)
		if !regexp.MustCompile(`[^-]\becho\b`).MatchString(s.text()) {
			t.Errorf("the terminal does not echo: %s", s.text())
		}
	})
	t.Run("signal", func(t *testing.T) {
		t.Parallel()
		s := onTerminal(t, nil, "tlsup", append(slices.Clone(options), "localhost")...)
		s.sees(prompt)
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.ends(143)
	})
	t.Run("no terminal", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := writeScriptFiles(dir); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("tlsup", append(slices.Clone(options), "localhost")...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		said, _ := cmd.CombinedOutput()
		if want := "tlsup: --x509keyfile encrypted.key: the key is encrypted, and asking for its passphrase failed: there is no terminal to ask on\n" +
			"tlsup: hint: see tlsup --help\n"; cmd.ProcessState.ExitCode() != 2 || string(said) != want {
			t.Errorf("status %d, %q, want %q", cmd.ProcessState.ExitCode(), said, want)
		}
	})
}
