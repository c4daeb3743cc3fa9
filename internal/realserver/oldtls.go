package realserver

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"os/exec"
	"strconv"
	"testing"

	"tlsup/internal/testca"
)

// OpenSSL starts a web server of openssl s_server's, with an RSA key. Settings are its options.
func OpenSSL(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, openssl, settings)
}

var openssl = program{
	name:    "OpenSSL",
	binary:  "openssl",
	schemes: []string{"tls"},
	ready:   "ACCEPT",
	configure: func(s *Server, binary string, settings []string) (*exec.Cmd, error) {
		args := []string{"s_server", "-accept", s.Addr("tls"), "-cert", s.path("cert.pem"), "-key", s.path("key.pem"), "-www"}
		return exec.Command(binary, append(args, settings...)...), s.useRSA()
	},
}

// GnuTLS starts a web server of gnutls-serv's, with an RSA key. The setting is its priority string.
func GnuTLS(t testing.TB, priority string) *Server {
	t.Helper()
	return start(t, gnutls, []string{priority})
}

var gnutls = program{
	name:    "GnuTLS",
	binary:  "gnutls-serv",
	schemes: []string{"tls"},
	configure: func(s *Server, binary string, settings []string) (*exec.Cmd, error) {
		return exec.Command(binary, "--http", "--port", strconv.Itoa(s.Ports["tls"]),
			"--x509certfile", s.path("cert.pem"), "--x509keyfile", s.path("key.pem"), "--priority", settings[0]), s.useRSA()
	},
}

// useRSA gives the server a certificate with an RSA key in place of the one with ECDSA.
func (s *Server) useRSA() error {
	own, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	pair, err := s.CA.IssueFor(own, []string{Host, Domain, "localhost", "127.0.0.1"}, func(c *x509.Certificate) {
		c.KeyUsage |= x509.KeyUsageKeyEncipherment // the key exchange by RSA
	})
	if err != nil {
		return err
	}
	cert, key, err := testca.EncodePEM(pair)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"cert.pem": cert, "key.pem": key} {
		if err := s.write(name, string(content)); err != nil {
			return err
		}
	}
	return nil
}
