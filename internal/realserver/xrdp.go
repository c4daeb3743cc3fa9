package realserver

import (
	"fmt"
	"os/exec"
	"testing"
)

// Xrdp starts xrdp, which shows its own window for the login. Settings are lines of the
// section Globals in xrdp.ini, and have to name the security_layer.
func Xrdp(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, xrdp, settings)
}

var xrdp = program{
	name:      "xrdp",
	binary:    "xrdp",
	schemes:   []string{"rdp"},
	configure: configureXrdp,
}

const xrdpConf = `[Globals]
ini_version=1
fork=true
port=tcp://%s
certificate=%[2]s/cert.pem
key_file=%[2]s/key.pem
ssl_protocols=TLSv1.2, TLSv1.3
%[3]s
[Logging]
LogFile=%[2]s/xrdp.log
LogLevel=INFO
EnableSyslog=false
EnableConsole=true
ConsoleLevel=INFO
[Channels]
`

func configureXrdp(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	if err := s.write("xrdp.log", ""); err != nil {
		return nil, err
	}
	if err := s.write("xrdp.ini", fmt.Sprintf(xrdpConf, s.Addr("rdp"), s.dir, lines(settings))); err != nil {
		return nil, err
	}
	return exec.Command(binary, "--nodaemon", "--config", s.path("xrdp.ini")), nil
}
