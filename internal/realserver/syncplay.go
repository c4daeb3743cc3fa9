package realserver

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
)

// Syncplay starts the server of Syncplay. Settings are its options; with SyncplayNoTLS it has
// no certificate.
func Syncplay(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, syncplay, settings)
}

// SyncplayNoTLS is the setting that switches TLS off.
const SyncplayNoTLS = "no TLS"

var syncplay = program{
	name:      "Syncplay",
	binary:    "syncplay-server",
	schemes:   []string{"syncplay"},
	configure: configureSyncplay,
}

// syncplayMain is what the command does, but for listening on loopback alone: no option says so.
const syncplayMain = `
from functools import partial
from syncplay import ep_server
ep_server.TCP4ServerEndpoint = partial(ep_server.TCP4ServerEndpoint, interface="127.0.0.1")
ep_server.TCP6ServerEndpoint = partial(ep_server.TCP6ServerEndpoint, interface="::1")
ep_server.main()
`

func configureSyncplay(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	// It wants the files by the names that Let's Encrypt's client gives them.
	for name, from := range map[string]string{"tls/cert.pem": "cert.pem", "tls/chain.pem": "ca.pem", "tls/privkey.pem": "key.pem"} {
		data, err := os.ReadFile(s.path(from))
		if err != nil {
			return nil, err
		}
		if err := s.write(name, string(data)); err != nil {
			return nil, err
		}
	}
	args := []string{"-u", "-c", syncplayMain, "--port", strconv.Itoa(s.Ports["syncplay"])}
	if !slices.Contains(settings, SyncplayNoTLS) {
		args = append(args, "--tls", s.path("tls"))
	}
	for _, setting := range settings {
		if setting != SyncplayNoTLS {
			args = append(args, setting)
		}
	}
	return exec.Command("/usr/bin/python3", args...), nil
}
