package realserver

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
)

// Quassel starts Quassel's core, with a database that knows nobody. Settings are its options;
// with QuasselNoTLS it has no certificate.
func Quassel(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, quassel, settings)
}

// QuasselNoTLS is the setting that switches TLS off.
const QuasselNoTLS = "no TLS"

var quassel = program{
	name:      "Quassel",
	binary:    "quasselcore",
	schemes:   []string{"quassel"},
	configure: configureQuassel,
}

func configureQuassel(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	args := []string{
		"--configdir", s.path("core"), "--listen", "127.0.0.1", "--port", strconv.Itoa(s.Ports["quassel"]),
		"--config-from-environment", // without a configuration it takes one connection at a time
	}
	if !slices.Contains(settings, QuasselNoTLS) {
		args = append(args, "--ssl-cert", s.path("cert.pem"), "--ssl-key", s.path("key.pem"))
	}
	for _, setting := range settings {
		if setting != QuasselNoTLS {
			args = append(args, setting)
		}
	}
	if err := os.MkdirAll(s.path("core"), 0o755); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "DB_BACKEND=SQLite", "AUTH_AUTHENTICATOR=Database", "HOME="+s.dir)
	return cmd, nil
}
