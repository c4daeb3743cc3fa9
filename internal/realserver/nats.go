package realserver

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"
)

// NATS starts the server of NATS, to which User can connect with Password. Settings are lines
// of its configuration; with NATSNoTLS it has no certificate.
func NATS(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, nats, settings)
}

// NATSNoTLS is the setting that switches TLS off.
const NATSNoTLS = "# no TLS"

var nats = program{
	name:      "NATS",
	binary:    "nats-server",
	schemes:   []string{"nats"},
	configure: configureNATS,
}

const natsConf = `
listen: "127.0.0.1:%d"
server_name: %q
authorization { user: %q, password: %q }
%s
%s
`

func configureNATS(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	tls := ""
	if !slices.Contains(settings, NATSNoTLS) {
		tls = fmt.Sprintf("tls { cert_file: %q, key_file: %q }", s.path("cert.pem"), s.path("key.pem"))
	}
	if err := s.write("nats.conf", fmt.Sprintf(natsConf, s.Ports["nats"], Host, User, Password, tls, lines(settings))); err != nil {
		return nil, err
	}
	return exec.Command(binary, "-c", s.path("nats.conf")), nil
}
