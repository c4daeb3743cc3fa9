package realserver

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// CUPS starts the server of CUPS, without a printer. It serves localhost alone, and tells TLS
// from requests in the clear by the first byte, on each port. Settings are lines of
// cupsd.conf.
func CUPS(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, cups, settings)
}

var cups = program{
	name:      "CUPS",
	binary:    "cupsd",
	schemes:   []string{"http", "https", "ipp", "ipps"},
	configure: configureCUPS,
}

const cupsFiles = `
ServerRoot %[1]s
StateDir %[1]s/run
CacheDir %[1]s/cache
RequestRoot %[1]s/spool
TempDir %[1]s/tmp
ServerKeychain %[1]s/ssl
CreateSelfSignedCerts no
ErrorLog stderr
AccessLog %[1]s/access
PageLog %[1]s/page
`

const cupsConf = `
ServerName localhost
LogLevel debug
Browsing Off
DefaultEncryption Required
<Location />
Order allow,deny
Allow all
</Location>
`

func configureCUPS(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	conf := cupsConf
	for _, scheme := range s.program.schemes {
		conf += fmt.Sprintf("Listen 127.0.0.1:%d\n", s.Ports[scheme])
	}
	for name, content := range map[string]string{
		"cupsd.conf":      conf + lines(settings),
		"cups-files.conf": fmt.Sprintf(cupsFiles, s.dir),
		"run/.keep":       "",
		"cache/.keep":     "",
		"spool/.keep":     "",
		"tmp/.keep":       "",
	} {
		if err := s.write(name, content); err != nil {
			return nil, err
		}
	}
	// It picks the certificate by the name that the client asks for, or else by its own.
	for from, to := range map[string]string{"cert.pem": "crt", "key.pem": "key"} {
		content, err := os.ReadFile(s.path(from))
		if err != nil {
			return nil, err
		}
		if err := s.write("ssl/localhost."+to, string(content)); err != nil {
			return nil, err
		}
	}
	return exec.Command(binary, "-f", "-c", s.path("cupsd.conf"), "-s", s.path("cups-files.conf")), nil
}
