package realserver

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tlsup/internal/report"
	"tlsup/internal/testca"
	"tlsup/internal/testserver"
)

// A daneWorld is a mail server under many names, a chat server, and a DNS that has TLSA records of them.
type daneWorld struct {
	mail  *Server
	dns   *Server
	roots string   // a file with those that vouch for the mail server
	zone  []string // the records in example.org
}

// rdata is a TLSA record of a certificate.
func rdata(usage, selector, matching int, cert *x509.Certificate) string {
	data := cert.Raw
	if selector == 1 {
		data = cert.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return fmt.Sprintf("%d %d %d %s", usage, selector, matching, hex.EncodeToString(data))
}

// daneZones are the zones that the tests ask for. Each host is the mail server, whose certificate is
// leaf, for *.example.org and example.org alone, issued by inter, which root issued; all three are sent.
func daneZones(port int, leaf, inter, root, other *x509.Certificate, chat ...string) []Zone {
	record := func(host, rdata string) []string {
		return []string{host + " A 127.0.0.1", fmt.Sprintf("_%d._tcp.%s TLSA %s", port, host, rdata)}
	}
	good := rdata(3, 1, 1, leaf)
	var parent []string
	for usage := range 4 {
		for selector := range 2 {
			for matching := range 3 {
				name := fmt.Sprintf("u%d%d%d", usage, selector, matching)
				right := leaf
				switch usage {
				case 0, 2:
					right = root
				}
				parent = append(parent, record("good-"+name, rdata(usage, selector, matching, right))...)
				parent = append(parent, record("bad-"+name, rdata(usage, selector, matching, other))...)
			}
		}
	}
	parent = append(parent, record("inter", rdata(2, 0, 1, inter))...)
	parent = append(parent, record("strange", "9 9 9 00")...)
	parent = append(parent, record("several", rdata(3, 1, 1, other))...)
	parent = append(parent, fmt.Sprintf("_%d._tcp.several TLSA %s", port, good))
	parent = append(parent, record("*.wild", good)...)
	parent = append(parent, record("deep.names", rdata(2, 0, 1, inter))...)
	parent = append(parent, record("deep-ee.names", good)...)
	parent = append(parent,
		"none A 127.0.0.1",
		// Aliases: to a name with records; to one without, beside which there are records of the alias
		// itself; to an insecure zone.
		"alias CNAME good-u311",
		"own CNAME none", fmt.Sprintf("_%d._tcp.own TLSA %s", port, good),
		"outside CNAME www.insecure.example.org.", fmt.Sprintf("_%d._tcp.outside TLSA %s", port, good),
		"outside-none CNAME www.insecure.example.org.",
		"shared A 127.0.0.1", fmt.Sprintf("_%d._tcp.shared CNAME tlsa.shared", port), "tlsa.shared TLSA "+good,
		// Domains for mail and chat.
		"mail.domain MX 10 good-u311", "pkix.domain MX 10 good-u111", "bad.domain MX 10 bad-u311",
		"next.domain MX 10 broken.bogus.example.org.", "next.domain MX 20 good-u211",
		"two.domain MX 10 deep.names",
	)
	parent = append(parent, chat...)
	return []Zone{
		{Origin: "insecure.example.org", Unsigned: true, Records: append(record("www", good), "@ MX 10 good-u311.example.org.")},
		{Origin: "bogus.example.org", Records: append(record("broken", "3 0 1 "+strings.Repeat("00", 32)), record("whole", good)...),
			Spoil: [2]string{strings.Repeat("00", 32), strings.TrimPrefix(rdata(3, 0, 1, leaf), "3 0 1 ")}},
		{Origin: "example.org", Records: parent},
	}
}

func newDANEWorld(t *testing.T) *daneWorld {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := testca.New("a root")
	must(err)
	inter, err := root.Intermediate("an intermediate", nil)
	must(err)
	leaf, err := inter.Issue([]string{"*.example.org", "two.domain.example.org"}, nil)
	must(err)
	interCert, err := x509.ParseCertificate(leaf.Certificate[1])
	must(err)
	leaf.Certificate = append(leaf.Certificate, root.Cert.Raw)
	chain, key, err := testca.EncodePEM(leaf)
	must(err)
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		must(os.WriteFile(path, data, 0o600))
		return path
	}
	w := &daneWorld{roots: file("roots.pem", root.PEM())}
	w.mail = Postfix(t, "smtpd_tls_chain_files = "+file("key.pem", key)+", "+file("chain.pem", chain))
	zones := daneZones(w.mail.Ports["smtp"], leaf.Leaf, interCert, root.Cert, w.mail.CA.Cert, startChat(t)...)
	w.zone = zones[len(zones)-1].Records
	authority, anchor := NSD(t, zones...)
	w.dns = ValidatingUnbound(t, authority, anchor, zones)
	return w
}

// startChat starts a chat server of our own, and returns the records that lead to it, and to nothing.
func startChat(t *testing.T) []string {
	t.Helper()
	var leaf *x509.Certificate
	s, err := testserver.Start("xmpp", func(config *tls.Config) {
		leaf, _ = x509.ParseCertificate(config.Certificates[0].Certificate[0])
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	_, port, _ := net.SplitHostPort(s.Addr.String())
	return []string{
		"chat A 127.0.0.1", "_" + port + "._tcp.chat TLSA " + rdata(3, 1, 1, leaf),
		"_xmpp-client._tcp SRV 0 0 " + port + " chat",
		"_xmpp-client._tcp.lost SRV 0 0 " + port + " none",
		"lost A 127.0.0.1",
	}
}

// run looks at a host by its TLSA records.
func (w *daneWorld) run(t *testing.T, host string, args ...string) result {
	t.Helper()
	args = append([]string{"--dane", "--resolver", w.dns.Addr("dns"), "--x509cafile", w.roots}, args...)
	return tlsup(t, "QUIT\r\n", append(args, fmt.Sprintf("smtp://%s:%d", host, w.mail.Ports["smtp"]))...)
}

// openssl has OpenSSL judge the mail server by the TLSA records of a host.
func (w *daneWorld) openssl(t *testing.T, host string, trusted bool) {
	t.Helper()
	args := []string{"s_client", "-starttls", "smtp", "-connect", w.mail.Addr("smtp"), "-CAfile", w.roots, "-no-CApath", "-no-CAstore",
		"-verify_return_error", "-dane_ee_no_namechecks", "-dane_tlsa_domain", host + ".example.org"}
	for _, record := range w.zone {
		if rdata, ok := strings.CutPrefix(record, fmt.Sprintf("_%d._tcp.%s TLSA ", w.mail.Ports["smtp"], host)); ok {
			args = append(args, "-dane_tlsa_rrdata", rdata)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "openssl", args...).CombinedOutput()
	if (err == nil) != trusted || strings.Contains(string(out), "Verified peername") && !trusted {
		t.Errorf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestDANE asks a DNS with a signed, an unsigned and a spoilt zone, through a resolver that validates, for
// the records of a mail server.
func TestDANE(t *testing.T) {
	t.Parallel()
	w := newDANEWorld(t)
	const bye = "221 2.0.0 Bye"
	t.Run("kinds", func(t *testing.T) {
		for usage := range 4 {
			for selector := range 2 {
				for matching := range 3 {
					name := fmt.Sprintf("u%d%d%d.example.org", usage, selector, matching)
					w.run(t, "good-"+name, "-v").must(t, 0, bye, ", validated: "+fmt.Sprintf("%d %d %d ", usage, selector, matching), "by the TLSA record ")
					w.run(t, "bad-"+name).must(t, 6, "", "verify: certificate ", "matches none of the TLSA records of _")
				}
			}
		}
	})
	t.Run("openssl", func(t *testing.T) { // judges alike
		for usage := range 4 {
			for selector := range 2 {
				for matching := range 3 {
					name := fmt.Sprintf("u%d%d%d", usage, selector, matching)
					w.openssl(t, "good-"+name, true)
					w.openssl(t, "bad-"+name, false)
				}
			}
		}
		w.openssl(t, "inter", true)
		w.openssl(t, "several", true)
		w.openssl(t, "deep.names", false)
		w.openssl(t, "deep-ee.names", true)
	})
	t.Run("more", func(t *testing.T) {
		// Usages 0 and 1 ask for a root, 2 and 3 do not.
		elsewhere := *w
		elsewhere.roots = w.mail.CAFile()
		elsewhere.run(t, "good-u011.example.org").must(t, 6, "", "not among the certificates in --x509cafile", "wants a chain that is in order")
		elsewhere.run(t, "good-u111.example.org").must(t, 6, "", "not among the certificates in --x509cafile", "wants a chain that is in order")
		elsewhere.run(t, "good-u211.example.org").must(t, 0, bye)
		elsewhere.run(t, "good-u311.example.org").must(t, 0, bye)
		w.run(t, "inter.example.org").must(t, 0, bye)
		w.run(t, "several.example.org").must(t, 0, bye)
		w.run(t, "any.wild.example.org").must(t, 6, "", "there are no TLSA records of _") // a wildcard is not above
		w.run(t, "strange.example.org").must(t, 6, "", "none can be used of the TLSA records", "9 9 9 00 (its usage is not known)")
		w.run(t, "none.example.org").must(t, 6, "", "there are no TLSA records of _", "one that would match is: _", "IN TLSA 3 1 1 ")
		// The name counts for usage 2 alone.
		w.run(t, "deep.names.example.org").must(t, 6, "", "is not valid for deep.names.example.org")
		w.run(t, "deep.names.example.org", "--verify-hostname", "mail.example.org").must(t, 0, bye)
		w.run(t, "deep-ee.names.example.org").must(t, 0, bye)
	})
	t.Run("aliases", func(t *testing.T) {
		w.run(t, "alias.example.org", "-v").must(t, 0, bye, "_tcp.good-u311.example.org, validated")
		w.run(t, "own.example.org", "-v").must(t, 0, bye, "_tcp.own.example.org, validated")
		w.run(t, "outside.example.org", "-v").must(t, 0, bye, "_tcp.outside.example.org, validated")
		w.run(t, "outside-none.example.org").must(t, 6, "", "there are no TLSA records of _")
		w.run(t, "shared.example.org", "-v").must(t, 0, bye, "_tcp.shared.example.org, validated")
	})
	t.Run("insecure", func(t *testing.T) {
		w.run(t, "www.insecure.example.org").must(t, 6, "", "the answer on the TLSA records of _", "is not signed", "hint: the domain's zone has to be signed by DNSSEC")
		w.run(t, "insecure.example.org", "--mx").must(t, 6, "", "the MX records of insecure.example.org, which name the host, are not signed")
	})
	t.Run("bogus", func(t *testing.T) {
		w.run(t, "broken.bogus.example.org").must(t, 3, "", "resolve: TLSA _", "_tcp.broken.bogus.example.org: resolver "+w.dns.Addr("dns")+": DNSSEC validation failed")
		w.run(t, "whole.bogus.example.org").must(t, 0, bye) // the certificate is not for it, which is nothing to usage 3
	})
	t.Run("mx", func(t *testing.T) {
		w.run(t, "mail.domain.example.org", "--mx").must(t, 0, bye)
		w.run(t, "bad.domain.example.org", "--mx").must(t, 6, "", "matches none of the TLSA records")
		w.run(t, "pkix.domain.example.org", "--mx").must(t, 6, "", "its usage is not for mail (RFC 7672)")
		w.run(t, "next.domain.example.org", "--mx").must(t, 0, bye, "warning: broken.bogus.example.org:", "DNSSEC validation failed: trying the next server")
		w.run(t, "two.domain.example.org", "--mx").must(t, 0, bye) // valid for the domain, not for the host
	})
	t.Run("srv", func(t *testing.T) {
		args := []string{"-v", "--srv", "--dane", "--resolver", w.dns.Addr("dns"), "--starttls-name", "example.org"}
		tlsup(t, "</stream:stream>", append(args, "xmpp://example.org")...).must(t, 0, "</stream:stream>", "_tcp.chat.example.org, validated: 3 1 1 ", "verified by the TLSA record 3 1 1 ")
		tlsup(t, "", append(args, "xmpp://lost.example.org")...).must(t, 6, "", "there are no TLSA records of _", "_tcp.none.example.org")
	})
	t.Run("tunnel", func(t *testing.T) {
		at := func(host string) []string {
			return []string{"tunnel", "--dane", "--resolver", w.dns.Addr("dns"), "-", fmt.Sprintf("smtp://%s.example.org:%d", host, w.mail.Ports["smtp"])}
		}
		// How a session ends that nobody spoke in is the server's business.
		if got := tlsup(t, "", at("good-u311")...); !strings.HasPrefix(got.stdout, "220 good-u311.example.org ESMTP") {
			t.Errorf("%+v", got)
		}
		tlsup(t, "QUIT\r\n", at("bad-u311")...).must(t, 6, "", "matches none of the TLSA records")
	})
	t.Run("without", func(t *testing.T) { // the resolver is asked for all names, and nobody is warned in vain
		tlsup(t, "QUIT\r\n", "--mx", "--resolver", w.dns.Addr("dns"), "--x509cafile", w.roots,
			fmt.Sprintf("smtp://mail.domain.example.org:%d", w.mail.Ports["smtp"])).must(t, 0, bye, "the name good-u311.example.org comes from the DNS, which is not authenticated")
	})
	t.Run("check", func(t *testing.T) {
		r := w.report(t, "several.example.org")
		if d := r.DANE; r.Status != 0 || d == nil || !d.Secure || len(d.Records) != 2 || d.Records[0].Trusts == d.Records[1].Trusts ||
			r.Verification.Means == nil || !strings.Contains(*r.Verification.Means, "the TLSA record 3 1 1 ") {
			t.Errorf("%+v, %+v", r, r.DANE)
		}
		r = w.report(t, "www.insecure.example.org")
		if d := r.DANE; r.Status != 6 || d == nil || d.Secure || len(d.Records) != 1 || d.Records[0].Matches || len(r.Chain) == 0 {
			t.Errorf("%+v, %+v", r, r.DANE)
		}
		r = w.report(t, "broken.bogus.example.org")
		if r.Status != 3 || r.DANE != nil {
			t.Errorf("%+v, %+v", r, r.DANE)
		}
	})
	t.Run("stand-in", func(t *testing.T) {
		for _, test := range []struct {
			host, args string
			status     int
			err        string
		}{
			{"good-u311", "", 0, "- DANE: Certificate matches. \n"},
			{"good-u011", "", 0, "- DANE: Certificate matches. \n"},
			{"bad-u111", "", 1, "- DANE: Verification failed. The certificate differs. \n*** Fatal error: Error in the certificate.\n"},
			{"bad-u211", "", 1, "- DANE: Verification failed. CA constrains were violated. \n*** Fatal error: "},
			{"bad-u311", "--insecure", 0, "- DANE: Verification failed. The certificate differs. \n"},
			{"good-u211", "--no-ca-verification", 1, "*** DANE verification error: The requested data are not available.\n*** Fatal error: "},
			{"deep-ee.names", "", 1, "*** Fatal error: Error in the certificate.\n"}, // the authorities are asked as well
			{"deep-ee.names", "--no-ca-verification", 0, "- DANE: Certificate matches. \n"},
			{"strange", "", 1, "*** DANE verification error: The requested data are not available.\n"},
			{"none", "", 1, "*** DANE verification error: No DANE data were found.\n*** Fatal error: "},
			{"outside-none", "", 1, "*** DANE verification error: No DANE data were found.\n"},
			{"www.insecure", "--verify-hostname mail.example.org", 1, "*** DANE verification error: No DNSSEC signature was found.\n"},
			{"broken.bogus", "--verify-hostname mail.example.org", 1, "*** DANE verification error: The DNSSEC signature is invalid.\n"},
		} {
			args := append([]string{"--as", "gnutls-cli", "--dane", "--local-dns", "--starttls-proto", "smtp", "--x509cafile", w.roots,
				"-p", strconv.Itoa(w.mail.Ports["smtp"])}, strings.Fields(test.args)...)
			got := bare(t, []string{"TLSUP_RESOLVER=" + w.dns.Addr("dns")}, "QUIT\r\n", append(args, test.host+".example.org")...)
			if got.status != test.status || !strings.HasPrefix(got.stderr, test.err) {
				t.Errorf("%v: status %d, want %d\n%s\n%s", got.args, got.status, test.status, got.stderr, got.stdout)
			}
		}
	})
	t.Run("resolvers", func(t *testing.T) {
		host := "smtp://good-u311.example.org:" + strconv.Itoa(w.mail.Ports["smtp"])
		tlsup(t, "", "--dane", "--resolver", "127.0.0.1:1", host).must(t, 3, "", "resolve: A good-u311.example.org: resolver 127.0.0.1:1: connection refused")
		// One that does not validate proves nothing.
		plain := Unbound(t, `local-zone: "domain.test." static`, `local-data: "www.domain.test. A 127.0.0.1"`,
			fmt.Sprintf(`local-data: "_%d._tcp.www.domain.test. TLSA 3 1 1 %064d"`, w.mail.Ports["smtp"], 0))
		tlsup(t, "", "--dane", "--resolver", plain.Addr("dns"), fmt.Sprintf("smtp://www.domain.test:%d", w.mail.Ports["smtp"])).
			must(t, 6, "", "is not signed, or was not validated")
	})
}

// report is what check has of a host.
func (w *daneWorld) report(t *testing.T, host string, args ...string) (r report.Report) {
	t.Helper()
	args = append([]string{"check", "--json", "--dane", "--resolver", w.dns.Addr("dns"), "--x509cafile", w.roots}, args...)
	got := tlsup(t, "", append(args, fmt.Sprintf("smtp://%s:%d", host, w.mail.Ports["smtp"]))...)
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	return r
}
