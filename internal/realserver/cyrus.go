package realserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Cyrus starts the servers of Cyrus IMAP, without a mailbox. CyrusUser may do everything, with
// Password. Settings are lines of imapd.conf; with CyrusNoTLS they have no certificate.
func Cyrus(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, cyrus, settings)
}

// CyrusUser is the administrator.
const CyrusUser = "cyrus"

// CyrusNoTLS is the setting that switches TLS off; with CyrusNoKey it is offered and can't be had.
const (
	CyrusNoTLS = "# no TLS"
	CyrusNoKey = "# no key"
)

// Most of it can't be installed beside Dovecot and INN: install.sh unpacks it.
var cyrus = program{
	name:      "Cyrus",
	binary:    filepath.Join(builtDir(), "cyrus", cyrusDir, "sync_server"),
	schemes:   []string{"csync", "mupdate", "imap", "pop3", "lmtp", "nntp", "sieve"},
	configure: configureCyrus,
}

// cyrusDir is where Debian has its programs.
const cyrusDir = "/usr/lib/cyrus/bin"

const cyrusConf = `
configdirectory: %[1]s/cyrus
partition-default: %[1]s/mail
defaultpartition: default
sievedir: %[1]s/sieve
proc_path: %[1]s/proc
mboxname_lockpath: %[1]s/lock
servername: ` + Host + `
cyrus_user: %[2]s
cyrus_group: %[3]s
admins: ` + CyrusUser + `
allowplaintext: no
sasl_mech_list: PLAIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: %[1]s/sasldb2
`

const cyrusTLS = `
tls_server_cert: %[1]s/cert.pem
tls_server_key: %[1]s/%[2]s
`

func configureCyrus(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	user, group, err := s.account()
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(cyrusConf, s.dir, user, group)
	switch {
	case slices.Contains(settings, CyrusNoKey):
		conf += fmt.Sprintf(cyrusTLS, s.dir, "ca.pem")
	case !slices.Contains(settings, CyrusNoTLS):
		conf += fmt.Sprintf(cyrusTLS, s.dir, "key.pem")
	}
	services, err := s.cyrusServices(filepath.Dir(binary))
	if err != nil {
		return nil, err
	}
	conf += lines(settings)
	start := "START {\n recover cmd=\"" + s.cyrusCommand(cyrusDir, "ctl_cyrusdb", "imapd.conf") + " -r\"\n}\n"
	for name, content := range map[string]string{
		"imapd.conf": conf,
		// Whoever reads that tells the master of every mailbox.
		"mupdate.conf":         conf + "mupdate_server: " + Host + "\n",
		"cyrus.conf":           start + "SERVICES {\n" + services + "}\nEVENTS {\n}\n",
		"cyrus/db/.keep":       "",
		"cyrus/socket/.keep":   "",
		"cyrus/ptclient/.keep": "",
		"mail/.keep":           "",
		"sieve/.keep":          "",
		"proc/.keep":           "",
		"lock/.keep":           "",
	} {
		if err := s.write(name, content); err != nil {
			return nil, err
		}
	}
	saslpasswd, err := lookPath("saslpasswd2", "")
	if err != nil {
		return nil, err
	}
	add := exec.Command(saslpasswd, "-p", "-c", "-f", s.path("sasldb2"), "-u", Host, CyrusUser)
	add.Stdin = strings.NewReader(Password + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("saslpasswd2: %w: %s", err, out)
	}
	return exec.Command(filepath.Join(cyrusDir, "master"), "-D", "-C", s.path("imapd.conf"), "-M", s.path("cyrus.conf"), "-p", s.path("master.pid")), nil
}

// cyrusServices returns the lines of cyrus.conf that start what is listened for. The programs
// that are in dir are copied: others can't look into root's home.
func (s *Server) cyrusServices(dir string) (string, error) {
	var services strings.Builder
	for _, service := range []struct{ scheme, program, conf string }{
		{"csync", "sync_server", "imapd.conf"}, {"mupdate", "mupdate", "mupdate.conf -m"}, {"imap", "imapd", "imapd.conf"},
		{"pop3", "pop3d", "imapd.conf"}, {"nntp", "nntpd", "imapd.conf"}, {"lmtp", "lmtpd", "imapd.conf"}, {"sieve", "timsieved", "imapd.conf"},
	} {
		from := cyrusDir
		if program, err := os.ReadFile(filepath.Join(dir, service.program)); err == nil {
			from = s.dir
			if err := os.WriteFile(s.path(service.program), program, 0o755); err != nil {
				return "", err
			}
		}
		fmt.Fprintf(&services, " %s cmd=\"%s\" listen=\"127.0.0.1:%d\" proto=\"tcp4\" prefork=1\n",
			service.scheme, s.cyrusCommand(from, service.program, service.conf), s.Ports[service.scheme])
	}
	return services.String(), nil
}

// cyrusCommand returns how a program in a directory is called, with a configuration.
func (s *Server) cyrusCommand(dir, program, conf string) string {
	return filepath.Join(dir, program) + " -C " + s.path(conf)
}
