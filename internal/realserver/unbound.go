package realserver

import (
	"fmt"
	"os/exec"
	"testing"
)

// Unbound starts a DNS server that knows the address of Host, and asks nobody. Settings are
// lines of its configuration.
func Unbound(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, unbound, append([]string{
		"module-config: iterator",
		"do-not-query-localhost: yes",
		"local-zone: example.org. static",
		`local-data: "` + Host + `. A 192.0.2.25"`,
	}, settings...))
}

// ValidatingUnbound starts a DNS server that asks the authoritative one about the zones, and validates
// what it says by the anchor, a DS record. Settings are lines of its configuration, in the part on the
// server.
func ValidatingUnbound(t testing.TB, authority *Server, anchor string, zones []Zone, settings ...string) *Server {
	t.Helper()
	settings = append([]string{
		`module-config: "validator iterator"`,
		"do-not-query-localhost: no",
		"qname-minimisation: no",
		`trust-anchor: "` + anchor + `"`,
	}, settings...)
	for _, z := range zones {
		settings = append(settings, "stub-zone:", "name: "+z.Origin, fmt.Sprintf("stub-addr: 127.0.0.1@%d", authority.Ports["dns"]))
	}
	return start(t, unbound, settings)
}

var unbound = program{
	name:      "Unbound",
	binary:    "unbound",
	schemes:   []string{"dot", "dns"},
	configure: configureUnbound,
}

const unboundConf = `
server:
  interface: 127.0.0.1@%[1]d
  interface: 127.0.0.1@%[2]d
  tls-port: %[1]d
  tls-service-pem: %[3]s/cert.pem
  tls-service-key: %[3]s/key.pem
  directory: %[3]s
  pidfile: ""
  username: ""
  chroot: ""
  use-syslog: no
  logfile: ""
  num-threads: 1
  %[4]s
remote-control:
  control-enable: no
`

func configureUnbound(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	err := s.write("unbound.conf", fmt.Sprintf(unboundConf, s.Ports["dot"], s.Ports["dns"], s.dir, lines(settings)))
	return exec.Command(binary, "-d", "-c", s.path("unbound.conf")), err
}
