package realserver

import (
	"crypto/x509"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testca"
)

// Responder starts OpenSSL's OCSP responder. Beside it are certificates with their keys that name it:
// it calls good.pem (with good.key) in force and revoked.pem revoked, and does not know unknown.pem.
func Responder(t testing.TB) *Server {
	t.Helper()
	return start(t, responder, nil)
}

var responder = program{
	name:      "OpenSSL's OCSP responder",
	binary:    "openssl",
	schemes:   []string{"ocsp"},
	ready:     "waiting for OCSP client connections",
	mute:      true,
	configure: configureResponder,
}

func configureResponder(s *Server, binary string, _ []string) (*exec.Cmd, error) {
	const day = "060102150405Z"
	ends := time.Now().Add(24 * time.Hour).UTC().Format(day)
	index := ""
	for name, line := range map[string]string{
		"good": "V\t" + ends + "\t\t%s\tunknown\t/CN=good\n", "revoked": "R\t" + ends + "\t" + time.Now().Add(-time.Hour).UTC().Format(day) + ",keyCompromise\t%s\tunknown\t/CN=revoked\n", "unknown": "",
	} {
		pair, err := s.CA.Issue([]string{Host, "127.0.0.1"}, func(c *x509.Certificate) { c.OCSPServer = []string{"http://" + s.Addr("ocsp") + "/"} })
		if err != nil {
			return nil, err
		}
		cert, key, err := testca.EncodePEM(pair)
		if err != nil {
			return nil, err
		}
		if line != "" {
			index += fmt.Sprintf(line, strings.ToUpper(fmt.Sprintf("%0*x", 2*len(pair.Leaf.SerialNumber.Bytes()), pair.Leaf.SerialNumber)))
		}
		for file, content := range map[string]string{name + ".pem": string(cert), name + ".key": string(key)} {
			if err := s.write(file, content); err != nil {
				return nil, err
			}
		}
	}
	by, err := s.CA.Issue([]string{"responder"}, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} })
	if err != nil {
		return nil, err
	}
	cert, key, err := testca.EncodePEM(by)
	if err != nil {
		return nil, err
	}
	for file, content := range map[string]string{"index": index, "responder.pem": string(cert), "responder.key": string(key)} {
		if err := s.write(file, content); err != nil {
			return nil, err
		}
	}
	return exec.Command(binary, "ocsp", "-port", strconv.Itoa(s.Ports["ocsp"]), "-index", "index", "-CA", "ca.pem",
		"-rsigner", "responder.pem", "-rkey", "responder.key", "-nmin", "10"), nil
}
