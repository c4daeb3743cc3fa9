package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testca"
)

func TestDescribe(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Test Root"))
	cert := must[tls.Certificate](t)(ca.Issue([]string{host}, func(c *x509.Certificate) {
		c.NotAfter = time.Now().Add(61*24*time.Hour + time.Hour)
		c.Subject.Organization, c.Subject.Country = []string{"Example, Inc."}, []string{"DE"}
	}))
	roots := write(t, "root.pem", ca.PEM())
	c := load(t, Settings{CAFiles: []string{roots}})
	o := handshake(t, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"imap"}}, c.Client(context.Background(), host, []string{"imap"}))
	if o.clientErr != nil {
		t.Fatal(o.clientErr)
	}
	want := "TLS 1.3, " + tls.CipherSuiteName(o.client.CipherSuite) + ", X25519MLKEM768, ALPN imap, new session; " +
		`certificate CN=mail.example.org,O="Example, Inc.",C=DE, issued by CN=Test Root, expires in 61 days; ` +
		"verified for mail.example.org, trust anchor CN=Test Root from " + roots
	if got := c.Describe(o.client, host); got != want {
		t.Errorf("got\n\t%s\nwant\n\t%s", got, want)
	}
	// A Config that trusts others says so.
	other := load(t, Settings{CAFiles: []string{write(t, "other.pem", must[*testca.CA](t)(testca.New("Other Root")).PEM())}})
	checkText(t, other.Describe(o.client, host), "; NOT verified: certificate CN=mail.example.org", "is issued by CN=Test Root, which is not among")
}

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		end  time.Time
		want string
	}{
		{now, "expires within a day"},
		{now.Add(24*time.Hour - time.Second), "expires within a day"},
		{now.Add(24 * time.Hour), "expires in 1 day"},
		{now.Add(48*time.Hour - time.Second), "expires in 1 day"},
		{now.AddDate(0, 0, 90), "expires in 90 days"},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), "expires in 2912412 days"}, // RFC 5280, 4.1.2.5: no end
		{now.Add(-time.Second), "expired 0 minutes ago"},
		{now.Add(-24 * time.Hour), "expired 1 day ago"},
		{now.Add(-49 * time.Hour), "expired 2 days ago"},
	} {
		if got := expiry(test.end, now); got != test.want {
			t.Errorf("%v: got %q, want %q", test.end, got, test.want)
		}
	}
}

func FuzzCiphers(f *testing.F) {
	for _, list := range []string{"", "ECDHE-RSA-AES128-GCM-SHA256", "tls_rsa_with_rc4_128_sha:AES256-SHA", "HIGH:!aNULL", "a\x1b,\u202e", "TLS_AES_128_GCM_SHA256", "\xff\n"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		suites, err := parseCiphers(list)
		if err != nil {
			checkText(t, err.Error(), "--ciphers")
			return
		}
		var names []string
		for _, suite := range suites {
			names = append(names, opensslName(suite.Name))
		}
		again, err := parseCiphers(strings.Join(names, ":"))
		if len(suites) == 0 || err != nil || !slices.Equal(suites, again) {
			t.Errorf("%q gives %d suites, their names give others: %q, %v", list, len(suites), names, err)
		}
	})
}

func FuzzGroups(f *testing.F) {
	for _, list := range []string{"", "X25519MLKEM768", "p-256:secp384r1, P521", "ffdhe2048", "a\x1b,\u202e", "\xff\n"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		ids, err := parseGroups(list)
		if err != nil {
			checkText(t, err.Error(), "--groups")
			return
		}
		var names []string
		for _, id := range ids {
			names = append(names, groupOf(id).names[0])
		}
		again, err := parseGroups(strings.Join(names, ","))
		if len(ids) == 0 || err != nil || !slices.Equal(ids, again) {
			t.Errorf("%q gives %v, their names give others: %q, %v", list, ids, names, err)
		}
	})
}

// FuzzCertificateNames asserts that nothing in a certificate gets to a terminal as it is,
// whatever is wrong with it.
func FuzzCertificateNames(f *testing.F) {
	f.Add("mail.example.org", "Test Root", "www.example.org", "mail.example.org")
	f.Add("\x1b]0;x\a", "\u202egnp", "a\x00b", "\x1b")
	f.Add(`a", O="b`, `\`, "*.", "192.0.2.1")
	f.Add("", "", "", "[::1")
	f.Fuzz(func(t *testing.T, subject, issuer, alt, wanted string) {
		ca, err := testca.Root(issuer, nil)
		if err != nil {
			t.Skip(err) // x509 does not encode everything
		}
		cert, err := ca.Issue([]string{subject}, func(c *x509.Certificate) { c.DNSNames = []string{alt} })
		if err != nil {
			t.Skip(err)
		}
		cs := tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf, ca.Cert}, NegotiatedProtocol: alt}
		for _, settings := range []Settings{{}, {CAFiles: []string{write(t, "root.pem", ca.PEM())}}} {
			c := load(t, settings)
			checkText(t, c.Describe(cs, wanted))
			if err, ok := c.Problem(cs, wanted).(*Error); ok {
				checkText(t, err.Error())
				checkText(t, err.Hint())
			}
		}
	})
}

// FuzzRawNames does the same for what x509 does not encode, but other programs may.
func FuzzRawNames(f *testing.F) {
	f.Add("CN\x1b", "\xff\xfe", "\u202e")
	f.Fuzz(func(t *testing.T, cn, issuer, alt string) {
		name := func(s string) pkix.Name {
			return pkix.Name{CommonName: s, Names: []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 3}, Value: s}, {Type: []int{1, 2}, Value: s}}}
		}
		cert := &x509.Certificate{Subject: name(cn), Issuer: name(issuer), DNSNames: []string{alt, alt}}
		cs := tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
		checkText(t, load(t, Settings{}).Describe(cs, host))
		x := examination{config: &Config{}, sent: cs.PeerCertificates, name: alt, now: time.Now()}
		for _, err := range []error{
			x509.HostnameError{Certificate: cert, Host: alt},
			x509.UnknownAuthorityError{Cert: cert},
			x509.CertificateInvalidError{Cert: cert, Reason: x509.CANotAuthorizedForThisName, Detail: alt},
		} {
			e := refuse(x.sent, x.explain(err))
			checkText(t, e.Error())
			checkText(t, e.Hint())
		}
	})
}
