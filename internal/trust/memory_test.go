package trust

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tlsup/internal/testca"
	"tlsup/internal/zoo"
)

// remembering returns settings that trust a new authority, and a certificate of it for host that is
// good for an hour, as a server sends it.
func remembering(t testing.TB) (*Config, tls.ConnectionState) {
	t.Helper()
	ca := must[*testca.CA](t)(testca.New("memory"))
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return must[*Config](t)(Load(Settings{CAFiles: []string{file}})), sends(t, ca)
}

func sends(t testing.TB, ca *testca.CA) tls.ConnectionState {
	t.Helper()
	now := time.Now()
	one := must[*testca.CA](t)(ca.Intermediate("Intermediate", nil))
	cert := must[tls.Certificate](t)(one.Issue([]string{host}, zoo.Dates(now.Add(-time.Hour), now.Add(time.Hour))))
	var sent []*x509.Certificate
	for _, der := range cert.Certificate {
		sent = append(sent, must[*x509.Certificate](t)(x509.ParseCertificate(der)))
	}
	return tls.ConnectionState{PeerCertificates: sent}
}

// TestMemory: what was found good is good again, but for the same certificates and name alone, and
// as long as they are valid.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, good := remembering(t)
		_, other := remembering(t)
		limited := must[*Config](t)(c.Limit("test", tls.VersionTLS13, 0))
		for range 2 {
			for _, c := range []*Config{c, limited} {
				if err := c.Problem(good, host); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Problem(good, "other.example.org"); err == nil {
				t.Error("another name is good too")
			}
			if err := c.Problem(other, host); err == nil {
				t.Error("another certificate is good too")
			}
			short := tls.ConnectionState{PeerCertificates: good.PeerCertificates[:1]}
			if err := c.Problem(short, host); err == nil {
				t.Error("without its intermediate it is good too")
			}
			mixed := tls.ConnectionState{PeerCertificates: []*x509.Certificate{other.PeerCertificates[0], good.PeerCertificates[1]}}
			if err := c.Problem(mixed, host); err == nil {
				t.Error("with another's intermediate another is good too")
			}
		}
		if len(c.found.found) != 1 {
			t.Errorf("%d chains are kept", len(c.found.found))
		}
		time.Sleep(2 * time.Hour)
		if err := c.Problem(good, host); err == nil || !strings.Contains(err.Error(), "expired") {
			t.Errorf("two hours later: %v", err)
		}
	})
}

// TestMemoryIsBounded: a server whose certificates differ each time does not fill it.
func TestMemoryIsBounded(t *testing.T) {
	var m memory
	chain := []*x509.Certificate{{Raw: []byte("a"), NotAfter: time.Now().Add(time.Hour)}}
	for i := range 10 * keptChains {
		m.keep(chain, strings.Repeat("x", i), chain)
	}
	if len(m.found) != keptChains {
		t.Errorf("%d chains are kept", len(m.found))
	}
	if m.find(chain, strings.Repeat("x", 10*keptChains-1), time.Now()) == nil {
		t.Error("the latest is not kept")
	}
}

// BenchmarkVerify is the verification of a certificate again and again, as in a tunnel, and the
// first time.
func BenchmarkVerify(b *testing.B) {
	c, state := remembering(b)
	for _, way := range []string{"again", "first"} {
		b.Run(way, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if way == "first" {
					c.found = new(memory)
				}
				if err := c.Problem(state, host); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
