package realserver

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"os/exec"

	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"tlsup/internal/testca"
)

// OpenSSL starts a web server of openssl s_server's, with an RSA key. Settings are its options, in
// which $DIR is the directory with the files of writeTLS.
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
		return exec.Command(binary, append(args, s.inDir(settings)...)...), s.writeTLS()
	},
}

// GnuTLS starts a web server of gnutls-serv's, with an RSA key. Settings are a priority string and
// options, in which $DIR is the directory with the files of writeTLS.
func GnuTLS(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, gnutls, settings)
}

var gnutls = program{
	name:    "GnuTLS",
	binary:  "gnutls-serv",
	schemes: []string{"tls"},
	configure: func(s *Server, binary string, settings []string) (*exec.Cmd, error) {
		args := []string{"--http", "--port", strconv.Itoa(s.Ports["tls"]), "--x509certfile", s.path("cert.pem"), "--x509keyfile", s.path("key.pem"), "--priority"}
		return exec.Command(binary, append(args, s.inDir(settings)...)...), s.writeTLS()
	},
}

func (s *Server) inDir(settings []string) []string {
	var args []string
	for _, setting := range settings {
		args = append(args, strings.ReplaceAll(setting, "$DIR", s.dir))
	}
	return args
}

// rsaKey is made once: that takes long.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// writeTLS gives the server a certificate with an RSA key in place of the one with ECDSA, and writes
// what its options may name: OCSP responses on it (good.ocsp, revoked.ocsp, old.ocsp), and certificates
// for clients with their keys, of the server's own authority (client.pem, client.key; outdated.pem,
// outdated.key) and of another (stranger.pem, stranger.key).
func (s *Server) writeTLS() error {
	key, err := rsaKey()
	if err != nil {
		return err
	}
	pair, err := s.CA.IssueFor(key, []string{Host, Domain, "localhost", "127.0.0.1"}, func(c *x509.Certificate) {
		c.KeyUsage |= x509.KeyUsageKeyEncipherment // the key exchange by RSA
	})
	if err != nil {
		return err
	}
	other, err := testca.New("another authority")
	if err != nil {
		return err
	}
	client, err := s.CA.Issue([]string{"client"}, nil)
	if err != nil {
		return err
	}
	outdated, err := s.CA.Issue([]string{"outdated"}, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = c.NotBefore.AddDate(0, 0, -9), c.NotAfter.AddDate(0, 0, -9)
	})
	if err != nil {
		return err
	}
	stranger, err := other.Issue([]string{"stranger"}, nil)
	if err != nil {
		return err
	}
	for _, file := range []struct {
		cert, key string
		pair      tls.Certificate
	}{{"cert.pem", "key.pem", pair}, {"client.pem", "client.key", client}, {"outdated.pem", "outdated.key", outdated}, {"stranger.pem", "stranger.key", stranger}} {
		cert, key, err := testca.EncodePEM(file.pair)
		if err != nil {
			return err
		}
		if err := s.write(file.cert, string(cert)); err != nil {
			return err
		}
		if err := s.write(file.key, string(key)); err != nil {
			return err
		}
	}
	return s.writeOCSP(pair.Leaf)
}

// writeOCSP writes responses on a certificate.
func (s *Server) writeOCSP(leaf *x509.Certificate) error {
	by, err := s.CA.Issue([]string{"responder"}, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} })
	if err != nil {
		return err
	}
	now := time.Now()
	for name, response := range map[string]ocsp.Response{
		"good.ocsp":    {Status: ocsp.Good, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)},
		"revoked.ocsp": {Status: ocsp.Revoked, RevokedAt: now.Add(-time.Hour), RevocationReason: ocsp.KeyCompromise, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)},
		"old.ocsp":     {Status: ocsp.Good, ThisUpdate: now.Add(-48 * time.Hour), NextUpdate: now.Add(-24 * time.Hour)},
	} {
		response.SerialNumber, response.Certificate = leaf.SerialNumber, by.Leaf
		der, err := ocsp.CreateResponse(s.CA.Cert, by.Leaf, response, by.PrivateKey.(crypto.Signer))
		if err == nil {
			err = s.write(name, string(der))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
