package realserver

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// Shishi starts the server of Kerberos of that name, which knows nobody. Settings are options of
// its command line; with ShishiNoTLS it has no certificate. Only one can run on a machine.
func Shishi(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := start(t, shishi, settings)
	t.Cleanup(func() { go s.wake("kerberos") })
	return s
}

// wake connects until the server has ended: one that is asked to end just before it waits for
// connections only notices when there is one.
func (s *Server) wake(scheme string) {
	for {
		select {
		case <-s.exited:
			return
		case <-time.After(100 * time.Millisecond):
			if conn, err := net.Dial("tcp", s.Addr(scheme)); err == nil {
				conn.Close()
			}
		}
	}
}

// ShishiNoTLS is the setting that switches TLS off.
const ShishiNoTLS = "--no-tls"

// KerberosRealm is what the servers of Kerberos serve.
const KerberosRealm = "EXAMPLE.ORG"

var shishi = program{
	name:      "Shishi",
	binary:    "shishid",
	schemes:   []string{"kerberos"},
	root:      true,
	configure: configureShishi,
}

// configureShishi runs it on the port of Kerberos: it does not look at the one that it is told.
func configureShishi(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	s.Ports["kerberos"] = 88
	if !slices.Contains(settings, ShishiNoTLS) {
		settings = append([]string{"--x509certfile=" + s.path("cert.pem"), "--x509keyfile=" + s.path("key.pem")}, settings...)
	}
	if err := s.write("shishi.conf", "default-realm "+KerberosRealm+"\n"); err != nil {
		return nil, err
	}
	args := append([]string{"--configuration-file=" + s.path("shishi.conf"), "--listen=IPv4:127.0.0.1:kerberos/tcp"}, settings...)
	return exec.Command(binary, args...), nil
}

// MITKerberos starts MIT's server of Kerberos, which knows nobody either, and no TLS.
func MITKerberos(t testing.TB) *Server {
	t.Helper()
	return start(t, mitKerberos, nil)
}

var mitKerberos = program{
	name:      "MIT Kerberos",
	binary:    "krb5kdc",
	schemes:   []string{"kerberos"},
	configure: configureMITKerberos,
}

const mitKDCConf = `
[kdcdefaults]
  kdc_listen = ""
  kdc_tcp_listen = 127.0.0.1:%[2]d
[realms]
  ` + KerberosRealm + ` = {
    database_name = %[1]s/principal
    key_stash_file = %[1]s/stash
  }
`

func configureMITKerberos(s *Server, binary string, _ []string) (*exec.Cmd, error) {
	if err := s.write("kdc.conf", fmt.Sprintf(mitKDCConf, s.dir, s.Ports["kerberos"])); err != nil {
		return nil, err
	}
	if err := s.write("krb5.conf", kerberosClientConf(s.Addr("kerberos"))); err != nil {
		return nil, err
	}
	create, err := lookPath("kdb5_util", "")
	if err != nil {
		return nil, err
	}
	var commands []*exec.Cmd
	for _, args := range [][]string{{create, "create", "-s", "-P", Password}, {binary, "-n"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(cmd.Environ(), "KRB5_CONFIG="+s.path("krb5.conf"), "KRB5_KDC_PROFILE="+s.path("kdc.conf"))
		commands = append(commands, cmd)
	}
	if out, err := commands[0].CombinedOutput(); err != nil {
		return nil, fmt.Errorf("kdb5_util: %w: %s", err, out)
	}
	return commands[1], nil
}

// kerberosClientConf configures MIT's clients to ask a server at an address by TCP.
func kerberosClientConf(addr string) string {
	return fmt.Sprintf("[libdefaults]\n default_realm = %[1]s\n dns_lookup_kdc = false\n udp_preference_limit = 1\n[realms]\n %[1]s = {\n  kdc = %[2]s\n }\n", KerberosRealm, addr)
}
