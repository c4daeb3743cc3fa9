//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlsup/internal/realserver"
	"tlsup/internal/testserver"
)

// managed starts tlsup as a service manager does, which hands over sockets by their names.
func managed(t *testing.T, env []string, names []string, files []*os.File, args ...string) *process {
	t.Helper()
	script := fmt.Sprintf("LISTEN_PID=$$ LISTEN_FDS=%d LISTEN_FDNAMES=%s exec tlsup \"$@\"", len(files), strings.Join(names, ":"))
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, args...)...)
	cmd.Env = append(os.Environ(), append(env, "GORACE="+gorace)...)
	cmd.ExtraFiles = files
	return started(t, cmd)
}

// socketFile listens, and returns the socket as it is handed over.
func socketFile(t *testing.T, network, address string) (f *os.File, addr net.Addr) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if f, err = l.(interface{ File() (*os.File, error) }).File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, l.Addr()
}

// greeted fails the test unless somebody greets at an address.
func greeted(t *testing.T, addr net.Addr, want string) {
	t.Helper()
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); string(got) != want {
		t.Fatalf("%q, %v; want %q", got, err, want)
	}
}

func (p *process) sees(t *testing.T, pattern string) {
	t.Helper()
	if err := p.err.expect(regexp.MustCompile(pattern)); err != nil {
		t.Fatalf("%v\n%s", err, p.err.text())
	}
}

// ends waits for the program's end, with a status.
func (p *process) ends(t *testing.T, want int) {
	t.Helper()
	<-p.out.ended
	<-p.err.ended
	p.cmd.Wait()
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		t.Fatalf("status %d, want %d\n%s", got, want, p.err.text())
	}
}

// serverFor starts a server, and returns its target and what makes it trusted.
func serverFor(t *testing.T, name string) (target, trusted string) {
	t.Helper()
	s, err := testserver.Start(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, s.CA.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name + "://" + s.Addr.String(), "--x509cafile=" + file
}

// TestSocketActivation: sockets are taken by their names, several of one name too.
func TestSocketActivation(t *testing.T) {
	imap, trustImap := serverFor(t, "imap")
	pop3, trustPop3 := serverFor(t, "pop3")
	path := filepath.Join(t.TempDir(), "s")
	one, oneAddr := socketFile(t, "tcp", "127.0.0.1:0")
	two, twoAddr := socketFile(t, "tcp", "127.0.0.1:0")
	three, threeAddr := socketFile(t, "unix", path)
	files := []*os.File{one, two, three}

	p := managed(t, nil, []string{"mail", "pop", "mail"}, files, "tunnel", trustImap, trustPop3, "systemd:pop", pop3, "systemd:mail", imap)
	greeted(t, oneAddr, "* OK ")
	greeted(t, twoAddr, "+OK ")
	greeted(t, threeAddr, "* OK ")
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.ends(t, 128+int(syscall.SIGTERM))
	if _, err := os.Stat(path); err != nil {
		t.Error("the service manager's socket file is removed: ", err)
	}

	p = managed(t, nil, []string{"a", "b", "c"}, files, "tunnel", trustImap, "systemd:", imap)
	greeted(t, oneAddr, "* OK ")
	greeted(t, twoAddr, "* OK ")
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.ends(t, 128+int(syscall.SIGTERM))

	p = managed(t, nil, []string{"mail", "pop", "mail"}, files, "tunnel", "systemd:mail", imap)
	p.ends(t, 3)
	p.sees(t, `tlsup: systemd:mail: listen: the service manager hands over the socket "pop" too, which no LISTEN names`)
	p = managed(t, nil, []string{"mail", "pop", "mail"}, files, "tunnel", "systemd:web", imap)
	p.ends(t, 3)
	p.sees(t, `tlsup: systemd:web: listen: no socket of that name has been handed over, but mail, pop, mail`)
	p = managed(t, nil, nil, nil, "tunnel", "systemd:", imap)
	p.ends(t, 3)
	p.sees(t, `tlsup: systemd:: listen: no socket has been handed over`)
}

// TestActivate has systemd's own tool hand over a socket.
func TestActivate(t *testing.T) {
	activate := realserver.Tool(t, "systemd-socket-activate")
	imap, trusted := serverFor(t, "imap")
	path := filepath.Join(t.TempDir(), "s")
	tlsup, err := exec.LookPath("tlsup")
	if err != nil {
		t.Fatal(err)
	}
	p, err := startProcess(exec.Command(activate, "--listen="+path, "--fdname=mail", tlsup, "tunnel", trusted, "systemd:mail", imap))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	p.sees(t, "Listening on")
	greeted(t, &net.UnixAddr{Name: path, Net: "unix"}, "* OK ")
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.ends(t, 128+int(syscall.SIGTERM))
}

// TestNotify: the service manager is told of the beginning, of a reload, of the end, and that all is
// well in between.
func TestNotify(t *testing.T) {
	imap, trusted := serverFor(t, "imap")
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	manager.SetDeadline(time.Now().Add(patience))
	told := func(skip ...string) string {
		buf := make([]byte, 4096)
		for {
			n, err := manager.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if line, _, _ := strings.Cut(string(buf[:n]), "\n"); !slices.Contains(skip, line) {
				return line
			}
		}
	}
	p := managed(t, []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=100000"}, nil, nil, "tunnel", trusted, "0", imap)
	const alive = "WATCHDOG=1"
	for _, want := range []string{"READY=1", alive, alive} {
		if got := told(); got != want {
			t.Fatalf("told %q, want %q", got, want)
		}
	}
	p.cmd.Process.Signal(syscall.SIGHUP)
	for _, want := range []string{"RELOADING=1", "READY=1"} {
		if got := told(alive); got != want {
			t.Fatalf("told %q, want %q", got, want)
		}
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	if got := told(alive); got != "STOPPING=1" {
		t.Fatalf("told %q", got)
	}
	p.ends(t, 128+int(syscall.SIGTERM))
}
