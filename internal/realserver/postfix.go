package realserver

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Postfix starts Postfix as an SMTP server that takes mail for Domain and throws it
// away. It has to be root's. Settings are lines of main.cf.
func Postfix(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, postfix, settings)
}

var postfix = program{
	name:      "Postfix",
	binary:    "postfix",
	schemes:   []string{"smtp", "submission", "smtps"},
	root:      true,
	configure: configurePostfix,
}

const postfixMain = `
compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = /dev/stdout
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = ` + Host + `
mydestination = ` + Domain + `
local_transport = discard
local_recipient_maps =
alias_maps =
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_chain_files = %[1]s/key.pem, %[1]s/cert.pem
`

const postfixMaster = `
127.0.0.1:%d inet n - n - - smtpd
127.0.0.1:%d inet n - n - - smtpd -o smtpd_tls_auth_only=yes
127.0.0.1:%d inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
discard unix - - n - - discard
error unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
`

func configurePostfix(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	err := s.write("config/main.cf", override(fmt.Sprintf(postfixMain, s.dir), settings))
	if err != nil {
		return nil, err
	}
	err = s.write("config/master.cf", fmt.Sprintf(postfixMaster, s.Ports["smtp"], s.Ports["submission"], s.Ports["smtps"]))
	if err != nil {
		return nil, err
	}
	if err := s.makePostfixDirs(); err != nil {
		return nil, err
	}
	config := s.path("config")
	if out, err := exec.Command(binary, "-c", config, "check").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("postfix check: %w: %s", err, out)
	}
	daemons, err := exec.Command(filepath.Join(filepath.Dir(binary), "postconf"), "-c", config, "-h", "daemon_directory").Output()
	if err != nil {
		return nil, fmt.Errorf("postconf: %w", err)
	}
	// What "postfix start-fg" runs, without a shell between us and it.
	return exec.Command(filepath.Join(strings.TrimSpace(string(daemons)), "master"), "-s", "-c", config), nil
}

// override puts settings in place of those of the same name. Were both there, each of
// Postfix's processes would log a warning, and its logger wait for itself to read that.
func override(conf string, settings []string) string {
	name := func(line string) string {
		name, _, _ := strings.Cut(line, "=")
		return strings.TrimSpace(name)
	}
	for _, setting := range settings {
		for line := range strings.Lines(conf) {
			if name(line) == name(setting) {
				conf = strings.Replace(conf, line, "", 1)
			}
		}
	}
	return conf + lines(settings)
}

// makePostfixDirs makes the directories that the check does not, with the owners that
// it insists on.
func (s *Server) makePostfixDirs() error {
	for _, name := range []string{"queue", "data"} {
		if err := os.Mkdir(s.path(name), 0o755); err != nil {
			return err
		}
	}
	u, err := user.Lookup("postfix")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	return os.Chown(s.path("data"), uid, -1)
}
