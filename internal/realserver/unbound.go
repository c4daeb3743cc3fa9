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
	return start(t, unbound, settings)
}

var unbound = program{
	name:      "Unbound",
	binary:    "unbound",
	schemes:   []string{"dot"},
	configure: configureUnbound,
}

const unboundConf = `
server:
  interface: 127.0.0.1@%[1]d
  tls-port: %[1]d
  tls-service-pem: %[2]s/cert.pem
  tls-service-key: %[2]s/key.pem
  directory: %[2]s
  pidfile: ""
  username: ""
  chroot: ""
  use-syslog: no
  logfile: ""
  module-config: iterator
  do-not-query-localhost: yes
  local-zone: example.org. static
  local-data: "` + Host + `. A 192.0.2.25"
  %[3]s
remote-control:
  control-enable: no
`

func configureUnbound(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	err := s.write("unbound.conf", fmt.Sprintf(unboundConf, s.Ports["dot"], s.dir, lines(settings)))
	return exec.Command(binary, "-d", "-c", s.path("unbound.conf")), err
}
