package connect

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"tlsup/internal/dns"
	"tlsup/internal/testdns"
	"tlsup/internal/trust"
)

func resolver(t *testing.T, at string) *dns.Resolver {
	t.Helper()
	r, err := dns.At(at)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTLSA: whose records count, and for which names (RFC 7671, 7; RFC 7672, 2.2; RFC 7673, 3).
func TestTLSA(t *testing.T) {
	at := func(host string, n byte) dnsmessage.Resource {
		return testdns.TLSA("_25._tcp."+host+".example.org.", 3, 1, 0, n)
	}
	alias := func(host, target string) dnsmessage.Resource {
		return testdns.CNAME(host+".example.org.", target+".example.org.")
	}
	r := resolver(t, testdns.Records{
		at("plain", 1), testdns.Unvalidated(at("insecure", 2)),
		alias("alias", "plain"), at("alias", 3),
		alias("longer", "alias"),
		alias("own", "none"), at("own", 4),
		testdns.Unvalidated(alias("outside", "plain")), at("outside", 5),
		alias("to-insecure", "insecure"), at("to-insecure", 6),
		testdns.CNAME("_25._tcp.shared.example.org.", "tlsa.example.org."), testdns.TLSA("tlsa.example.org.", 3, 1, 0, 7),
	}.Start(t))
	for _, test := range []struct {
		host   string
		change func(*Target)
		owner  string
		record string // "": none
		names  string
		secure bool
	}{
		{"plain", nil, "plain", "3 1 0 01", "plain", true},
		{"insecure", nil, "insecure", "3 1 0 02", "insecure", false},
		{"none", nil, "none", "", "none", true},
		{"alias", nil, "plain", "3 1 0 01", "plain alias", true},
		{"longer", nil, "plain", "3 1 0 01", "plain longer", true},
		{"own", nil, "own", "3 1 0 04", "own", true},
		{"outside", nil, "outside", "3 1 0 05", "outside", true},
		{"to-insecure", nil, "to-insecure", "3 1 0 06", "to-insecure", true},
		{"shared", nil, "shared", "3 1 0 07", "shared", true},
		{"plain", func(t *Target) { t.domain = "chat.example.org" }, "plain", "3 1 0 01", "plain chat", true},
		{"alias", func(t *Target) { t.led, t.mail = "mail.example.org", true }, "plain", "3 1 0 01", "plain alias mail", true},
		{"plain", func(t *Target) { t.unsigned = "the MX records are not signed" }, "plain", "", "plain", false},
	} {
		target, err := ParseTarget("smtp://"+test.host+".example.org.", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.change != nil {
			test.change(&target)
		}
		d, err := target.TLSA(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", test.host, err)
			continue
		}
		record := ""
		if len(d.Records) > 0 {
			record = d.Records[0].String()
		}
		if d.Owner != "_25._tcp."+test.owner+".example.org" || record != test.record || d.Secure != test.secure || d.Mail != target.mail ||
			strings.ReplaceAll(strings.Join(d.Names, " "), ".example.org", "") != test.names {
			t.Errorf("%s: %s, names %v", test.host, d, d.Names)
		}
	}
}

// TestFindSecurely: records that lead to a server are only as good as their signature.
func TestFindSecurely(t *testing.T) {
	r := resolver(t, testdns.Records{
		testdns.MX("good.example.org.", 10, "mx.example.org."), testdns.Unvalidated(testdns.MX("bad.example.org.", 10, "mx.example.org.")),
		testdns.SRV("_xmpp-client._tcp.good.example.org.", 0, 0, 5222, "im.example.org."),
		testdns.Unvalidated(testdns.SRV("_xmpp-client._tcp.bad.example.org.", 0, 0, 5222, "im.example.org.")),
		testdns.MX("closed.example.org.", 0, "."),
	}.Start(t))
	for _, test := range []struct {
		target string
		lookup Lookup
		found  Target // without protocol and port
		err    string
	}{
		{"smtp://good.example.org", MX, Target{Host: "mx.example.org", led: "good.example.org", mail: true}, ""},
		{"smtp://bad.example.org", MX, Target{Host: "mx.example.org", led: "bad.example.org", mail: true, unsigned: "the MX records of bad.example.org, which name the host, are not signed"}, ""},
		{"smtp://none.example.org", MX, Target{Host: "none.example.org", mail: true}, ""},
		{"smtp://closed.example.org", MX, Target{}, "takes no mail"},
		{"xmpp://good.example.org", SRV, Target{Host: "im.example.org", domain: "good.example.org"}, ""},
		{"xmpp://bad.example.org", SRV, Target{Host: "im.example.org", domain: "bad.example.org", unsigned: "the SRV records of bad.example.org, which name the host, are not signed"}, ""},
		{"xmpp://none.example.org", SRV, Target{Host: "none.example.org"}, ""},
	} {
		target, err := ParseTarget(test.target, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		found, err := target.find(t.Context(), &Options{Lookup: test.lookup, DANE: r})
		test.found.Protocol, test.found.Port = target.Protocol, target.Port
		switch {
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s: %v", test.target, err)
		case test.err == "" && (err != nil || !slices.Equal(found, []Target{test.found})):
			t.Errorf("%s: %+v, %v", test.target, found, err)
		}
	}
}

// TestDANEIsAskedAgain: what the DNS says counts for one connection, though settings are kept.
func TestDANEIsAskedAgain(t *testing.T) {
	var leaf [sha256.Size]byte
	target, o := startWith(t, "smtp", func(c *tls.Config) { leaf = sha256.Sum256(c.Certificates[0].Certificate[0]) }, trust.Settings{DANE: true})
	target.Host, o.Name, o.Settings = "localhost", "client.example.org", new(Settings)
	var wrong, broken atomic.Bool
	o.DANE = resolver(t, testdns.Start(t, func(q dnsmessage.Message, _ string) []dnsmessage.Message {
		m := testdns.Response(q, true)
		switch {
		case broken.Load():
			m.RCode = dnsmessage.RCodeServerFailure
		case q.Questions[0].Type == dns.TypeTLSA:
			sum := leaf
			if wrong.Load() {
				sum[0]++
			}
			m.Answers = append(m.Answers, testdns.TLSA(fmt.Sprintf("_%d._tcp.localhost.", target.Port), append([]byte{3, 0, 1}, sum[:]...)...))
		}
		return []dnsmessage.Message{m}
	}))
	open := func() error {
		s, err := Open(context.Background(), target, o)
		if err == nil {
			s.Close()
		}
		return err
	}
	if err := open(); err != nil {
		t.Error(err)
	}
	wrong.Store(true)
	var failed *Error
	if err := open(); !errors.As(err, &failed) || failed.Status() != StatusNotTrusted || !errors.Is(err, trust.ErrOtherTLSA) {
		t.Errorf("%v", err)
	}
	broken.Store(true)
	if err := open(); !errors.As(err, &failed) || failed.Status() != StatusNoConnection || !strings.HasSuffix(err.Error(), ": SERVFAIL") {
		t.Errorf("%v", err)
	}
}
