package realserver

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"
)

// Doveadm starts Dovecot with one mailbox, that of User, for its administration alone, with
// Password. Settings are lines of dovecot.conf; with DoveadmNoPassword it takes no commands.
func Doveadm(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, doveadm, settings)
}

// DoveadmNoPassword is the setting that leaves the password out.
const DoveadmNoPassword = "# no password"

var doveadm = program{
	name:      "Dovecot",
	binary:    "dovecot",
	schemes:   []string{"doveadm"},
	configure: configureDoveadm,
}

const doveadmListeners = `
protocols =
service doveadm {
  inet_listener doveadm {
    port = %d
  }
}
`

func configureDoveadm(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	if !slices.Contains(settings, DoveadmNoPassword) {
		settings = append([]string{"doveadm_password = " + Password}, settings...)
	}
	return s.dovecot(binary, fmt.Sprintf(doveadmListeners, s.Ports["doveadm"]), settings)
}
