package realserver

import (
	"fmt"
	"os/exec"
	"os/user"
	"slices"
	"strings"
	"testing"
)

// Dovecot starts Dovecot with one mailbox, that of User. Settings are lines of
// dovecot.conf; with DovecotNoTLS it has no ports for TLS from the first byte.
func Dovecot(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, dovecot, settings)
}

// DovecotNoTLS is the setting that switches TLS off.
const DovecotNoTLS = "ssl = no"

var dovecot = program{
	name:      "Dovecot",
	binary:    "dovecot",
	schemes:   []string{"imap", "pop3", "lmtp", "imaps", "pop3s"},
	configure: configureDovecot,
}

// Version 2.4 renamed many settings.
const dovecot23 = `
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
mail_location = maildir:%[1]s/mail
passdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
userdb {
  driver = static
  args = uid=%[2]s gid=%[3]s home=%[1]s/home
}
`

const dovecot24 = `
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
ssl_server_cert_file = %[1]s/cert.pem
ssl_server_key_file = %[1]s/key.pem
mail_driver = maildir
mail_path = %[1]s/mail
passdb passwd-file {
  passwd_file_path = %[1]s/users
}
userdb static {
  fields {
    uid = %[2]s
    gid = %[3]s
    home = %[1]s/home
  }
}
`

const dovecotCommon = `
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = /dev/stderr
default_internal_user = %[2]s
default_internal_group = %[3]s
default_login_user = %[2]s
first_valid_uid = 1
listen = 127.0.0.1
ssl = yes
service anvil {
  chroot =
}
`

const dovecotListeners = `
protocols = imap pop3 lmtp
service imap-login {
  chroot =
  inet_listener imap {
    port = %[1]d
  }
  inet_listener imaps {
    port = %[4]d
    ssl = yes
  }
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = %[2]d
  }
  inet_listener pop3s {
    port = %[5]d
    ssl = yes
  }
}
service lmtp {
  inet_listener lmtp {
    port = %[3]d
  }
}
`

func configureDovecot(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	if slices.Contains(settings, DovecotNoTLS) {
		defer delete(s.Ports, "imaps") // Dovecot doesn't open them
		defer delete(s.Ports, "pop3s")
	}
	return s.dovecot(binary, fmt.Sprintf(dovecotListeners, s.Ports["imap"], s.Ports["pop3"], s.Ports["lmtp"], s.Ports["imaps"], s.Ports["pop3s"]), settings)
}

// dovecot writes the configuration of a server with these protocols and listeners, and
// returns the command that runs it.
func (s *Server) dovecot(binary, listeners string, settings []string) (*exec.Cmd, error) {
	version, err := exec.Command(binary, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("dovecot --version: %w", err)
	}
	conf := dovecot24
	if strings.HasPrefix(string(version), "2.3.") {
		conf = dovecot23
	}
	name, group, err := s.account()
	if err != nil {
		return nil, err
	}
	conf = fmt.Sprintf(conf+dovecotCommon, s.dir, name, group) + listeners
	if err := s.write("dovecot.conf", conf+lines(settings)); err != nil {
		return nil, err
	}
	if err := s.write("users", User+":{PLAIN}"+Password+"\n"); err != nil {
		return nil, err
	}
	return exec.Command(binary, "-F", "-c", s.path("dovecot.conf")), nil
}

// account returns the names of the server's user and group.
func (s *Server) account() (name, group string, err error) {
	u, err := user.Current()
	if s.user != "" {
		u, err = user.Lookup(s.user)
	}
	if err != nil {
		return "", "", err
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		return "", "", err
	}
	return u.Username, g.Name, nil
}
