package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"tlsup/internal/testca"
)

func TestPins(t *testing.T) {
	server, roots := newServer(t)
	leaf := server.Certificates[0].Leaf
	ca := must[*x509.Certificate](t)(x509.ParseCertificate(decodePEM(t, roots)))
	stranger := must[*testca.CA](t)(testca.New("Stranger"))
	other := write(t, "other.pem", stranger.PEM())
	colons := strings.ToUpper(strings.Join(pairs(certPin(leaf)), ":"))
	for _, test := range []struct {
		name  string
		s     Settings
		words []string // of the error; none: it is trusted
		hint  string
	}{
		{"its key", Settings{Pins: []string{Pin(leaf)}}, nil, ""},
		{"one of several keys", Settings{Pins: []string{Pin(ca) + ";" + Pin(leaf)}}, nil, ""},
		{"repeated", Settings{Pins: []string{Pin(ca), Pin(leaf)}}, nil, ""},
		{"its certificate", Settings{CertPins: []string{certPin(leaf)}}, nil, ""},
		{"with colons", Settings{CertPins: []string{colons}}, nil, ""},
		{"either kind", Settings{Pins: []string{Pin(ca)}, CertPins: []string{colons}}, nil, ""},
		{"the authority's key", Settings{Pins: []string{Pin(ca)}}, []string{"does not match the pin: its key is " + Pin(leaf)}, "--pin " + Pin(leaf)},
		{"two others", Settings{Pins: []string{Pin(ca) + "; " + Pin(stranger.Cert)}}, []string{"matches none of the pins"}, "--pin " + Pin(leaf)},
		{"another certificate", Settings{CertPins: []string{certPin(ca)}}, []string{"its fingerprint " + certPin(leaf)}, "--pin-cert " + certPin(leaf)},
		{"pin, and no chain", Settings{Pins: []string{Pin(leaf)}, CAFiles: []string{other}}, []string{"!pin"}, "--x509cafile"},
		{"neither", Settings{Pins: []string{Pin(ca)}, CAFiles: []string{other}}, []string{"is not among the certificates", "; does not match the pin"}, "--x509cafile"},
		{"pin alone", Settings{Pins: []string{Pin(leaf)}, CAFiles: []string{other}, PinOnly: true}, nil, ""},
		{"pin alone, for another name", Settings{CertPins: []string{colons}, PinOnly: true, VerifyName: "other.example"}, nil, ""},
		{"another pin alone", Settings{Pins: []string{Pin(ca)}, PinOnly: true}, []string{"does not match the pin"}, "--pin " + Pin(leaf)},
	} {
		if test.s.CAFiles == nil {
			test.s.CAFiles = []string{roots}
		}
		c := load(t, test.s)
		o := handshake(t, server, c.Client(context.Background(), host, nil))
		var refused *Error
		if !errors.As(o.clientErr, &refused) {
			if o.clientErr != nil || test.words != nil {
				t.Errorf("%s: error %v, want %q", test.name, o.clientErr, test.words)
			}
			continue
		}
		if test.words == nil {
			t.Errorf("%s: %v", test.name, refused)
		}
		checkText(t, refused.Error(), test.words...)
		checkText(t, refused.Hint(), test.hint, "!--insecure")
	}
}

// The verdict says that the chain was not looked at.
func TestPinOnlyVerdict(t *testing.T) {
	server, _ := newServer(t)
	c := load(t, Settings{Pins: []string{Pin(server.Certificates[0].Leaf)}, PinOnly: true, NoRoots: true})
	o := handshake(t, server, c.Client(context.Background(), host, nil))
	if o.clientErr != nil {
		t.Fatal(o.clientErr)
	}
	checkText(t, c.Describe(o.client, host), "; verified by its pin alone")
	if v := c.Judge(o.client, host); v.Err != nil || v.Chain != nil || v.Means != "its pin alone" {
		t.Errorf("the verdict is %+v", v)
	}
	if err := c.Problem(tls.ConnectionState{}, host); err == nil {
		t.Error("no certificate is accepted")
	}
}

func TestPinWords(t *testing.T) {
	good := "sha256//" + strings.Repeat("A", 43) + "="
	for _, test := range []struct {
		s    Settings
		want string
	}{
		{Settings{Pins: []string{"x"}}, `--pin "x": a pin begins with sha256//`},
		{Settings{Pins: []string{""}}, `--pin "": a pin begins with sha256//`},
		{Settings{Pins: []string{good + ";"}}, `--pin "": a pin begins with sha256//`},
		{Settings{Pins: []string{"sha256//AAAA"}}, `--pin "sha256//AAAA": behind sha256// stands a SHA-256 hash in base64, 44 characters`},
		{Settings{CertPins: []string{"00:11"}}, `--pin-cert "00:11": this is no SHA-256 fingerprint, 64 hexadecimal digits`},
		{Settings{PinOnly: true}, "--pin-only needs --pin or --pin-cert"},
	} {
		if _, err := Load(test.s); err == nil || err.Error() != test.want {
			t.Errorf("%+v: error %v, want %s", test.s, err, test.want)
		}
	}
}

func pairs(s string) (all []string) {
	for ; s != ""; s = s[2:] {
		all = append(all, s[:2])
	}
	return all
}
