package realserver

import (
	"crypto/tls"
	"strings"
	"testing"

	"tlsup/internal/testserver"
)

// TestResponder asks a responder about certificates of servers that staple nothing.
func TestResponder(t *testing.T) {
	t.Parallel()
	s := Responder(t)
	for _, test := range []struct {
		name   string
		status int
		words  []string // with --ocsp; without it the certificate is trusted
	}{
		{"good", 0, nil},
		{"revoked", 6, []string{"was revoked on 2", " (key compromise), says its OCSP responder\n"}},
		{"unknown", 6, []string{"cannot be shown to be in force, by the OCSP responder ", "it does not know the certificate"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			pair, err := tls.LoadX509KeyPair(s.path(test.name+".pem"), s.path(test.name+".key"))
			if err != nil {
				t.Fatal(err)
			}
			server, err := testserver.Start("imap", func(c *tls.Config) { c.Certificates = []tls.Certificate{pair} })
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			args := []string{"--x509cafile", s.CAFile(), "imap://" + server.Addr.String()}
			tlsup(t, "a LOGOUT\r\n", args...).must(t, 0, "a OK ")
			stdout := ""
			if test.status == 0 {
				stdout = "a OK "
			}
			tlsup(t, "a LOGOUT\r\n", append(args, "--ocsp")...).must(t, test.status, stdout, test.words...)
			got := tlsup(t, "", append([]string{"check", "--ocsp", "--json"}, args...)...)
			if got.status != test.status || !strings.Contains(got.stdout, strings.TrimSuffix(strings.Join(test.words[:min(1, len(test.words))], ""), "\n")) {
				t.Errorf("check: status %d, %s%s", got.status, got.stdout, got.stderr)
			}
		})
	}
}
