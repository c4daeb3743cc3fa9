// Package realserver starts the mail and chat servers that people run, as their
// distribution packages them, for tests to speak to: on loopback, on free ports, in a
// temporary directory, with a certificate of a throwaway authority. Each server is
// stopped at the end of the test.
package realserver

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testca"
)

// Host is the first of the names that the servers' certificates are valid for; the
// others are Domain, localhost and 127.0.0.1.
const Host = "mail.example.org"

// Domain is what the servers serve.
const Domain = "example.org"

// User can log in to Dovecot with Password, and receive mail at it.
const (
	User     = "user@example.org"
	Password = "secret"
)

const (
	startTimeout = 60 * time.Second // until a server answers on every port
	stopTimeout  = 10 * time.Second // until it has ended, before it is killed
	attempts     = 3                // at finding ports that stay free until the server has them
)

// A Server is running.
type Server struct {
	CA    *testca.CA
	Ports map[string]int // by scheme, all on 127.0.0.1

	program program
	dir     string // where all its files are, readable for its user
	user    string // the user that it runs as; "" for our own
	exited  chan struct{}
}

// Addr returns the address that serves a scheme, for net.Dial.
func (s *Server) Addr(scheme string) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Ports[scheme]))
}

// CAFile returns the name of a PEM file with the authority's certificate.
func (s *Server) CAFile() string { return s.path("ca.pem") }

// Log returns what the server has written to its log so far.
func (s *Server) Log() string {
	log, err := os.ReadFile(s.path("log"))
	if err != nil {
		return err.Error()
	}
	return string(log)
}

// path returns the name of a file or directory of the server.
func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// A program is a server that can be started.
type program struct {
	name    string
	binary  string
	dir     string   // where its package puts it, if not where commands are; a pattern
	schemes []string // what it serves
	root    bool     // only root can start it
	ready   string   // what its log says when it is; "" if it takes connections only then
	mute    bool     // a connection on which nothing is asked stops it: its log alone says that it is ready
	// configure writes the configuration, with settings added, and returns the command
	// that runs the server in the foreground, logging to standard output or error.
	configure func(s *Server, binary string, settings []string) (*exec.Cmd, error)
}

var programs = []program{postfix, dovecot, doveadm, pigeonhole, prosody, postgresql, mariadb, goMySQL, slapd, upsd, qemuNBD, nats, natsFirst, tigerVNC, vsftpd, proFTPD, inn, inspircd, cups, xrdp, syncplay, quassel, kermit, freeDiameter, cyrus, shishi, mitKerberos, munin, mosquitto, redis, unbound, nsd, ldns, squid, tinyproxy, dante, microsocks, haproxy, openssl, responder, gnutls}

// find returns the program's file. Where it is missing the test is skipped, and the
// message names the schemes that are not tried; in CI the test fails.
func (p program) find(t testing.TB) string {
	t.Helper()
	binary, err := lookPath(p.binary, p.dir)
	switch {
	case err != nil:
		err = fmt.Errorf("%s is not installed", p.name)
	case p.root && os.Getuid() != 0:
		err = fmt.Errorf("%s can only be started by root", p.name)
	default:
		return binary
	}
	message := fmt.Sprintf("not tried on a real server: %s (%v)", strings.Join(p.schemes, ", "), err)
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// Tool returns the file of a program of another make that a test runs. Where it is missing the test is
// skipped; in CI, where install.sh has installed all of them, it fails.
func Tool(t testing.TB, name string) string {
	t.Helper()
	return tool(t, name, "")
}

// tool is Tool for one that may also be where the pattern says.
func tool(t testing.TB, name, pattern string) string {
	t.Helper()
	path, err := lookPath(name, pattern)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" && runtime.GOOS == "linux" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("not tried: %s is not installed", name)
	return ""
}

// lookPath looks in the system's directories as well, which a normal user's PATH may lack,
// and in those that match the pattern.
func lookPath(binary, pattern string) (string, error) {
	path, err := exec.LookPath(binary)
	more, _ := filepath.Glob(pattern)
	for _, dir := range append([]string{"/usr/sbin", "/usr/local/sbin"}, more...) {
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, binary))
		}
	}
	return path, err
}

// start starts a program and returns when it answers on every port. A server that does
// not start fails the test.
func start(t testing.TB, p program, settings []string) *Server {
	t.Helper()
	binary := p.find(t)
	for i := 1; ; i++ {
		s, err := p.try(t, binary, settings)
		if err == nil {
			return s
		}
		// Somebody else may have taken a port between our look and the server's.
		if i == attempts || !strings.Contains(s.Log(), "in use") {
			t.Fatalf("%s does not start: %v; its log:\n%s", p.name, err, s.Log())
		}
	}
}

func (p program) try(t testing.TB, binary string, settings []string) (*Server, error) {
	t.Helper()
	s := &Server{program: p, Ports: make(map[string]int), exited: make(chan struct{})}
	if !p.root && os.Getuid() == 0 {
		s.user = "nobody"
	}
	// Not t.TempDir, which other users can't enter, and whose names may be too long for a socket.
	dir, err := os.MkdirTemp("", "tlsup-"+filepath.Base(p.binary)+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s.dir = dir
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	cmd, err := p.configure(s, binary, settings)
	if err == nil {
		err = s.handOver()
	}
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	if err := s.run(t, cmd); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return s, s.wait()
}

// prepare writes the certificate, its key and its authority, and picks the ports.
func (s *Server) prepare() error {
	ca, err := testca.New("tlsup throwaway authority")
	if err != nil {
		return err
	}
	s.CA = ca
	pair, err := ca.Issue([]string{Host, Domain, "localhost", "127.0.0.1"}, nil)
	if err != nil {
		return err
	}
	cert, key, err := testca.EncodePEM(pair)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"ca.pem": ca.PEM(), "cert.pem": cert, "key.pem": key, "log": nil} {
		if err := s.write(name, string(content)); err != nil {
			return err
		}
	}
	for _, scheme := range s.program.schemes {
		if s.Ports[scheme], err = freePort(s.Ports); err != nil {
			return err
		}
	}
	return nil
}

// freePort returns a port of 127.0.0.1 that nobody listens on and that is not taken. It
// stays below the ports that systems give to outgoing connections.
func freePort(taken map[string]int) (int, error) {
	const lowest, highest = 12000, 30000
	for range 100 {
		port := lowest + rand.IntN(highest-lowest)
		if slices.Contains(slices.Collect(maps.Values(taken)), port) {
			continue
		}
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d", lowest, highest)
}

// write writes a file into the server's directory.
func (s *Server) write(name, content string) error {
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o600)
}

// run starts the command, and has it stopped and its log shown at the end of the test.
func (s *Server) run(t testing.TB, cmd *exec.Cmd) error {
	log, err := os.OpenFile(s.path("log"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = s.dir
	if err := startOwn(cmd, s.user, s.exited); err != nil {
		return err
	}
	t.Cleanup(func() {
		terminate(cmd.Process)
		select {
		case <-s.exited:
		case <-time.After(stopTimeout):
			t.Errorf("%s did not end %v after it was asked to", s.program.name, stopTimeout)
		}
		kill(cmd.Process)
		<-s.exited
		if t.Failed() {
			t.Logf("the log of %s:\n%s", s.program.name, s.Log())
		}
	})
	return nil
}

// wait waits until the server is ready and answers on every port.
func (s *Server) wait() error {
	deadline := time.Now().Add(startTimeout)
	for scheme := range s.Ports {
		for err := s.answers(scheme); err != nil; err = s.answers(scheme) {
			if time.Now().After(deadline) {
				return fmt.Errorf("no answer on the port for %s in %v: %w", scheme, startTimeout, err)
			}
			select {
			case <-s.exited:
				return fmt.Errorf("it has ended")
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	if strings.Contains(s.Log(), "in use") {
		return fmt.Errorf("a port is somebody else's")
	}
	return nil
}

// answers returns nil if the server is ready on the port for a scheme, or why it is not.
func (s *Server) answers(scheme string) error {
	if !strings.Contains(s.Log(), s.program.ready) {
		return fmt.Errorf("its log does not say %q", s.program.ready)
	}
	if s.program.mute {
		return nil
	}
	conn, err := net.DialTimeout("tcp", s.Addr(scheme), time.Second)
	if err == nil {
		conn.Close()
	}
	return err
}

// lines joins settings into lines of a configuration file.
func lines(settings []string) string { return strings.Join(append(slices.Clone(settings), ""), "\n") }
