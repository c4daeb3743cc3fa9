package realserver

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// Munin starts a node of Munin with one plugin, figure, which tells five. Settings are lines of munin-node.conf; with
// MuninNoKey it has no certificate.
func Munin(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, munin, settings)
}

// MuninNoKey is the setting that leaves certificate and key out.
const MuninNoKey = "# no key"

var munin = program{
	name:      "Munin",
	binary:    "munin-node",
	schemes:   []string{"munin"},
	configure: configureMunin,
}

const muninConf = `
log_file %[1]s/node.log
pid_file %[1]s/node.pid
background 0
setsid 0
user %[2]s
group %[3]s
host_name ` + Host + `
allow ^127\.0\.0\.1$
host 127.0.0.1
port %[4]d
tls_ca_certificate %[1]s/ca.pem
tls_private_key %[1]s/%[5]s
tls_certificate %[1]s/cert.pem
`

// muninDefaults is a Perl module in front of the one of that name.
const muninDefaults = `
do "/usr/share/perl5/Munin/Common/Defaults.pm" or die;
$Munin::Common::Defaults::MUNIN_CONFDIR = "%s";
1;
`

const muninPlugin = `#!/bin/sh
if [ "$1" = config ]; then echo figure.label figure; else echo figure.value 5; fi
`

func configureMunin(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	user, group, err := s.account()
	if err != nil {
		return nil, err
	}
	key := "key.pem"
	if slices.Contains(settings, MuninNoKey) {
		key = "none.pem"
	}
	// Its own plugins are only for root to look at.
	for name, content := range map[string]string{
		"Munin/Common/Defaults.pm": fmt.Sprintf(muninDefaults, s.dir), "plugins/figure": muninPlugin, "plugin-conf.d/figure": "",
	} {
		if err := s.write(name, content); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(s.path("plugins/figure"), 0o755); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(muninConf, s.dir, user, group, s.Ports["munin"], key)
	return exec.Command("perl", "-T", "-I"+s.dir, binary, "--config", s.path("munin-node.conf")), s.write("munin-node.conf", conf+lines(settings))
}
