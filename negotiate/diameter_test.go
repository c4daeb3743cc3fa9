package negotiate

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
)

func FuzzDiameter(f *testing.F) { fuzzUpgrade(f, "diameter") }

// FuzzAVP checks that the AVPs of an answer are cut as they would be put together.
func FuzzAVP(f *testing.F) {
	f.Add([]byte("\x00\x00\x01\x0c\x40\x00\x00\x0c\x00\x00\x07\xd1"))
	f.Add([]byte("\x00\x00\x01\x2b\xc0\x00\x00\x0d\x00\x00\x00\x09x\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x01\x2b\x40\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parseCEA(data)
		for rest := data; ; {
			code, flags, value, next, ok := nextAVP(rest)
			if !ok {
				break
			}
			if taken := len(rest) - len(next); taken < 8 || taken%4 != 0 || len(value) > taken-8 {
				t.Fatalf("%d bytes of value in %d bytes of %q", len(value), taken, rest)
			}
			if flags&avpVendor == 0 {
				again, _, same, _, ok := nextAVP(appendAVP(nil, code, flags, value))
				if !ok || again != code || string(same) != string(value) {
					t.Errorf("%q is %d, %q", rest, again, same)
				}
			}
			rest = next
		}
	})
}

// TestDiameterReasons checks that a caller can tell why there was no upgrade. What the client
// says depends on its address, and is the exchanges' to check.
func TestDiameterReasons(t *testing.T) {
	for name, want := range map[string]error{
		"not-offered":        ErrNotOffered,
		"unknown-peer":       ErrRefused,
		"refused-and-secure": ErrRefused,
		"success-and-failed": ErrUnexpected,
		"avp-far-too-long":   ErrUnexpected,
		"too-long":           ErrTooLong,
		"closed-in-avps":     ErrClosed,
		"tls-alert":          ErrTLS,
	} {
		x := readExchange(t, "testdata/diameter/"+name+".txt")
		_, err := Client(context.Background(), &scripted{said: []byte(x.moves[1].text)}, Find("diameter"), &x.options)
		if !errors.Is(err, want) || !errors.As(err, new(*Error)) {
			t.Errorf("%s: error %v, want %v", name, err, want)
		}
	}
}

// TestDiameterBounds feeds messages that are long.
func TestDiameterBounds(t *testing.T) {
	more := strings.Repeat("\x00\x00\x01\x09\x40\x00\x00\x0c\x00\x00\x00\x09", MaxBytes)
	const numbers = "\x00\x00\x00\x00tlsutlsu"
	checkBounds(t, "diameter", "\x01\xff\xff\xfc\x00\x00\x01\x01"+numbers+more, ErrTooLong, 4096)
	checkBounds(t, "diameter", "\x01\x00\x40\x00\x00\x00\x01\x01"+numbers+more, ErrUnexpected, diameterMax+4096)
}

// addressed is a connection whose local end has an address.
type addressed struct {
	scripted
	local net.Addr
}

func (a *addressed) LocalAddr() net.Addr { return a.local }

func TestDiameterNames(t *testing.T) {
	c := newConn(&addressed{local: &net.TCPAddr{IP: net.ParseIP("2001:db8::1")}}, nil)
	host, realm, err := diameterNames(c, &Options{})
	if err != nil || host == "" || strings.ContainsAny(host, "[]:") || realm == "" || !strings.HasSuffix(host, realm) {
		t.Errorf("without a name: %q, %q, %v", host, realm, err)
	}
	for _, test := range []struct{ name, from, host, realm string }{
		{"aaa.example.org", "", "aaa.example.org", "example.org"},
		{"aaa.example.org", "example.com", "aaa.example.org", "example.com"},
		{"aaa", "", "aaa", "aaa"},
		{"[IPv6:2001:db8::1]", "", "", ""},
		{"aaa.example.org", "ex\u00e4mple.com", "", ""},
	} {
		host, realm, err := diameterNames(c, &Options{Name: test.name, From: test.from})
		if host != test.host || realm != test.realm || (err != nil) != (test.host == "") {
			t.Errorf("%+v: %q, %q, %v", test, host, realm, err)
		}
	}
}

// TestDiameterAddress checks the address of our own in the request.
func TestDiameterAddress(t *testing.T) {
	for want, local := range map[string]net.Addr{
		"\x00\x00\x00\x0e\x00\x01\xc0\x00\x02\x01\x00\x00": &net.TCPAddr{IP: net.ParseIP("192.0.2.1")},
		"\x00\x00\x00\x1a\x00\x02\x20\x01\x0d\xb8\x00\x00": &net.TCPAddr{IP: net.ParseIP("2001:db8::1")},
		"\x00\x00\x00\x0e\x00\x01\x7f\x00\x00\x01\x00\x00": &net.UnixAddr{Name: "x"},
	} {
		request, _, err := diameterOwn(newConn(&addressed{local: local}, nil), &Options{Name: "aaa.example.org"})
		if err != nil {
			t.Fatal(err)
		}
		message := string(request)
		want = "\x00\x00\x01\x01\x40" + want[1:]
		if !strings.Contains(message, want) || len(message) != int(message[2])<<8|int(message[3]) {
			t.Errorf("%v: %q, want %q in it", local, message, want)
		}
	}
}
