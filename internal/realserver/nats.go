package realserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// NATS starts the server of NATS, to which User can connect with Password. Settings are lines
// of its configuration; with NATSNoTLS it has no certificate.
func NATS(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, nats, settings)
}

// NATSNoTLS is the setting that switches TLS off.
const NATSNoTLS = "# no TLS"

var nats = program{
	name:      "NATS",
	binary:    "nats-server",
	schemes:   []string{"nats"},
	configure: configureNATS,
}

// NATSFirst starts a newer server than Debian's, which knows handshake_first: TLS from the first
// byte if that is "true", or from clients that begin with it if that is "auto".
func NATSFirst(t testing.TB, handshakeFirst string) *Server {
	t.Helper()
	return start(t, natsFirst, []string{handshakeFirst})
}

var natsFirst = program{
	name:      "NATS of its Go module",
	binary:    filepath.Join(builtDir(), nats.binary),
	schemes:   nats.schemes,
	configure: configureNATSFirst,
}

// builtDir is where install.sh puts what it builds, out of everybody's PATH.
func builtDir() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "tlsup")
}

// copyBuilt copies a program that was built to where the server's user can run it: others can't look
// into root's home.
func (s *Server) copyBuilt(binary string) (string, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	place := s.path(filepath.Base(binary))
	return place, os.WriteFile(place, program, 0o755)
}

func configureNATSFirst(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	binary, err := s.copyBuilt(binary)
	if err != nil {
		return nil, err
	}
	return configureNATS(s, binary, []string{NATSNoTLS, fmt.Sprintf(
		"tls { cert_file: %q, key_file: %q, handshake_first: %s }", s.path("cert.pem"), s.path("key.pem"), settings[0])})
}

const natsConf = `
listen: "127.0.0.1:%d"
server_name: %q
authorization { user: %q, password: %q }
%s
%s
`

func configureNATS(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	tls := ""
	if !slices.Contains(settings, NATSNoTLS) {
		tls = fmt.Sprintf("tls { cert_file: %q, key_file: %q }", s.path("cert.pem"), s.path("key.pem"))
	}
	if err := s.write("nats.conf", fmt.Sprintf(natsConf, s.Ports["nats"], Host, User, Password, tls, lines(settings))); err != nil {
		return nil, err
	}
	return exec.Command(binary, "-c", s.path("nats.conf")), nil
}
