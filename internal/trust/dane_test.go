package trust

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testca"
)

const owner = "_25._tcp." + host

// signed is what the DNS has to say of host, all of it validated.
func signed(records ...TLSA) *DANE {
	return &DANE{Owner: owner, Records: records, Secure: true, Names: []string{host}}
}

// tlsa is the record of a kind that a certificate has.
func tlsa(usage, selector, matching byte, cert *x509.Certificate) TLSA {
	return TLSA{Usage: usage, Selector: selector, Matching: matching}.of(cert)
}

// verifyDANE is how a handshake with a server ends whose certificate the DNS has d to say of.
func verifyDANE(t *testing.T, roots []byte, d *DANE, chain ...[]byte) error {
	t.Helper()
	leaf := must[*x509.Certificate](t)(x509.ParseCertificate(chain[0]))
	s := Settings{DANE: true, CAFiles: []string{write(t, "roots.pem", roots)}}
	c := load(t, s).For(Server{Address: host + ":25", Protocol: "x", DANE: d})
	sent := []*x509.Certificate{leaf}
	for _, raw := range chain[1:] {
		sent = append(sent, must[*x509.Certificate](t)(x509.ParseCertificate(raw)))
	}
	return c.Problem(tls.ConnectionState{PeerCertificates: sent}, host)
}

// daneZoo is a chain of three, and a certificate that nobody else would trust.
type daneZoo struct {
	root, inter *testca.CA
	leaf        tls.Certificate // by inter, for host
	odd         tls.Certificate // by itself, for another name, out of date
}

func newDANEZoo(t *testing.T) *daneZoo {
	z := &daneZoo{root: must[*testca.CA](t)(testca.New("Root"))}
	z.inter = must[*testca.CA](t)(z.root.Intermediate("Inter", nil))
	z.leaf = must[tls.Certificate](t)(z.inter.Issue([]string{host}, nil))
	z.odd = must[tls.Certificate](t)(testca.SelfSigned([]string{"other.example.net"}, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().AddDate(-2, 0, 0), time.Now().AddDate(-1, 0, 0)
	}))
	return z
}

// TestTLSA tries every usage, selector and matching type, with the right certificate and with another.
func TestTLSA(t *testing.T) {
	z := newDANEZoo(t)
	other := must[*testca.CA](t)(testca.New("Other"))
	for _, usage := range []byte{pkixTA, pkixEE, daneTA, daneEE} {
		for _, selector := range []byte{wholeCert, publicKey} {
			for _, matching := range []byte{exactly, sha256Digest, sha512Digest} {
				right, wrong, roots := z.leaf.Leaf, other.Cert, z.root
				chain := append(z.leaf.Certificate, z.root.Cert.Raw)
				switch usage {
				case pkixTA:
					right = z.root.Cert
				case daneTA:
					right, roots = z.root.Cert, other // which are not asked
				case daneEE:
					right, chain, roots = z.odd.Leaf, z.odd.Certificate, other
				}
				record := tlsa(usage, selector, matching, right)
				if err := verifyDANE(t, roots.PEM(), signed(record), chain...); err != nil {
					t.Errorf("%s: %v", record, err)
				}
				record = tlsa(usage, selector, matching, wrong)
				if err := verifyDANE(t, roots.PEM(), signed(record), chain...); err == nil {
					t.Errorf("%s: trusted by another's record", record)
				}
			}
		}
	}
}

// TestDANE tries what records demand, and what is said of those that are not met.
func TestDANE(t *testing.T) {
	z := newDANEZoo(t)
	leaf, inter, root := z.leaf.Leaf, must[*x509.Certificate](t)(x509.ParseCertificate(z.leaf.Certificate[1])), z.root.Cert
	chain := z.leaf.Certificate // without the root
	other := must[*testca.CA](t)(testca.New("Other")).PEM()
	nameless := must[tls.Certificate](t)(z.inter.Issue([]string{"www.example.org"}, nil))
	late := must[tls.Certificate](t)(z.inter.Issue([]string{host}, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().AddDate(-1, 0, 0), time.Now().AddDate(0, 0, -3)
	}))
	direct := must[tls.Certificate](t)(z.root.Issue([]string{host}, nil))
	with := func(change func(*DANE), records ...TLSA) *DANE {
		d := signed(records...)
		change(d)
		return d
	}
	mail := func(d *DANE) { d.Mail = true }
	for _, test := range []struct {
		name  string
		roots []byte
		dane  *DANE
		chain [][]byte
		err   error    // nil: any, if there are words
		words []string // none: it is trusted
	}{
		{"an intermediate by usage 0", z.root.PEM(), signed(tlsa(0, 0, 1, inter)), chain, nil, nil},
		{"a root that is not sent, by usage 0", z.root.PEM(), signed(tlsa(0, 1, 1, root)), chain, nil, nil},
		{"the server's own by usage 0", z.root.PEM(), signed(tlsa(0, 0, 1, leaf)), chain, ErrOtherTLSA, []string{"no authority's of the chain"}},
		{"usage 0 without a chain", other, signed(tlsa(0, 0, 1, inter)), chain, nil, []string{"is issued by CN=Root, which is not among", "wants a chain that is in order"}},
		{"usage 1 without a chain", other, signed(tlsa(1, 0, 1, leaf)), chain, nil, []string{"which is not among", "1 0 1 "}},
		{"usage 1 and another name", z.root.PEM(), signed(tlsa(1, 0, 1, nameless.Leaf)), nameless.Certificate, nil, []string{"is not valid for mail.example.org"}},

		{"an intermediate by usage 2", other, signed(tlsa(2, 0, 1, inter)), chain, nil, nil},
		{"a root that is not sent, by usage 2", other, signed(tlsa(2, 0, 1, root)), chain, ErrOtherTLSA, []string{"no authority's of the chain"}},
		{"a root in the record", other, signed(tlsa(2, 0, 0, root)), chain, nil, nil},
		{"a root's key in the record", other, signed(tlsa(2, 1, 0, root)), chain, nil, nil},
		{"another root in the record", other, signed(tlsa(2, 0, 0, z.odd.Leaf)), chain, ErrOtherTLSA, []string{"no authority's of the chain"}},
		{"a chain that does not lead there", other, signed(tlsa(2, 0, 1, root)), [][]byte{z.odd.Certificate[0], root.Raw}, nil, []string{"not among the trust anchors of the TLSA records"}},
		{"the key that signed the certificate", other, signed(tlsa(2, 1, 0, root)), direct.Certificate, nil, nil},
		{"the server's own by usage 2", other, signed(tlsa(2, 0, 1, leaf)), chain, ErrOtherTLSA, []string{"matches none of the TLSA records of " + owner}},
		{"usage 2 and another name", other, signed(tlsa(2, 0, 1, inter)), nameless.Certificate, nil, []string{"is not valid for mail.example.org"}},
		{"usage 2 and the key that signed, another name", other, signed(tlsa(2, 1, 0, inter)), nameless.Certificate, nil, []string{"is not valid for mail.example.org"}},
		{"usage 2 out of date", other, signed(tlsa(2, 0, 1, inter)), late.Certificate, nil, []string{"expired on", "wants a chain that is in order"}},
		{"usage 2 and a name that led there", other, with(func(d *DANE) { d.Names = append(d.Names, "www.example.org") }, tlsa(2, 0, 1, inter)), nameless.Certificate, nil, nil},

		{"usage 3 out of date, another name", other, signed(tlsa(3, 0, 1, z.odd.Leaf)), z.odd.Certificate, nil, nil},
		{"usage 3, the authority's", other, signed(tlsa(3, 1, 1, inter)), chain, ErrOtherTLSA,
			[]string{tlsa(3, 1, 1, inter).String(), "(the server's is " + tlsa(3, 1, 1, leaf).String() + ")"}},
		{"one of several", other, signed(tlsa(3, 1, 1, inter), tlsa(3, 0, 2, leaf)), chain, nil, nil},
		{"one usable", other, signed(TLSA{9, 9, 9, []byte{1}}, tlsa(3, 0, 1, leaf)), chain, nil, nil},
		{"an old digest beside a new one", other, signed(tlsa(3, 1, 1, leaf), tlsa(3, 1, 2, inter)), chain, ErrOtherTLSA, []string{"there are SHA-512 digests beside it"}},
		{"an old digest beside a broken one", other, signed(tlsa(3, 1, 1, leaf), TLSA{3, 1, 2, []byte{1}}), chain, nil, nil},

		{"usage 1 for mail", z.root.PEM(), with(mail, tlsa(1, 0, 1, leaf)), chain, ErrUnusableTLSA, []string{"its usage is not for mail (RFC 7672)"}},
		{"usage 0 for mail", z.root.PEM(), with(mail, tlsa(0, 0, 1, inter)), chain, ErrUnusableTLSA, []string{"its usage is not for mail"}},
		{"usage 3 for mail", other, with(mail, tlsa(3, 0, 1, leaf)), chain, nil, nil},

		{"an unknown usage", other, signed(TLSA{4, 0, 1, make([]byte, 32)}), chain, ErrUnusableTLSA, []string{"none can be used of the TLSA records of " + owner, "its usage is not known"}},
		{"an unknown selector", other, signed(TLSA{3, 2, 1, make([]byte, 32)}), chain, ErrUnusableTLSA, []string{"its selector is not known"}},
		{"an unknown matching type", other, signed(TLSA{3, 1, 3, make([]byte, 32)}), chain, ErrUnusableTLSA, []string{"its matching type is not known"}},
		{"a short digest", other, signed(TLSA{3, 1, 1, make([]byte, 31)}), chain, ErrUnusableTLSA, []string{"its digest has 31 bytes, not 32"}},
		{"no certificate", other, signed(TLSA{3, 0, 0, []byte("x")}), chain, ErrUnusableTLSA, []string{"its certificate can't be read"}},
		{"no key", other, signed(TLSA{2, 1, 0, []byte("x")}), chain, ErrUnusableTLSA, []string{"its public key can't be read"}},
		{"nothing", other, signed(TLSA{3, 1, 0, nil}), chain, ErrUnusableTLSA, []string{"its public key can't be read"}},

		{"insecure", z.root.PEM(), with(func(d *DANE) { d.Secure = false }, tlsa(3, 0, 1, leaf)), chain, ErrInsecureTLSA, []string{"the answer on the TLSA records of " + owner + " is not signed"}},
		{"insecure on the way", z.root.PEM(), with(func(d *DANE) { d.Secure, d.Insecure = false, "the MX records are not signed" }), chain, ErrInsecureTLSA, []string{"the MX records are not signed"}},
		{"none", z.root.PEM(), signed(), chain, ErrNoTLSA, []string{"there are no TLSA records of " + owner}},
		{"not asked", z.root.PEM(), nil, chain, ErrNoTLSA, []string{"no TLSA records"}},
		{"a hostile owner", z.root.PEM(), with(func(d *DANE) { d.Owner = "\x1b[2J" }), chain, ErrNoTLSA, []string{`\x1b[2J`}},
	} {
		err := verifyDANE(t, test.roots, test.dane, test.chain...)
		switch {
		case test.words == nil && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.words != nil && (err == nil || test.err != nil && !errors.Is(err, test.err)):
			t.Errorf("%s: %v, want %v", test.name, err, test.err)
		}
		for _, word := range test.words {
			if err != nil && !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v; want %q", test.name, err, word)
			}
		}
	}
}

// TestDANEHints: a person is told the record that would match.
func TestDANEHints(t *testing.T) {
	z := newDANEZoo(t)
	var untrusted *Error
	want := fmt.Sprintf("%s. IN TLSA %s", owner, tlsa(3, 1, 1, z.odd.Leaf))
	for _, d := range []*DANE{signed(), signed(tlsa(3, 1, 1, z.root.Cert))} {
		err := verifyDANE(t, z.root.PEM(), d, z.odd.Certificate...)
		if !errors.As(err, &untrusted) || !strings.Contains(untrusted.Hint(), want) || strings.Contains(untrusted.Hint(), "--insecure") {
			t.Errorf("%v: hint %v", err, untrusted)
		}
	}
}

// TestDANEHandshake: the TLSA base domain is asked for, the settings hold beside it, and all of it is
// told.
func TestDANEHandshake(t *testing.T) {
	z := newDANEZoo(t)
	server := &tls.Config{Certificates: []tls.Certificate{z.leaf}}
	inter := must[*x509.Certificate](t)(x509.ParseCertificate(z.leaf.Certificate[1]))
	at := func(s Settings, d *DANE) *Config {
		s.DANE, s.CAFiles = true, []string{write(t, "roots.pem", must[*testca.CA](t)(testca.New("Other")).PEM())}
		return load(t, s).For(Server{DANE: d})
	}
	d := signed(tlsa(2, 1, 1, inter))
	d.Names = []string{host, "example.org"}
	none := ""
	for _, test := range []struct {
		name string
		s    Settings
		d    *DANE
		sni  string
		err  string
	}{
		{"base domain", Settings{}, d, host, ""},
		{"no records", Settings{}, signed(), "example.org", "there are no TLSA records"},
		{"no SNI", Settings{SNI: &none}, d, "", ""},
		{"another name", Settings{VerifyName: "www.example.org"}, d, host, "is not valid for www.example.org"},
		{"the name that led there", Settings{}, &DANE{Owner: owner, Records: d.Records, Secure: true, Names: []string{"www.example.org"}}, "www.example.org", ""},
		{"a pin", Settings{Pins: []string{Pin(z.leaf.Leaf)}}, d, host, ""},
		{"another pin", Settings{Pins: []string{Pin(z.odd.Leaf)}}, d, host, "does not match the pin"},
	} {
		name := "example.org"
		if test.name == "the name that led there" {
			name = host
		}
		o := handshake(t, server, at(test.s, test.d).Client(context.Background(), name, nil))
		if o.offered.ServerName != test.sni || (test.err == "") != (o.clientErr == nil) || test.err != "" && !strings.Contains(o.clientErr.Error(), test.err) {
			t.Errorf("%s: asks for %q, %v", test.name, o.offered.ServerName, o.clientErr)
		}
	}
	c := at(Settings{}, d)
	o := handshake(t, server, c.Client(context.Background(), "example.org", nil))
	record := d.Records[0].String()
	if got := c.Describe(o.client, "example.org"); !strings.Contains(got, "verified for "+host+", trust anchor CN=Inter, by the TLSA record "+record+" of "+owner) {
		t.Errorf("described as %q", got)
	}
	v := c.Judge(o.client, "example.org")
	if v.Err != nil || v.Name != host || len(v.TLSA) != 1 || !v.TLSA[0].Trusts || !strings.Contains(v.Means, record) || len(v.Chain) != 2 {
		t.Errorf("verdict %+v", v)
	}
	c = at(Settings{}, signed(tlsa(3, 0, 1, z.leaf.Leaf)))
	if got := c.Describe(o.client, "example.org"); !strings.Contains(got, "verified by the TLSA record 3 0 1 ") {
		t.Errorf("described as %q", got)
	}
}

// TestDANERevoked: usage 3 leaves nothing of a certificate to be revoked, unless that is asked for.
func TestDANERevoked(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Root"))
	leaf := must[tls.Certificate](t)(ca.Issue([]string{host}, mustStaple))
	chain := [][]byte{leaf.Certificate[0], ca.Cert.Raw}
	if err := verifyDANE(t, ca.PEM(), signed(tlsa(3, 1, 1, leaf.Leaf)), chain...); err != nil {
		t.Error(err)
	}
	if err := verifyDANE(t, ca.PEM(), signed(tlsa(2, 1, 1, ca.Cert)), chain...); err == nil || !strings.Contains(err.Error(), "staple") {
		t.Errorf("must-staple without a staple: %v", err)
	}
}

func TestDANEString(t *testing.T) {
	d := signed(TLSA{3, 1, 1, []byte{0xab, 0xcd}}, TLSA{2, 0, 0, bytes.Repeat([]byte{1}, 1000)})
	if got, want := d.String(), "TLSA records of "+owner+", validated: 3 1 1 abcd, 2 0 0 "+strings.Repeat("01", 64)+"..."; got != want {
		t.Errorf("%q", got)
	}
	if got := (&DANE{Owner: "\n"}).String(); got != `TLSA records of \n, not validated: none` {
		t.Errorf("%q", got)
	}
}
