package realserver

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Slapd starts OpenLDAP's server with a directory, dc=example,dc=org, that is empty but for
// SlapdAdmin, who can log in with Password. Settings are lines of slapd.conf; with SlapdNoTLS
// it has no port for TLS from the first byte.
func Slapd(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, slapd, settings)
}

// SlapdAdmin is the name of the directory's administrator.
const SlapdAdmin = "cn=admin,dc=example,dc=org"

// SlapdNoTLS is the setting that switches TLS off.
const SlapdNoTLS = "# no TLS"

var slapd = program{
	name:      "OpenLDAP",
	binary:    "slapd",
	schemes:   []string{"ldap", "ldaps"},
	configure: configureSlapd,
}

const slapdConf = `
pidfile %[1]s/pid
argsfile %[1]s/args
include /etc/ldap/schema/core.schema
%[3]s
%[2]s
database ldif
suffix dc=example,dc=org
directory %[1]s/data
rootdn ` + SlapdAdmin + `
rootpw ` + Password + `
`

func configureSlapd(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	urls := []string{"ldap://" + s.Addr("ldap"), "ldaps://" + s.Addr("ldaps")}
	certificate := fmt.Sprintf("TLSCertificateFile %[1]s/cert.pem\nTLSCertificateKeyFile %[1]s/key.pem", s.dir)
	if slices.Contains(settings, SlapdNoTLS) {
		urls, certificate = urls[:1], ""
		delete(s.Ports, "ldaps")
	}
	if err := s.write("slapd.conf", fmt.Sprintf(slapdConf, s.dir, lines(settings), certificate)); err != nil {
		return nil, err
	}
	if err := s.write("data/.keep", ""); err != nil {
		return nil, err
	}
	// With -d it stays in the foreground.
	return exec.Command(binary, "-d", "stats", "-f", s.path("slapd.conf"), "-h", strings.Join(urls, " ")), nil
}
