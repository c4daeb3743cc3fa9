package realserver

import (
	"fmt"
	"os/exec"
	"testing"
)

// Prosody starts Prosody as the XMPP server of Domain. Settings are lines of the global
// part of prosody.cfg.lua.
func Prosody(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, prosody, settings)
}

var prosody = program{
	name:      "Prosody",
	binary:    "prosody",
	schemes:   []string{"xmpp", "xmpp-server", "xmpps", "xmpps-server"},
	configure: configureProsody,
}

const prosodyConf = `
daemonize = false
pidfile = "%[1]s/pid"
data_path = "%[1]s/data"
certificates = "%[1]s"
log = { { levels = { min = "info" }, to = "console" } }
interfaces = { "127.0.0.1" }
local_interfaces = { "127.0.0.1" }
use_ipv6 = false
c2s_ports = { %[2]d }
s2s_ports = { %[3]d }
c2s_direct_tls_ports = { %[4]d }
s2s_direct_tls_ports = { %[5]d }
modules_enabled = { "tls", "saslauth", "dialback", "disco" }
authentication = "internal_plain"
storage = "memory"
c2s_require_encryption = true
s2s_require_encryption = true
ssl = { certificate = "%[1]s/cert.pem", key = "%[1]s/key.pem" }
`

func configureProsody(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	conf := fmt.Sprintf(prosodyConf, s.dir, s.Ports["xmpp"], s.Ports["xmpp-server"], s.Ports["xmpps"], s.Ports["xmpps-server"])
	conf += lines(settings) + `VirtualHost "` + Domain + `"` + "\n"
	if err := s.write("prosody.cfg.lua", conf); err != nil {
		return nil, err
	}
	// An account, for those who set storage to "internal".
	if err := s.write("data/example%2eorg/accounts/user.dat", `return { ["password"] = "`+Password+`" };`); err != nil {
		return nil, err
	}
	return exec.Command(binary, "--config", s.path("prosody.cfg.lua"), "-F"), nil
}
