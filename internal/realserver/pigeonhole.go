package realserver

import (
	"fmt"
	"os/exec"
	"testing"
)

// Pigeonhole starts Dovecot's ManageSieve server, which User can log in to with Password.
// Settings are lines of dovecot.conf; DovecotNoTLS is one.
func Pigeonhole(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, pigeonhole, settings)
}

var pigeonhole = program{
	name:      "Pigeonhole",
	binary:    "managesieve-login",
	dir:       "/usr/lib*/dovecot",
	schemes:   []string{"sieve"},
	configure: configurePigeonhole,
}

const pigeonholeConf = `
protocols = sieve
service managesieve-login {
  chroot =
  inet_listener sieve {
    port = %[1]d
  }
}
`

func configurePigeonhole(s *Server, _ string, settings []string) (*exec.Cmd, error) {
	binary, err := lookPath(dovecot.binary, dovecot.dir)
	if err != nil {
		return nil, err
	}
	return s.dovecot(binary, fmt.Sprintf(pigeonholeConf, s.Ports["sieve"]), settings)
}
