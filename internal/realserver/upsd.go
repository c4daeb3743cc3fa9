package realserver

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// Upsd starts the server of Network UPS Tools with one device, UPSName, whose driver does not
// run. UPSUser can log in with Password. Settings are lines of upsd.conf; with UpsdNoTLS it
// has no certificate.
func Upsd(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, upsd, settings)
}

// What Upsd knows.
const (
	UPSName  = "office"
	UPSTitle = "the one below the desk"
	UPSUser  = "monitor"
)

// UpsdNoTLS is the setting that switches TLS off.
const UpsdNoTLS = "# no TLS"

var upsd = program{
	name:      "NUT",
	binary:    "upsd",
	schemes:   []string{"nut"},
	configure: configureUpsd,
}

func configureUpsd(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	// Debian's command is a script that needs a system's configuration.
	if real := "/lib/nut/upsd"; isFile(real) {
		binary = real
	}
	certificate := ""
	if !slices.Contains(settings, UpsdNoTLS) {
		var err error
		if certificate, err = s.upsdCertificate(binary); err != nil {
			return nil, err
		}
	}
	for name, content := range map[string]string{
		"ups.conf":   "[" + UPSName + "]\ndriver = dummy-ups\nport = none\ndesc = \"" + UPSTitle + "\"\n",
		"upsd.users": "[" + UPSUser + "]\npassword = " + Password + "\nupsmon secondary\n",
		"upsd.conf": fmt.Sprintf("LISTEN 127.0.0.1 %d\nSTATEPATH %s\nDISABLE_WEAK_SSL true\n%s\n%s",
			s.Ports["nut"], s.dir, certificate, lines(settings)),
	} {
		if err := s.write(name, content); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(binary, "-F")
	cmd.Env = append(os.Environ(), "NUT_CONFPATH="+s.dir, "NUT_STATEPATH="+s.dir)
	return cmd, nil
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// upsdCertificate makes the certificate known to upsd and returns the lines of its
// configuration. Built with NSS, as Debian's is, it takes it from a database alone.
func (s *Server) upsdCertificate(binary string) (string, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	if !bytes.Contains(program, []byte("libnss3.so")) {
		cert, err := os.ReadFile(s.path("cert.pem"))
		if err != nil {
			return "", err
		}
		key, err := os.ReadFile(s.path("key.pem"))
		if err != nil {
			return "", err
		}
		return "CERTFILE " + s.path("both.pem"), s.write("both.pem", string(cert)+string(key))
	}
	if err := s.write("nss/password", Password+"\n"); err != nil {
		return "", err
	}
	const name = "server"
	db := "sql:" + s.path("nss")
	for _, command := range [][]string{
		{"certutil", "-N", "-d", db, "-f", s.path("nss/password")},
		{"openssl", "pkcs12", "-export", "-in", s.path("cert.pem"), "-inkey", s.path("key.pem"), "-name", name, "-passout", "pass:" + Password, "-out", s.path("both.p12")},
		{"pk12util", "-i", s.path("both.p12"), "-d", db, "-k", s.path("nss/password"), "-W", Password},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w: %s", command[0], err, out)
		}
	}
	return fmt.Sprintf("CERTPATH %s\nCERTIDENT %q %q", s.path("nss"), name, Password), nil
}
