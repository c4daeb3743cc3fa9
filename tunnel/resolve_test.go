package tunnel

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"tlsup/internal/connect"
	"tlsup/internal/dns"
	"tlsup/internal/testca"
	"tlsup/internal/testdns"
	"tlsup/negotiate"
)

// A zone is what the DNS says at the moment.
type zone struct {
	records atomic.Pointer[testdns.Records]
}

func (z *zone) set(records ...dnsmessage.Resource) { z.records.Store((*testdns.Records)(&records)) }

// resolver starts a server of the zone.
func (z *zone) resolver(t *testing.T) *net.Resolver {
	t.Helper()
	resolver, err := dns.At(testdns.Start(t, func(q dnsmessage.Message, _ string) []dnsmessage.Message {
		return []dnsmessage.Message{z.records.Load().Answer(q)}
	}))
	if err != nil {
		t.Fatal(err)
	}
	return resolver.Plain()
}

// nameServer serves TLS for example.org at an address, and says to each client what it is called.
func nameServer(t *testing.T, ca *testca.CA, address, name string) (port int) {
	t.Helper()
	cert, err := ca.Issue([]string{"example.org"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, name)
			conn.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// closedPort is one that nobody listens on.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// led dials a tunnel, and fails the test unless it leads to the server of that name.
func led(t *testing.T, b *bench, want string) {
	t.Helper()
	if got, err := io.ReadAll(dial(t, b)); string(got) != want || err != nil {
		t.Errorf("led to %q, %v; want %q", got, err, want)
	}
}

// TestResolvesEachTime: the name is resolved for each connection, and of what it leads to all are
// tried in turn.
func TestResolvesEachTime(t *testing.T) {
	ca, err := testca.New("resolve test authority")
	if err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T, z *zone, target connect.Target, lookup connect.Lookup) *bench {
		o := options(t, ca)
		o.Resolver, o.Lookup, o.Network = z.resolver(t), lookup, "tcp4"
		return start(t, Pair{Target: target, Options: func() *connect.Options { return o }}, nil)
	}
	t.Run("addresses", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("other systems have one loopback address alone")
		}
		port := nameServer(t, ca, "127.0.0.2:0", "second")
		at := func(host string) string { return (&net.TCPAddr{IP: net.ParseIP(host), Port: port}).String() }
		nameServer(t, ca, at("127.0.0.3"), "third")
		z := new(zone)
		b := start(t, z, connect.Target{Protocol: negotiate.TLS(), Host: "example.org", Port: port}, connect.AsGiven)

		z.set(testdns.A("example.org.", [4]byte{127, 0, 0, 2}))
		led(t, b, "second")
		z.set(testdns.A("example.org.", [4]byte{127, 0, 0, 4}), testdns.A("example.org.", [4]byte{127, 0, 0, 3}))
		led(t, b, "third")
		if line := b.journal.await(t, "connecting", 2); line["address"] != at("127.0.0.4") {
			t.Errorf("the dead one is not tried first: %v", line)
		}
		if line := b.journal.await(t, "connecting", 3); line["address"] != at("127.0.0.3") {
			t.Error(line)
		}
		z.set()
		led(t, b, "")
		if line := b.journal.await(t, "failed", 1); line["step"] != string(connect.Resolve) {
			t.Error(line)
		}
	})
	t.Run("SRV records", func(t *testing.T) {
		one, two := nameServer(t, ca, "127.0.0.1:0", "one"), nameServer(t, ca, "127.0.0.1:0", "two")
		const service, host = "_xmpps-client._tcp.example.org.", "host.example.org."
		address := testdns.A(host, [4]byte{127, 0, 0, 1})
		z := new(zone)
		b := start(t, z, connect.Target{Protocol: negotiate.Find("xmpps"), Host: "example.org", Port: 5223}, connect.SRV)

		z.set(testdns.SRV(service, 0, 0, uint16(one), host), address)
		led(t, b, "one")
		z.set(testdns.SRV(service, 20, 0, uint16(two), host), testdns.SRV(service, 10, 0, uint16(closedPort(t)), host), address)
		led(t, b, "two")
		b.journal.await(t, "connecting", 3)
	})
}
