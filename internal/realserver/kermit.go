package realserver

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// Kermit starts C-Kermit as a Telnet server, which serves one connection at a time: before
// another one, kermitEnded has to be waited for. Settings are lines of its script.
func Kermit(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, kermit, settings)
}

// KermitNoTLS is the setting that switches TLS off.
const KermitNoTLS = "set telopt /server start-tls refused"

// kermitEnded is what the log says behind each connection. The first was made to see whether
// the server answers.
const kermitEnded = "the connection has ended\n"

var kermit = program{
	name:      "Kermit",
	binary:    "kermit",
	schemes:   []string{"telnet"},
	configure: configureKermit,
}

const kermitScript = `
set tcp address 127.0.0.1
set tcp reverse-dns-lookup off
set authentication tls rsa-cert-file %[2]s/cert.pem
set authentication tls rsa-key-file %[2]s/key.pem
set authentication tls verify no
set telopt /server start-tls required
%[3]s
set host * %[1]d /telnet
if success server
exit 0
`

// kermitLoop runs a process for each connection: one that goes on would not offer TLS again.
const kermitLoop = `while :; do "$0" "$1"; echo "%s"; done`

func configureKermit(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	if err := s.write("script", fmt.Sprintf(kermitScript, s.Ports["telnet"], s.dir, lines(settings))); err != nil {
		return nil, err
	}
	return exec.Command("sh", "-c", fmt.Sprintf(kermitLoop, strings.TrimSpace(kermitEnded)), binary, s.path("script")), nil
}
