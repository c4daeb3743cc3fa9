package realserver

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// ProFTPD starts ProFTPD, to which User can log in with Password. It wants the TLS session of the
// control connection to be resumed on data connections. Settings are lines of proftpd.conf.
func ProFTPD(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, proFTPD, settings)
}

var proFTPD = program{
	name:   "ProFTPD",
	binary: "proftpd",
	// Debian allows one FTP server at a time, so that install.sh only unpacks this one.
	dir:       "/opt/proftpd/usr/sbin",
	schemes:   []string{"ftp"},
	configure: configureProFTPD,
}

const proFTPDConf = `
ModulePath %[3]s
LoadModule mod_tls.c
ServerType standalone
ServerName ProFTPD
DefaultAddress 127.0.0.1
Port %[2]d
UseIPv6 off
UseReverseDNS off
User %[4]s
Group %[5]s
PidFile %[1]s/pid
ScoreboardFile %[1]s/scoreboard
DelayEngine off
WtmpLog none
AuthOrder mod_auth_file.c
AuthUserFile %[1]s/passwd
RequireValidShell off
AllowOverwrite on
TLSEngine on
TLSLog %[1]s/log
TLSRequired on
TLSRSACertificateFile %[1]s/cert.pem
TLSRSACertificateKeyFile %[1]s/key.pem
`

func configureProFTPD(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	conf := fmt.Sprintf(proFTPDConf, s.dir, s.Ports["ftp"], filepath.Join(filepath.Dir(binary), "../lib/proftpd"), "nobody", "nogroup")
	hash, err := exec.Command("openssl", "passwd", "-5", Password).Output()
	if err != nil {
		return nil, err
	}
	passwd := fmt.Sprintf("%s:%.63s:65534:65534::%s:/bin/false\n", User, hash, s.path("home"))
	for name, content := range map[string]string{
		"proftpd.conf":   conf + lines(settings),
		"passwd":         passwd,
		"home/pub/.keep": "",
	} {
		if err := s.write(name, content); err != nil {
			return nil, err
		}
	}
	return exec.Command(binary, "--nodaemon", "--config", s.path("proftpd.conf")), nil
}
