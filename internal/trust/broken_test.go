package trust

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testca"
)

func signedSHA1(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }

// both are changes one behind the other.
func both(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, change := range changes {
			change(c)
		}
	}
}

// TestAllowBroken: signatures with SHA-1 count if that is asked for, and all else is looked at as always.
func TestAllowBroken(t *testing.T) {
	noAuthority := func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature }
	clients := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	none := func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true }
	one := func(c *x509.Certificate) { c.MaxPathLen = 1 }
	names := func(c *x509.Certificate) { c.PermittedDNSDomains = []string{host} }
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	critical := func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }
	for _, test := range []struct {
		name        string
		root        func(*x509.Certificate)
		inters      []func(*x509.Certificate) // from the root down
		leaf        func(*x509.Certificate)
		other, flip bool // of another root; the signature is not the issuer's
		wrong       string
		trusts      bool
	}{
		{name: "the server's", leaf: signedSHA1, trusts: true},
		{name: "the intermediate's", inters: []func(*x509.Certificate){signedSHA1}, trusts: true},
		{name: "all", root: signedSHA1, inters: []func(*x509.Certificate){signedSHA1, signedSHA1, signedSHA1}, leaf: signedSHA1, trusts: true},
		{name: "some", inters: []func(*x509.Certificate){nil, signedSHA1, nil, signedSHA1}, trusts: true},
		{name: "within the path length", root: one, inters: []func(*x509.Certificate){signedSHA1}, leaf: signedSHA1, trusts: true},
		{name: "beyond the path length", root: none, inters: []func(*x509.Certificate){signedSHA1}},
		{name: "beyond the path length of an intermediate", inters: []func(*x509.Certificate){none, signedSHA1}, leaf: signedSHA1},
		{name: "names are bounded", root: names, leaf: signedSHA1},
		{name: "another root", leaf: signedSHA1, other: true},
		{name: "not the issuer's", leaf: signedSHA1, flip: true},
		{name: "no authority", inters: []func(*x509.Certificate){noAuthority}, leaf: signedSHA1},
		{name: "an authority that signs no certificates", inters: []func(*x509.Certificate){critical}, leaf: signedSHA1},
		{name: "an authority for clients", inters: []func(*x509.Certificate){clients}, leaf: signedSHA1},
		{name: "an authority for clients, signed so", inters: []func(*x509.Certificate){both(signedSHA1, clients)}},
		{name: "for clients", leaf: both(signedSHA1, clients)},
		{name: "expired", leaf: both(signedSHA1, expired)},
		{name: "an expired intermediate", inters: []func(*x509.Certificate){both(signedSHA1, expired)}},
		{name: "another name", leaf: signedSHA1, wrong: "other.example"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ca := must[*testca.CA](t)(testca.Root("Root", test.root))
			roots := write(t, "root.pem", ca.PEM())
			if test.other {
				roots = write(t, "root.pem", must[*testca.CA](t)(testca.New("Root")).PEM())
			}
			for _, change := range test.inters {
				ca = must[*testca.CA](t)(ca.Intermediate("Authority "+string(rune('0'+len(test.inters))), change))
			}
			cert := must[tls.Certificate](t)(ca.Issue([]string{host}, test.leaf))
			var sent []*x509.Certificate
			for _, der := range cert.Certificate {
				sent = append(sent, must[*x509.Certificate](t)(x509.ParseCertificate(der)))
			}
			if test.flip {
				other := must[tls.Certificate](t)(ca.Issue([]string{host}, test.leaf))
				sent[0].Signature = slices.Clone(other.Leaf.Signature)
			}
			cs, name := tls.ConnectionState{PeerCertificates: sent}, host
			if test.wrong != "" {
				name = test.wrong
			}
			allowed, strict := load(t, Settings{CAFiles: []string{roots}, AllowBroken: true}), load(t, Settings{CAFiles: []string{roots}})
			if err := strict.Problem(cs, name); err == nil {
				t.Error("trusted without being asked for")
			}
			verdict := allowed.Judge(cs, name)
			if (verdict.Err == nil) != test.trusts {
				t.Errorf("error is %v", verdict.Err)
			}
			if test.trusts && len(verdict.Chain) != len(test.inters)+2 {
				t.Errorf("the chain has %d certificates", len(verdict.Chain))
			}
		})
	}
}

// TestBrokenIsBounded: certificates that lead in circles cost no more than others.
func TestBrokenIsBounded(t *testing.T) {
	root, other := must[*testca.CA](t)(testca.New("Root")), must[*testca.CA](t)(testca.New("A"))
	var sent []*x509.Certificate
	for range 3 {
		other = must[*testca.CA](t)(other.Intermediate("A", signedSHA1))
	}
	cert := must[tls.Certificate](t)(other.Issue([]string{host}, signedSHA1))
	for _, der := range append(cert.Certificate, other.Cert.Raw) {
		sent = append(sent, must[*x509.Certificate](t)(x509.ParseCertificate(der)))
	}
	for range 6 {
		sent = append(sent, sent[1:]...)
	}
	c := load(t, Settings{CAFiles: []string{write(t, "root.pem", root.PEM())}, AllowBroken: true})
	if err := c.Problem(tls.ConnectionState{PeerCertificates: sent}, host); err == nil || !strings.Contains(err.Error(), "SHA1") {
		t.Errorf("error is %v", err)
	}
}
