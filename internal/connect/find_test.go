package connect

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
)

// records is a resolver that knows one domain.
type records struct {
	srv    []*net.SRV
	mx     []*net.MX
	err    error
	wanted string // what was asked
}

func (r *records) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	r.wanted = "_" + service + "._" + proto + "." + name
	return name, r.srv, r.err
}

func (r *records) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	r.wanted = name
	return r.mx, r.err
}

// TestSRV: the first server that can be reached is taken, and the name to verify stays the domain.
func TestSRV(t *testing.T) {
	target, o := startServer(t, "xmpp")
	o.Name = ""
	r := &records{srv: []*net.SRV{
		{Target: "localhost.", Port: uint16(closedPort(t))},
		{Target: "localhost.", Port: uint16(target.Port)},
	}}
	o.Lookup, o.Resolver = SRV, r
	target.Host, target.Port = "example.org", 5222
	s, err := Open(context.Background(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s.ServerName != "example.org" {
		t.Errorf("verified for %q, want the domain", s.ServerName)
	}
	if r.wanted != "_xmpp-client._tcp.example.org" {
		t.Errorf("asked for %q", r.wanted)
	}

	r.srv = []*net.SRV{{Target: "."}}
	checkFailure(t, target, o, "SRV: example.org does not offer xmpp")
	r.srv, r.err = nil, &net.DNSError{Err: "server misbehaving", Name: "example.org"}
	checkFailure(t, target, o, "example.org:5222: resolve: SRV: server misbehaving")
}

// TestSRVNone: without records the domain is the host.
func TestSRVNone(t *testing.T) {
	target, o := startServer(t, "xmpp")
	o.Lookup, o.Resolver = SRV, &records{err: &net.DNSError{IsNotFound: true}}
	o.Name = "example.org"
	s, err := Open(context.Background(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// TestMX: the host is the one to verify, with a warning that nobody vouches for it.
func TestMX(t *testing.T) {
	target, o := startServer(t, "smtp")
	r := &records{mx: []*net.MX{{Host: "127.0.0.2.", Pref: 5}, {Host: "localhost.", Pref: 10}}}
	var notices []string
	o.Lookup, o.Resolver, o.Notice = MX, r, func(s string) { notices = append(notices, s) }
	target.Host = "example.org"
	s, err := Open(context.Background(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s.ServerName != "localhost" || r.wanted != "example.org" {
		t.Errorf("verified for %q, asked for %q", s.ServerName, r.wanted)
	}
	dead := fmt.Sprintf("127.0.0.2:%d: connect: connection refused: trying the next server", target.Port)
	const unsigned = "the name localhost comes from the DNS, which is not authenticated: its certificate does not prove that it serves example.org"
	if !slices.Equal(notices, []string{dead, unsigned}) {
		t.Errorf("notices %q", notices)
	}

	r.mx = []*net.MX{{Host: "."}}
	checkFailure(t, target, o, "MX: example.org takes no mail")
}

func TestUnicodeHost(t *testing.T) {
	target, err := ParseTarget("xmpp://Bücher.example:5222", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if target.Host != "xn--bcher-kva.example" || target.ServerName() != "xn--bcher-kva.example" {
		t.Errorf("host %q, name %q", target.Host, target.ServerName())
	}
	if got := target.sentName(&Options{}); got != "Bücher.example" {
		t.Errorf("sends %q", got)
	}
	target, err = ParseTarget("smtp://bücher.example", "", nil)
	if got := target.sentName(&Options{}); err != nil || got != "" || target.Address() != "xn--bcher-kva.example:25" {
		t.Errorf("sends %q to %s, %v", got, target.Address(), err)
	}
	for _, bad := range []string{"smtp://a\u202eb.example", "smtp://\ufffd.example", "smtp://xn--\u00fc.example"} {
		if _, err := ParseTarget(bad, "", nil); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
