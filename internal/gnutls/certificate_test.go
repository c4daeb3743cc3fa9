package gnutls

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testca"
)

func TestDistinguished(t *testing.T) {
	for _, test := range []struct {
		name pkix.Name
		want string
	}{
		{pkix.Name{CommonName: "localhost", Organization: []string{"Ex, Inc"}, Country: []string{"DE"}}, `CN=localhost,O=Ex\, Inc,C=DE`},
		{pkix.Name{CommonName: " #a\"+;<>\\ "}, `CN=\ #a\"\+\;\<\>\\\ `},
		{pkix.Name{CommonName: "#a"}, `CN=\#a`},
		{pkix.Name{CommonName: "a\x1b[31m\u202eb"}, `CN=a\1B[31m\E2\80\AEb`},
		{pkix.Name{CommonName: "Ärger"}, "CN=Ärger"},
		{pkix.Name{}, ""},
	} {
		raw, err := asn1.Marshal(test.name.ToRDNSequence())
		if err != nil {
			t.Fatal(err)
		}
		if got := distinguished(raw); got != test.want {
			t.Errorf("%v: %s, want %s", test.name, got, test.want)
		}
	}
	if got := distinguished([]byte{1, 2}); got != "#0102" {
		t.Errorf("what is no name: %s", got)
	}
}

func TestStatusWords(t *testing.T) {
	now := time.Now()
	expired := x509.CertificateInvalidError{Cert: &x509.Certificate{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)}, Reason: x509.Expired}
	early := x509.CertificateInvalidError{Cert: &x509.Certificate{NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)}, Reason: x509.Expired}
	for _, test := range []struct {
		errs []error
		want string
	}{
		{[]error{x509.UnknownAuthorityError{}}, "The certificate issuer is unknown. "},
		{[]error{expired}, "The certificate chain uses expired certificate. "},
		{[]error{early}, "The certificate chain uses not yet valid certificate. "},
		{[]error{x509.HostnameError{}, expired}, "The certificate chain uses expired certificate. The name in the certificate does not match the expected. "},
		{[]error{x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}}, "The certificate issuer is not a CA. "},
		{[]error{x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}}, "The certificate chain does not match the intended purpose. "},
		{[]error{x509.UnhandledCriticalExtension{}}, "The certificate contains an unknown critical extension. "},
		{[]error{errors.New("another")}, ""},
	} {
		if got := statusWords(test.errs, time.Now()); got != test.want {
			t.Errorf("%v: %q, want %q", test.errs, got, test.want)
		}
	}
}

func TestHello(t *testing.T) {
	hello := append([]byte{22, 3, 3, 0, 80, 2, 0, 0, 76, 3, 3}, make([]byte, 32)...)
	hello = append(hello, 4, 0xde, 0xad, 0xbe, 0xef, 0x13, 0x01)
	for _, size := range []int{1, 7, len(hello)} {
		var h Hello
		for at := 0; at < len(hello); at += size {
			h.Take(hello[at:min(at+size, len(hello))])
		}
		if !bytes.Equal(h.ID(), []byte{0xde, 0xad, 0xbe, 0xef}) {
			t.Errorf("in pieces of %d: %x", size, h.ID())
		}
	}
	for _, b := range [][]byte{nil, hello[:20], {21, 3, 3, 0, 2, 2, 40}, append([]byte{21}, hello[1:]...)} {
		var h Hello
		h.Take(b)
		if h.ID() != nil {
			t.Errorf("%x has the ID %x", b, h.ID())
		}
	}
}

// TestCertificates: the form of what is listed; the words are compared with those of the real
// program by the tests of package main.
func TestCertificates(t *testing.T) {
	ca, err := testca.New("test")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue([]string{"localhost", "127.0.0.1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	certs := []*x509.Certificate{leaf.Leaf, ca.Cert}
	for _, test := range []struct {
		verbose, asPEM bool
		pem            int
	}{{false, false, 0}, {false, true, 2}, {true, false, 2}} {
		var b bytes.Buffer
		writeCertificates(&b, certs, test.verbose, test.asPEM)
		got := b.String()
		if n := strings.Count(got, "-----BEGIN CERTIFICATE-----\n"); n != test.pem {
			t.Errorf("%+v: %d certificates as PEM", test, n)
		}
		if !strings.HasPrefix(got, "- Certificate type: X.509\n- Got a certificate list of 2 certificates.\n- Certificate[0] info:\n - ") {
			t.Errorf("%+v: it begins with %q", test, got)
		}
		if test.verbose != strings.Contains(got, "\t\t\tDNSname: localhost\n\t\t\tIPAddress: 127.0.0.1\n") {
			t.Errorf("%+v: %s", test, got)
		}
	}
}
