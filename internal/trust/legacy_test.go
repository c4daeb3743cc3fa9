package trust

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"slices"
	"testing"

	"tlsup/internal/testca"
)

func TestLegacy(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Root"))
	key := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	cert := must[tls.Certificate](t)(ca.IssueFor(key, []string{host}, nil))
	roots := write(t, "root.pem", ca.PEM())
	for _, test := range []struct {
		name   string
		server *tls.Config
		s      Settings
		plain  bool // works without --legacy
		legacy bool
	}{
		{"new", &tls.Config{}, Settings{}, true, true},
		{"TLS 1.0", &tls.Config{MaxVersion: tls.VersionTLS10}, Settings{}, false, true},
		{"TLS 1.0, which is ruled out", &tls.Config{MaxVersion: tls.VersionTLS10}, Settings{TLSMin: "1.1"}, false, false},
		{"RSA", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, Settings{}, false, true},
		{"3DES", &tls.Config{MaxVersion: tls.VersionTLS11, CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}}, Settings{}, false, true},
		{"RC4", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}}, Settings{}, false, false},
		{"other suites", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, Settings{Ciphers: "ECDHE-RSA-AES128-SHA"}, false, false},
	} {
		server := test.server.Clone()
		server.Certificates, server.MinVersion = []tls.Certificate{cert}, tls.VersionTLS10
		for legacy, want := range map[bool]bool{false: test.plain, true: test.legacy} {
			s := test.s
			s.CAFiles, s.Legacy = []string{roots}, legacy
			c := load(t, s)
			o := handshake(t, server, c.Client(context.Background(), host, nil))
			if (o.clientErr == nil) != want {
				t.Errorf("%s, --legacy %v: error is %v", test.name, legacy, o.clientErr)
			}
			if !legacy && !want {
				checkText(t, HandshakeHint(o.clientErr), "--legacy")
			}
			if legacy && !want {
				checkText(t, c.HandshakeHint(o.clientErr), "!--legacy")
			}
		}
	}
}

// A protocol that is for TLS 1.3 only has nothing against --legacy, which is not about it.
func TestLegacyLimit(t *testing.T) {
	c := load(t, Settings{Legacy: true})
	limited := must[*Config](t)(c.Limit("x", tls.VersionTLS13, 0))
	if limited.shared.MinVersion != tls.VersionTLS13 || slices.Contains(c.shared.CipherSuites, tls.TLS_RSA_WITH_RC4_128_SHA) {
		t.Errorf("the settings are %+v", limited.shared)
	}
	if _, err := Load(Settings{Legacy: true, TLSMin: "1.3"}); err == nil || err.Error() != "--legacy has no effect with --tls-min 1.3" {
		t.Errorf("error is %v", err)
	}
}
