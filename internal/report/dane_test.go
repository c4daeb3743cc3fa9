package report

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"tlsup/internal/connect"
	"tlsup/internal/dns"
	"tlsup/internal/testdns"
)

// TestDANE: the records are shown with what became of each, whether they are secure or not.
func TestDANE(t *testing.T) {
	var leaf [sha256.Size]byte
	s := start(t, "smtp", func(c *tls.Config) { leaf = sha256.Sum256(c.Certificates[0].Certificate[0]) })
	s.trust.VerifyName, s.trust.DANE = "", true
	owner := fmt.Sprintf("_%d._tcp.localhost", s.Addr.Port)
	good, other := testdns.TLSA(owner+".", append([]byte{3, 0, 1}, leaf[:]...)...), testdns.TLSA(owner+".", append([]byte{3, 1, 1}, leaf[:]...)...)
	strange, root := testdns.TLSA(owner+".", 9, 9, 9), testdns.TLSA(owner+".", append([]byte{2, 0, 0}, s.CA.Cert.Raw...)...)
	const hidden = "..."
	for _, test := range []struct {
		name    string
		records testdns.Records
		status  int
		text    []string
	}{
		{"usage 3", testdns.Records{other, good, strange}, 0, []string{
			"TLSA       " + owner + ", validated\n", "3 0 1 " + hex.EncodeToString(leaf[:]) + " matches\n", " does not match\n", "9 9 9  can't be used: its usage is not known\n",
			"trusted by the TLSA record 3 0 1 "}},
		{"usage 2", testdns.Records{root}, 0, []string{hidden + " matches\n", "trusted for localhost, by the TLSA record 2 0 0 ", "and by CN="}},
		{"none match", testdns.Records{other}, 6, []string{" does not match\n", "matches none of the TLSA records of " + owner}},
		{"none", nil, 6, []string{owner + ", validated: none\n", "there are no TLSA records of " + owner, owner + ". IN TLSA 3 1 1 "}},
		{"insecure", testdns.Records{testdns.Unvalidated(good)}, 6, []string{owner + ", not validated\n", "3 0 1 " + hex.EncodeToString(leaf[:]) + "\n", "is not signed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := must[connect.Target](t)(connect.ParseTarget(fmt.Sprintf("smtp://localhost:%d", s.Addr.Port), "", nil))
			r := checked(t, target, s.trust, Options{Timeline: true, Connect: connect.Options{DANE: must[*dns.Resolver](t)(dns.At(test.records.Start(t)))}})
			text := textOf(t, r, Style{})
			for _, want := range test.text {
				if !strings.Contains(text, want) {
					t.Errorf("%q is missing in\n%s", want, text)
				}
			}
			if r.Status != test.status || r.DANE == nil || r.DANE.Owner != owner || len(r.DANE.Records) != len(test.records) || len(r.Chain) == 0 {
				t.Errorf("%+v, %+v", r, r.DANE)
			}
		})
	}
}

// TestDANEUnreached: what is known of the records is told of a server that can't be reached, too.
func TestDANEUnreached(t *testing.T) {
	const owner = "_1._tcp.localhost"
	target := must[connect.Target](t)(connect.ParseTarget("smtp://localhost:1", "", nil))
	at := testdns.Records{testdns.TLSA(owner+".", 3, 1, 1)}.Start(t)
	r := checked(t, target, start(t, "smtp", nil).trust, Options{Connect: connect.Options{DANE: must[*dns.Resolver](t)(dns.At(at))}})
	if r.Status != 3 || r.DANE == nil || r.DANE.Owner != owner || !strings.Contains(textOf(t, r, Style{}), owner+", validated\n") {
		t.Errorf("%+v, %+v", r, r.DANE)
	}
	broken := testdns.Start(t, func(q dnsmessage.Message, _ string) []dnsmessage.Message {
		m := testdns.Response(q, false)
		m.RCode = dnsmessage.RCodeServerFailure
		return []dnsmessage.Message{m}
	})
	r = checked(t, target, start(t, "smtp", nil).trust, Options{Connect: connect.Options{DANE: must[*dns.Resolver](t)(dns.At(broken))}})
	if r.Status != 3 || r.DANE != nil || r.Error.Step != "resolve" {
		t.Errorf("%+v, %+v", r, r.DANE)
	}
}
