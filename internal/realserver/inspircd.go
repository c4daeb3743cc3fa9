package realserver

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"
)

// InspIRCd starts InspIRCd as the server of a network of its own. Settings are tags of
// inspircd.conf; with InspIRCdNoTLS it has no TLS and no port for TLS from the first byte.
func InspIRCd(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, inspircd, settings)
}

// InspIRCdNoTLS is the setting that switches TLS off.
const InspIRCdNoTLS = "# no TLS"

var inspircd = program{
	name:      "InspIRCd",
	binary:    "inspircd",
	schemes:   []string{"irc", "ircs"},
	configure: configureInspIRCd,
}

const inspircdConf = `
<config format="xml">
<server name="%[1]s" description="test" network="Example" id="1AA">
<admin name="test" nick="test" email="test@example.org">
<connect name="main" allow="*" resolvehostnames="no" localmax="50" globalmax="50">
<pid file="%[2]s/pid">
<bind address="127.0.0.1" port="%[3]d" type="clients">
<module name="cap">
`

const inspircdTLS = `
<module name="ssl_gnutls">
<sslprofile name="Clients" provider="gnutls" certfile="%[1]s/cert.pem" keyfile="%[1]s/key.pem">
<bind address="127.0.0.1" port="%[2]d" type="clients" sslprofile="Clients">
<module name="starttls">
<starttls provider="Clients">
`

func configureInspIRCd(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	conf := fmt.Sprintf(inspircdConf, Host, s.dir, s.Ports["irc"])
	if slices.Contains(settings, InspIRCdNoTLS) {
		delete(s.Ports, "ircs")
	} else {
		conf += fmt.Sprintf(inspircdTLS, s.dir, s.Ports["ircs"])
	}
	if err := s.write("inspircd.conf", conf+lines(settings)); err != nil {
		return nil, err
	}
	return exec.Command(binary, "--nofork", "--nolog", "--config", s.path("inspircd.conf")), nil
}
