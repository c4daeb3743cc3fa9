package dns

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"tlsup/internal/testdns"
)

// serve starts a server, and returns a resolver that asks it.
func serve(t *testing.T, answer func(query dnsmessage.Message, network string) []dnsmessage.Message) *Resolver {
	t.Helper()
	return &Resolver{[]string{testdns.Start(t, answer)}}
}

// serving is serve for one answer to all queries, that was validated.
func serving(t *testing.T, records ...dnsmessage.Resource) *Resolver {
	t.Helper()
	return serve(t, func(q dnsmessage.Message, _ string) []dnsmessage.Message {
		return []dnsmessage.Message{testdns.Response(q, true, records...)}
	})
}

const owner = "_25._tcp.example.org"

// TestQuery: the AD bit is wanted, and the ID is another each time.
func TestQuery(t *testing.T) {
	var ids sync.Map
	r := serve(t, func(q dnsmessage.Message, _ string) []dnsmessage.Message {
		ids.Store(q.ID, true)
		if !q.AuthenticData || q.CheckingDisabled || !q.RecursionDesired || len(q.Additionals) != 1 || !q.Additionals[0].Header.DNSSECAllowed() ||
			q.Questions[0].Name.String() != owner+"." || q.Questions[0].Type != TypeTLSA {
			t.Errorf("query %+v", q)
		}
		return []dnsmessage.Message{testdns.Response(q, true, testdns.TLSA(owner+".", 3, 1, 1, 0xab, 0xcd))}
	})
	for range 4 {
		records, secure, err := r.TLSA(t.Context(), owner)
		if err != nil || !secure || len(records) != 1 || records[0].String() != "3 1 1 abcd" {
			t.Fatalf("%v, secure %v, %v", records, secure, err)
		}
	}
	different := 0
	ids.Range(func(any, any) bool { different++; return true })
	if different < 3 {
		t.Errorf("%d different IDs in 4 queries", different)
	}
}

// TestAnswers tries what a resolver may say.
func TestAnswers(t *testing.T) {
	same := testdns.TLSA(owner+".", 3, 1, 1, 1)
	for _, test := range []struct {
		name    string
		secure  bool
		records []dnsmessage.Resource
		want    string // the records and where they are; "" for none
	}{
		{"secure", true, []dnsmessage.Resource{same}, owner + " 3 1 1 01"},
		{"insecure", false, []dnsmessage.Resource{same}, owner + " 3 1 1 01"},
		{"none", true, nil, ""},
		{"none, insecure", false, nil, ""},
		{"another name's", true, []dnsmessage.Resource{testdns.TLSA("_443._tcp.example.org.", 3, 1, 1, 1)}, ""},
		{"in capitals", true, []dnsmessage.Resource{testdns.TLSA("_25._TCP.EXAMPLE.ORG.", 3, 1, 1, 1)}, owner + " 3 1 1 01"},
		{"another letter that folds", true, []dnsmessage.Resource{testdns.TLSA("_25._tcp.example.org\u017f.", 3, 1, 1, 1)}, ""},
		{"too short", true, []dnsmessage.Resource{testdns.TLSA(owner+".", 3, 1), same}, owner + " 3 1 1 01"},
		{"alias", true, []dnsmessage.Resource{testdns.CNAME(owner+".", "a.example.net."), testdns.CNAME("a.example.net.", "b.example.net."), testdns.TLSA("b.example.net.", 3, 1, 1, 2)}, "b.example.net 3 1 1 02"},
		{"alias to nothing", true, []dnsmessage.Resource{testdns.CNAME(owner+".", "a.example.net."), same}, ""},
		{"circle", true, []dnsmessage.Resource{testdns.CNAME(owner+".", "a.example.net."), testdns.CNAME("a.example.net.", owner+".")}, ""},
		{"another type", true, []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: testdns.Name(owner + "."), Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}, Body: &dnsmessage.TXTResource{TXT: []string{"x"}}}, same}, owner + " 3 1 1 01"},
	} {
		r := serve(t, func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			return []dnsmessage.Message{testdns.Response(q, test.secure, test.records...)}
		})
		a, err := r.Lookup(t.Context(), owner, TypeTLSA)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		records, _, _ := r.TLSA(t.Context(), owner)
		got := ""
		for _, record := range records {
			got += a.Name + " " + record.String()
		}
		if got != test.want || a.Secure != test.secure || a.Alias != strings.Contains(test.name, "alias") && test.name != "circle" {
			t.Errorf("%s: %q, %+v; want %q", test.name, got, a, test.want)
		}
	}
}

// TestFailures: what fails is never taken for an answer that there is nothing.
func TestFailures(t *testing.T) {
	failing := func(code dnsmessage.RCode) func(dnsmessage.Message, string) []dnsmessage.Message {
		return func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			m := testdns.Response(q, false)
			m.RCode = code
			return []dnsmessage.Message{m}
		}
	}
	for _, test := range []struct {
		name   string
		answer func(dnsmessage.Message, string) []dnsmessage.Message
		want   string // "": an answer without records
	}{
		{"no such name", failing(dnsmessage.RCodeNameError), ""},
		{"failure", failing(dnsmessage.RCodeServerFailure), "SERVFAIL"},
		{"refused", failing(dnsmessage.RCodeRefused), "REFUSED"},
		{"another code", failing(11), "response code 11"},
		{"bogus", func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			m := testdns.Response(q, true, testdns.TLSA(owner+".", 3, 1, 1, 1))
			if !q.CheckingDisabled {
				m = testdns.Response(q, false)
				m.RCode = dnsmessage.RCodeServerFailure
			}
			return []dnsmessage.Message{m}
		}, "DNSSEC validation failed"},
		{"truncated by TCP", func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			m := testdns.Response(q, true)
			m.Truncated = true
			return []dnsmessage.Message{m}
		}, "can't be read"},
		{"an alias that is no host", func(q dnsmessage.Message, _ string) []dnsmessage.Message {
			return []dnsmessage.Message{testdns.Response(q, true, testdns.CNAME(owner+".", "a\x1b[2J."))}
		}, "can't be read"},
	} {
		r := serve(t, test.answer)
		a, err := r.Lookup(t.Context(), owner, TypeTLSA)
		var failed *Error
		switch {
		case test.want == "" && (err != nil || a.Exists()):
			t.Errorf("%s: %+v, %v", test.name, a, err)
		case test.want != "" && (!errors.As(err, &failed) || failed.Error() != "TLSA "+owner+": resolver "+r.String()+": "+failed.Err.Error() ||
			!strings.Contains(failed.Err.Error(), test.want) || errors.Is(err, ErrBogus) != (test.name == "bogus")):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// TestForged: what is no response to the query is passed over.
func TestForged(t *testing.T) {
	r := serve(t, func(q dnsmessage.Message, _ string) []dnsmessage.Message {
		good := testdns.Response(q, true, testdns.TLSA(owner+".", 3, 1, 1, 1))
		var forged []dnsmessage.Message
		for _, change := range []func(*dnsmessage.Message){
			func(m *dnsmessage.Message) { m.ID++ },
			func(m *dnsmessage.Message) { m.Response = false },
			func(m *dnsmessage.Message) { m.OpCode = 4 },
			func(m *dnsmessage.Message) { m.Questions = nil },
			func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions...) },
			func(m *dnsmessage.Message) {
				m.Questions = []dnsmessage.Question{{Name: testdns.Name("_25._tcp.example.net."), Type: TypeTLSA, Class: dnsmessage.ClassINET}}
			},
			func(m *dnsmessage.Message) {
				m.Questions = []dnsmessage.Question{{Name: testdns.Name(owner + "."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
			},
		} {
			m := good
			m.Answers = []dnsmessage.Resource{testdns.TLSA(owner+".", 3, 1, 1, 66)}
			change(&m)
			forged = append(forged, m)
		}
		return append(forged, good)
	})
	records, _, err := r.TLSA(t.Context(), owner)
	if err != nil || len(records) != 1 || records[0].String() != "3 1 1 01" {
		t.Errorf("%v, %v", records, err)
	}
}

// TestTruncated: what does not fit is asked for by TCP.
func TestTruncated(t *testing.T) {
	var many []dnsmessage.Resource
	for i := range 40 {
		many = append(many, testdns.TLSA(owner+".", append([]byte{3, 1, 0, byte(i)}, make([]byte, 300)...)...))
	}
	r := serve(t, func(q dnsmessage.Message, network string) []dnsmessage.Message {
		m := testdns.Response(q, true, many...)
		if network == "udp" {
			m.Answers, m.Truncated = m.Answers[:1], true
		}
		return []dnsmessage.Message{m}
	})
	records, secure, err := r.TLSA(t.Context(), owner)
	if err != nil || !secure || len(records) != len(many) {
		t.Errorf("%d records, secure %v, %v", len(records), secure, err)
	}
}

// TestServers: the next one is asked where one fails, and each again.
func TestServers(t *testing.T) {
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	var asked atomic.Int32
	second := serve(t, func(q dnsmessage.Message, _ string) []dnsmessage.Message {
		m := testdns.Response(q, true, testdns.TLSA(owner+".", 3, 1, 1, 1))
		if asked.Add(1) == 1 {
			m.RCode, m.Answers = dnsmessage.RCodeRefused, nil
		}
		return []dnsmessage.Message{m}
	})
	r := &Resolver{[]string{closed.LocalAddr().String(), second.servers[0]}}
	if records, _, err := r.TLSA(t.Context(), owner); err != nil || len(records) != 1 || asked.Load() != 2 {
		t.Errorf("%v, %v, asked %d times", records, err, asked.Load())
	}
}

// TestCancelled: nobody waits for a silent server who does not want to.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	reason := errors.New("reason")
	r := serve(t, func(dnsmessage.Message, string) []dnsmessage.Message {
		cancel(reason)
		return nil
	})
	if _, err := r.Lookup(ctx, owner, TypeTLSA); err != reason {
		t.Errorf("%v", err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	silent := serve(t, func(dnsmessage.Message, string) []dnsmessage.Message { return nil })
	if _, err := silent.Lookup(ctx, owner, TypeTLSA); err == nil || !strings.HasSuffix(err.Error(), ": no answer in time") {
		t.Errorf("%v", err)
	}
}

func TestNames(t *testing.T) {
	r := &Resolver{[]string{"127.0.0.1:1"}}
	for _, bad := range []string{"", ".", "a..example.org", strings.Repeat("a", 64) + ".example.org", strings.Repeat("a.", 200)} {
		if _, err := r.Lookup(t.Context(), bad, TypeTLSA); err == nil || !strings.Contains(err.Error(), "no domain name") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestMXAndSRV: the best come first, and names that are none are left out.
func TestMXAndSRV(t *testing.T) {
	const service = "_imap._tcp.example.org."
	r := serving(t, testdns.MX("example.org.", 20, "b.example.org."), testdns.MX("example.org.", 5, "\x1b[2J."), testdns.MX("example.org.", 10, "a.example.org."))
	hosts, secure, err := r.MX(t.Context(), "example.org")
	if err != nil || !secure || len(hosts) != 2 || hosts[0].Host != "a.example.org." {
		t.Errorf("%v, %v, %v", hosts, secure, err)
	}
	r = serving(t, testdns.SRV(service, 2, 0, 143, "c.example.org."), testdns.SRV(service, 1, 0, 143, "b.example.org."),
		testdns.SRV(service, 1, 60000, 143, "a.example.org."), testdns.SRV(service, 0, 0, 143, "x y.example.org."))
	first := map[string]int{}
	for range 50 {
		services, secure, err := r.SRV(t.Context(), "imap", "example.org")
		if err != nil || !secure || len(services) != 3 || services[2].Target != "c.example.org." {
			t.Fatalf("%v, %v, %v", services, secure, err)
		}
		first[services[0].Target]++
	}
	if first["a.example.org."] < 49 {
		t.Errorf("first by weight: %v", first)
	}
	r = serving(t, testdns.SRV(service, 0, 0, 143, "x y.example.org."))
	if _, _, err := r.SRV(t.Context(), "imap", "example.org"); err == nil || !strings.Contains(err.Error(), "no record names a host") {
		t.Errorf("%v", err)
	}
}

func TestAt(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1": "127.0.0.1:53", "127.0.0.1:5353": "127.0.0.1:5353", "::1": "[::1]:53", "[::1]": "[::1]:53", "[::1]:5353": "[::1]:5353",
		"fe80::1%lo": "[fe80::1%lo]:53",
		"localhost":  "", "": "", "127.0.0.1:": "", "127.0.0.1:0": "", "127.0.0.1:x": "", "1.1.1.1:70000": "",
	} {
		r, err := At(text)
		if want == "" && err == nil || want != "" && (err != nil || r.String() != want) {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
}

// TestSystem: a resolver elsewhere is trusted only if its file says so.
func TestSystem(t *testing.T) {
	for _, test := range []struct{ text, want, err string }{
		{"nameserver 127.0.0.53\n", "127.0.0.53:53", ""},
		{"nameserver ::1\nnameserver 192.0.2.1\n", "[::1]:53", ""},
		{"# nameserver 127.0.0.1\nnameserver 192.0.2.1\n", "", "/etc/resolv.conf names 192.0.2.1, which is not this machine"},
		{"nameserver 192.0.2.1\nnameserver 2001:db8::1\noptions edns0 trust-ad\n", "192.0.2.1:53, [2001:db8::1]:53", ""},
		{"nameserver 192.0.2.1\n#options trust-ad\n", "", "trust-ad"},
		{"nameserver\nnameserver \x1b\n", "127.0.0.1:53", ""},
		{"", "127.0.0.1:53", ""},
	} {
		r, err := parseSystem(test.text)
		switch {
		case test.err == "" && (err != nil || r.String() != test.want):
			t.Errorf("%q: %v, %v", test.text, r, err)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%q: %v, want %q", test.text, err, test.err)
		}
	}
}

// FuzzParse: whatever a server sends, what is taken for an answer is one to the question, and no longer
// than the message.
func FuzzParse(f *testing.F) {
	q := dnsmessage.Question{Name: testdns.Name(owner + "."), Type: TypeTLSA, Class: dnsmessage.ClassINET}
	query := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{q}}
	for _, m := range []dnsmessage.Message{
		testdns.Response(query, true, testdns.TLSA(owner+".", 3, 1, 1, 1)),
		testdns.Response(query, false, testdns.CNAME(owner+".", "a.example.net."), testdns.TLSA("a.example.net.", 3)),
		testdns.Response(query, true, testdns.CNAME(owner+".", owner+".")),
	} {
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parse(data, 7, q)
		if err != nil || m.truncated {
			return
		}
		if m.answer.Secure != (data[3]&0x20 != 0) {
			t.Errorf("secure %v, though its flags are %x", m.answer.Secure, data[2:4])
		}
		size := 0
		for _, r := range m.answer.records {
			if !sameName(r.Header.Name, testdns.Name(m.answer.Name+".")) || r.Header.Type != TypeTLSA {
				t.Errorf("%v is not of %s", r.Header, m.answer.Name)
			}
			size += len(r.Body.(*dnsmessage.UnknownResource).Data)
		}
		if size > len(data) {
			t.Errorf("%d bytes in %d", size, len(data))
		}
		if !m.answer.Alias && !sameName(testdns.Name(m.answer.Name+"."), q.Name) {
			t.Errorf("%s is no alias", m.answer.Name)
		}
	})
}
