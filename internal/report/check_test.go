package report

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/ocsp"

	"tlsup/internal/connect"
	"tlsup/internal/jsontest"
	"tlsup/internal/testca"
	"tlsup/internal/testserver"
	"tlsup/internal/trust"
)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// valid asserts that the report is one line of JSON that the schema describes, and that what a
// person sees of it can be shown and fits.
func valid(t testing.TB, r *Report) {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	jsontest.Compile(t, Schema).Lines(t, b.String(), 1)
	for _, width := range []int{0, 60, 80} {
		text := textOf(t, r, Style{Width: width})
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); width > 0 && n > width {
				t.Errorf("%d columns of %d: %q", n, width, line)
			}
			for _, c := range line {
				if !strconv.IsPrint(c) {
					t.Errorf("%q cannot be shown", line)
				}
			}
		}
	}
}

func textOf(t testing.TB, r *Report, style Style) string {
	t.Helper()
	var b strings.Builder
	if err := r.Text(&b, style); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A server is one of testserver's, and how to check it.
type server struct {
	*testserver.Server
	scheme string
	trust  trust.Settings
}

func start(t testing.TB, scheme string, change func(*tls.Config)) *server {
	t.Helper()
	s := must[*testserver.Server](t)(testserver.Start(scheme, change))
	t.Cleanup(func() { s.Close() })
	return &server{s, scheme, trust.Settings{CAFiles: []string{file(t, s.CA.PEM())}, VerifyName: testserver.Host}}
}

func file(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// check checks the server, and asserts what has to hold for every report.
func (s *server) check(t testing.TB, o Options) *Report {
	t.Helper()
	target := must[connect.Target](t)(connect.ParseTarget(s.scheme+"://"+s.Addr.String(), "", nil))
	return checked(t, target, s.trust, o)
}

func checked(t testing.TB, target connect.Target, settings trust.Settings, o Options) *Report {
	t.Helper()
	o.Connect.Network, o.Timeout = "tcp", cmp.Or(o.Timeout, 30*time.Second)
	o.Connect.Trust = must[*trust.Config](t)(trust.Load(settings))
	r := must[*Report](t)(Check(t.Context(), target.Protocol.Name+"://"+target.Address(), target, o))
	valid(t, r)
	if (r.Status == 0) != (r.Error == nil) || (r.Err() == nil) != (r.Error == nil) {
		t.Errorf("status %d, error %+v, %v", r.Status, r.Error, r.Err())
	}
	return r
}

func TestSuccess(t *testing.T) {
	s := start(t, "smtp", nil)
	r := s.check(t, Options{Timeline: true})
	if r.Status != 0 || *r.Address != s.Addr.String() || r.Protocol != "smtp" || r.Start != "upgrade" {
		t.Fatalf("%+v, %+v", r, r.Error)
	}
	tlsSession := r.TLS
	if tlsSession.Version != "TLS 1.3" || *tlsSession.Group != "X25519MLKEM768" || !tlsSession.PostQuantum ||
		*tlsSession.Signature != "ecdsa_secp256r1_sha256" || *tlsSession.ServerName != testserver.Host || !*tlsSession.SessionTicket {
		t.Errorf("%+v", tlsSession)
	}
	v := r.Verification
	if !v.Trusted || v.Name != testserver.Host || *v.Anchor.File != s.trust.CAFiles[0] || len(r.Chain) != 2 {
		t.Fatalf("%+v, %d certificates", v, len(r.Chain))
	}
	if leaf, root := r.Chain[0], r.Chain[1]; !leaf.Sent || !leaf.Used || leaf.Anchor || root.Sent || !root.Used || !root.Anchor || !root.Authority {
		t.Errorf("%+v", r.Chain)
	}
	for _, ms := range []*float64{r.Milliseconds.Connect, r.Milliseconds.Upgrade, r.Milliseconds.Handshake} {
		if ms == nil {
			t.Errorf("a time is missing: %+v", r.Milliseconds)
		}
	}
	inOrder(t, r.Timeline, "connect to ", "connected", "220 mail.example.org", "EHLO ", "STARTTLS", "220 ", "ClientHello, ", "ServerHello, ", "handshake done: ", "close_notify", "close_notify")
}

// inOrder asserts that events begin so, in this order, among others.
func inOrder(t *testing.T, events []Event, texts ...string) {
	t.Helper()
	at := 0.0
	for _, e := range events {
		if len(texts) > 0 && strings.HasPrefix(e.Text, texts[0]) {
			texts = texts[1:]
		}
		if e.At < at {
			t.Errorf("%q was before the one before it", e.Text)
		}
		at = e.At
	}
	if len(texts) > 0 {
		t.Errorf("no %q in its place in %+v", texts[0], events)
	}
}

// TestAuto: the report names what the server was taken for.
func TestAuto(t *testing.T) {
	s := start(t, "imap", nil)
	s.scheme = "auto"
	if r := s.check(t, Options{}); r.Status != 0 || r.Protocol != "imap" || r.Recognised == nil {
		t.Errorf("%+v, %+v", r, r.Error)
	}
	s = start(t, "imaps", nil) // says nothing before TLS, on a port that is nobody's
	s.scheme = "auto"
	r := s.check(t, Options{})
	if r.Status != connect.StatusNoUpgrade || r.Start != "unknown" || r.Recognised != nil {
		t.Errorf("%+v, %+v", r, r.Error)
	}
	if text := textOf(t, r, Style{}); !strings.Contains(text, "auto, not recognised\n") {
		t.Error(text)
	}
}

func TestBeforeTLS13(t *testing.T) {
	s := start(t, "pop3", func(c *tls.Config) {
		c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS12
		c.CurvePreferences = []tls.CurveID{tls.CurveP256}
	})
	r := s.check(t, Options{Timeline: true})
	if r.Status != 0 || *r.TLS.Group != "P-256" || r.TLS.PostQuantum || *r.TLS.Signature != "ecdsa_secp256r1_sha256" {
		t.Errorf("%+v, %+v", r.TLS, r.Error)
	}
	inOrder(t, r.Timeline, "ClientHello, ", "ServerHello, Certificate, ServerKeyExchange, ServerHelloDone, ", "ClientKeyExchange, ChangeCipherSpec, Finished, ", "NewSessionTicket, ChangeCipherSpec, Finished, ", "handshake done: TLS 1.2, ")
	s.trust.TLSMin, s.trust.TLSMax = "1.0", "1.1"
	if r := s.check(t, Options{}); r.Status != 0 || *r.TLS.Signature != "ecdsa_sha1" {
		t.Errorf("%+v, %+v", r.TLS, r.Error)
	}
}

// A server of which the first byte has to be waited for.
func TestFirstByte(t *testing.T) {
	r := start(t, "imaps", nil).check(t, Options{Timeline: true})
	if r.Milliseconds.FirstByte == nil || r.Milliseconds.Upgrade != nil || r.Start != "first byte" {
		t.Errorf("%+v", r)
	}
	inOrder(t, r.Timeline, "handshake done", "first byte inside TLS")
}

func TestFailures(t *testing.T) {
	status := func(want int, step string, r *Report) *Report {
		t.Helper()
		if r.Status != want || r.Error == nil || r.Error.Step != step {
			t.Errorf("status %d, %+v; wanted %d at %s", r.Status, r.Error, want, step)
		}
		return r
	}
	free := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	free.Close()
	target := must[connect.Target](t)(connect.ParseTarget("imap://"+free.Addr().String(), "", nil))
	r := status(connect.StatusNoConnection, "connect", checked(t, target, trust.Settings{}, Options{Timeline: true}))
	if r.Address != nil || r.TLS != nil {
		t.Errorf("%+v", r)
	}

	smtp := start(t, "smtp", nil)
	smtp.scheme = "pop3"
	r = status(connect.StatusNoUpgrade, "greeting", smtp.check(t, Options{Timeline: true}))
	if r.Address == nil || r.TLS != nil || r.Milliseconds.Upgrade != nil {
		t.Errorf("%+v", r)
	}

	old := start(t, "smtp", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	r = status(connect.StatusHandshake, "handshake", old.check(t, Options{Timeline: true}))
	if r.TLS != nil || r.Milliseconds.Upgrade == nil || r.Milliseconds.Handshake != nil {
		t.Errorf("%+v", r)
	}
	inOrder(t, r.Timeline, "ClientHello, ", "alert: protocol version not supported, ")

	// With TLS 1.3 the server refuses behind the handshake.
	for _, max := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		wants := start(t, "imap", func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, max })
		r = status(connect.StatusHandshake, "handshake", wants.check(t, Options{Timeline: true}))
		if r.TLS == nil || !r.TLS.ClientCertificate.Requested || r.TLS.ClientCertificate.Sent || !r.Verification.Trusted {
			t.Errorf("%+v, %+v", r.TLS, r.Verification)
		}
	}
}

// A certificate that is not trusted is reported in full.
func TestNotTrusted(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("\x1b[31mroot\u202e"))
	expired := must[tls.Certificate](t)(ca.Issue([]string{"other.example.net"}, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-30*24*time.Hour), time.Now().Add(-36*time.Hour)
	}))
	change := func(c *tls.Config) { c.Certificates = []tls.Certificate{expired} }
	s := start(t, "imap", change)
	s.trust.CAFiles = []string{file(t, ca.PEM())}
	r := s.check(t, Options{})
	if r.Status != connect.StatusNotTrusted || r.Error.Step != "verify" || len(r.Verification.Reasons) != 2 || r.Verification.Anchor != nil {
		t.Fatalf("%+v, %+v", r.Error, r.Verification)
	}
	text := textOf(t, r, Style{})
	for _, want := range []string{
		": NOT TRUSTED\n", "version    TLS 1.3, ", `issued by  CN=\x1b[31mroot\u202e, `, "ended 1 day ago",
		"problem      certificate CN=other.example.net expired on ", " is not valid for " + testserver.Host, "  hint       the server's operator",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(textOf(t, r, Style{Colour: true}), "\x1b[31mroot") {
		t.Error("the certificate colours the report")
	}

	s.trust.Insecure = true
	if r := s.check(t, Options{}); r.Status != 0 || r.Warning() == "" || r.Verification.Trusted {
		t.Errorf("%+v", r)
	}
}

func TestExpiry(t *testing.T) {
	s := start(t, "imap", nil) // its certificate ends in 23 hours, the root's in 24
	r := s.check(t, Options{ExpiresIn: 22 * time.Hour, ExpiresText: "22h"})
	if r.Status != 0 {
		t.Errorf("%+v", r.Error)
	}
	r = s.check(t, Options{ExpiresIn: 24*time.Hour - time.Minute, ExpiresText: "1d"})
	if r.Status != connect.StatusNotTrusted || !strings.HasPrefix(r.Error.Reason, "certificate CN="+testserver.Host+" ends on ") || !strings.HasSuffix(r.Error.Reason, ": sooner than in 1d") {
		t.Errorf("%+v", r.Error)
	}
	if !r.Verification.Trusted || !r.Chain[0].EndsTooSoon || r.Chain[1].EndsTooSoon {
		t.Errorf("%+v, %+v", r.Verification, r.Chain)
	}
	if text := textOf(t, r, Style{}); !strings.Contains(text, "FAILED\n") || !strings.Contains(text, "problem      certificate CN=") {
		t.Error(text)
	}
}

// A certificate of many names is cut for a person alone.
func TestManyNames(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("root"))
	names := []string{testserver.Host}
	for i := range 499 {
		names = append(names, fmt.Sprintf("%d.example.org", i))
	}
	leaf := must[tls.Certificate](t)(ca.Issue(names, nil))
	s := start(t, "imaps", func(c *tls.Config) { c.Certificates = []tls.Certificate{leaf} })
	s.trust.CAFiles = []string{file(t, ca.PEM())}
	r := s.check(t, Options{})
	if text := textOf(t, r, Style{}); len(r.Chain[0].Names) != 500 || !strings.Contains(text, ", 18.example.org and 480 more\n") {
		t.Errorf("%d names in\n%s", len(r.Chain[0].Names), text)
	}
}

// Nor is a name taken for two, and of a chain without end the beginning is shown.
func TestTextOfOddChain(t *testing.T) {
	chain := make([]Certificate, 30)
	chain[0].Names = []string{"a, good.example.org", `b"`, ""}
	r := &Report{TLS: &Session{}, Verification: &Verification{}, Chain: chain}
	text := textOf(t, r, Style{})
	if !strings.Contains(text, `  names      "a, good.example.org", "b\"", ""`+"\n") || !strings.Contains(text, "\n19 ") || !strings.Contains(text, "\nand 10 more certificates\n") || strings.Contains(text, "\n20 ") {
		t.Error(text)
	}
}

func TestPEM(t *testing.T) {
	root := must[*testca.CA](t)(testca.New("root"))
	inter := must[*testca.CA](t)(root.Intermediate("intermediate", nil))
	leaf := must[tls.Certificate](t)(inter.Issue([]string{testserver.Host}, nil))
	s := start(t, "imaps", func(c *tls.Config) { c.Certificates = []tls.Certificate{leaf} })
	s.trust.CAFiles = []string{file(t, root.PEM())}
	r := s.check(t, Options{PEM: true})
	cert, _, err := testca.EncodePEM(leaf)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for line := range strings.Lines(string(r.PEM())) {
		if !strings.HasPrefix(line, "# ") {
			got += line
		}
	}
	if got != string(cert) || *r.Chain[0].PEM+*r.Chain[1].PEM != string(cert) {
		t.Errorf("the chain is\n%s\nwanted\n%s", r.PEM(), cert)
	}
}

// staple makes a response on leaf by a responder of the authority.
func staple(t *testing.T, ca *testca.CA, leaf *x509.Certificate, template ocsp.Response) []byte {
	t.Helper()
	responder := must[tls.Certificate](t)(ca.Issue([]string{"responder"}, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	}))
	template.SerialNumber, template.Certificate = leaf.SerialNumber, responder.Leaf
	return must[[]byte](t)(ocsp.CreateResponse(ca.Cert, responder.Leaf, template, responder.PrivateKey.(crypto.Signer)))
}

func TestOCSP(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	ca := must[*testca.CA](t)(testca.New("root"))
	other := must[*testca.CA](t)(testca.New("root"))
	minute := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
	for _, test := range []struct {
		name     string
		template ocsp.Response
		by       *testca.CA
		state    string
		problem  string
		text     string
	}{
		{"good", ocsp.Response{Status: ocsp.Good, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}, ca, "good", "", "stapled response: good, of " + minute(now.Add(-time.Hour)) + " until " + minute(now.Add(time.Hour)) + "\n"},
		{"revoked", ocsp.Response{Status: ocsp.Revoked, RevokedAt: now.Add(-time.Hour), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}, ca, "revoked", "", "stapled response: revoked since " + minute(now.Add(-time.Hour)) + ", of "},
		{"old", ocsp.Response{Status: ocsp.Good, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(-time.Minute)}, ca, "good", "it is out of date", " until " + minute(now.Add(-time.Minute)) + "; it is out of date"},
		{"forged", ocsp.Response{Status: ocsp.Good, ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, other, "unreadable", "bad OCSP signature", "stapled response: unreadable; bad OCSP signature"},
		{"far", ocsp.Response{Status: ocsp.Good, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(96 * time.Hour)}, ca, "good", "", " until " + now.Add(96*time.Hour).UTC().Format(time.DateOnly) + "\n"},
		{"garbage", ocsp.Response{}, nil, "unreadable", "it is no OCSP response", "stapled response: unreadable; it is no OCSP response\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			leaf := must[tls.Certificate](t)(ca.Issue([]string{testserver.Host}, func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: must[[]byte](t)(asn1.Marshal([]int{5}))}} // must-staple
			}))
			leaf.OCSPStaple = []byte("no response")
			if test.by != nil {
				leaf.OCSPStaple = staple(t, test.by, leaf.Leaf, test.template)
			}
			s := start(t, "imaps", func(c *tls.Config) { c.Certificates = []tls.Certificate{leaf} })
			s.trust.CAFiles = []string{file(t, ca.PEM())}
			r := s.check(t, Options{})
			if r.OCSP == nil || r.OCSP.State != test.state || !r.Chain[0].MustStaple {
				t.Fatalf("%+v", r.OCSP)
			}
			if trusted := test.state == "good" && test.problem == ""; trusted != (r.Status == connect.StatusOK) || trusted != r.Verification.Trusted {
				t.Errorf("status %d, %+v", r.Status, r.Verification)
			}
			if got := or(r.OCSP.Problem, ""); !strings.Contains(got, test.problem) || got != "" && test.problem == "" && test.by != nil {
				t.Errorf("the problem is %q", got)
			}
			if text := textOf(t, r, Style{}); !strings.Contains(text, test.text) {
				t.Errorf("no %q in\n%s", test.text, text)
			}
		})
	}
}

// TestSilentResponder: an OCSP responder that does not answer has no more time than the server, which is
// not blamed for it.
func TestSilentResponder(t *testing.T) {
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0")) // connections to it wait to be accepted
	defer l.Close()
	ca := must[*testca.CA](t)(testca.New("root"))
	leaf := must[tls.Certificate](t)(ca.Issue([]string{testserver.Host}, func(c *x509.Certificate) { c.OCSPServer = []string{"http://" + l.Addr().String()} }))
	s := start(t, "imaps", func(c *tls.Config) { c.Certificates = []tls.Certificate{leaf} })
	s.trust.CAFiles, s.trust.OCSP = []string{file(t, ca.PEM())}, true
	r := s.check(t, Options{Timeout: time.Second})
	if r.Status != connect.StatusNotTrusted || r.Error.Step != "verify" || !strings.Contains(r.Error.Reason, l.Addr().String()+"\": it did not answer in time") {
		t.Errorf("status %d, %+v", r.Status, r.Error)
	}
}

// sctOf makes an SCT of a time, without a signature worth the name.
func sctOf(at time.Time) []byte {
	sct := make([]byte, 1+32, 50)
	sct = binary.BigEndian.AppendUint64(sct, uint64(at.UnixMilli()))
	return append(sct, 0, 0, 4, 3, 0, 0)
}

func TestSCTs(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	sct := sctOf(at)
	list := binary.BigEndian.AppendUint16(nil, uint16(2*(len(sct)+2)))
	for range 2 {
		list = append(binary.BigEndian.AppendUint16(list, uint16(len(sct))), sct...)
	}
	ca := must[*testca.CA](t)(testca.New("root"))
	leaf := must[tls.Certificate](t)(ca.Issue([]string{testserver.Host}, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: oidSCTs, Value: must[[]byte](t)(asn1.Marshal(list))}}
	}))
	leaf.SignedCertificateTimestamps = [][]byte{sct, []byte("short"), sctOf(time.UnixMilli(1 << 60))}
	s := start(t, "imaps", func(c *tls.Config) { c.Certificates = []tls.Certificate{leaf} })
	s.trust.CAFiles = []string{file(t, ca.PEM())}
	r := s.check(t, Options{})
	var sources []string
	for _, sct := range r.SCTs {
		if sources = append(sources, sct.Source); !sct.Time.Equal(at) {
			t.Errorf("%+v", sct)
		}
	}
	if !slices.Equal(sources, []string{"handshake", "certificate", "certificate"}) {
		t.Errorf("%v", sources)
	}
	if text := textOf(t, r, Style{}); !strings.Contains(text, "SCTs       2 in the certificate, 1 in the handshake (") {
		t.Error(text)
	}
}

func TestScan(t *testing.T) {
	accepted := func(tries []Try) (names []string) {
		for _, try := range tries {
			if try.Accepted != nil && *try.Accepted {
				names = append(names, try.Name)
			}
		}
		return names
	}
	s := start(t, "smtp", func(c *tls.Config) {
		c.MinVersion = tls.VersionTLS11
		c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}
		c.CurvePreferences = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP384}
	})
	r := s.check(t, Options{Scan: true})
	for _, c := range []struct {
		got  []Try
		want []string
	}{
		{r.Scan.Versions, []string{"TLS 1.3", "TLS 1.2", "TLS 1.1"}},
		{r.Scan.Suites, []string{"ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-GCM-SHA256"}},
		{r.Scan.Groups, []string{"X25519MLKEM768", "X25519", "P-384"}},
	} {
		if got := accepted(c.got); !slices.Equal(got, c.want) {
			t.Errorf("accepted are %v, wanted %v", got, c.want)
		}
	}
	if r.Scan.Chosen13 == nil || r.Scan.Incomplete != nil {
		t.Errorf("%+v", r.Scan)
	}
	text := textOf(t, r, Style{Width: 80})
	for _, want := range []string{"TLS 1.1  accepted, though it is weak\n", "refused (protocol version not supported): TLS 1.0\n", "not tried, since crypto/tls can't\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	// What the protocol can't carry is not tried; a server that knows only what is old is scanned too.
	r = start(t, "mssql", nil).check(t, Options{Scan: true})
	if try := r.Scan.Versions[0]; try.Accepted != nil || *try.Reason != "mssql is not for it" {
		t.Errorf("%+v", try)
	}
	r = start(t, "smtp", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 }).check(t, Options{Scan: true})
	if r.Status != connect.StatusHandshake || !slices.Equal(accepted(r.Scan.Versions), []string{"TLS 1.0"}) {
		t.Errorf("%+v", r.Scan)
	}
}

// A server that knows nothing but what is not offered by default is scanned with that.
func TestScanOfOldServer(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("root"))
	leaf := must[tls.Certificate](t)(ca.IssueFor(must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048)), []string{testserver.Host}, func(c *x509.Certificate) {
		c.KeyUsage |= x509.KeyUsageKeyEncipherment
	}))
	s := start(t, "imaps", func(c *tls.Config) {
		c.Certificates, c.MinVersion, c.MaxVersion = []tls.Certificate{leaf}, tls.VersionTLS10, tls.VersionTLS12
		c.CipherSuites = []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}
	})
	s.trust.CAFiles = []string{file(t, ca.PEM())}
	r := s.check(t, Options{Scan: true})
	if r.Status != connect.StatusHandshake {
		t.Errorf("%+v", r.Error)
	}
	text := textOf(t, r, Style{})
	for _, want := range []string{"\n  TLS 1.2  accepted\n", "\n  DES-CBC3-SHA  accepted, though it is weak\n", "\n  refused (handshake failure): X25519, P-256, P-384, P-521\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	s.trust.TLSMax, s.trust.Ciphers = "1.2", "DES-CBC3-SHA"
	r = s.check(t, Options{})
	if r.Status != 0 || r.TLS.Group != nil || r.TLS.Signature != nil {
		t.Errorf("%+v, %+v", r.Error, r.TLS)
	}
	if text := textOf(t, r, Style{}); !strings.Contains(text, "  group      none: RSA key exchange, without forward secrecy\n  signature  none: RSA key exchange\n") {
		t.Error(text)
	}
}

// A scan leaves a server alone that takes no more connections.
func TestScanIsGivenUp(t *testing.T) {
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	s := start(t, "imap", nil)
	taken := make(chan int, 1)
	go func() {
		n := 0
		for {
			conn, err := l.Accept()
			if err != nil {
				taken <- n
				return
			}
			if n++; n > 3 {
				conn.Close()
				continue
			}
			go relay(conn, s.Addr.String())
		}
	}()
	target := must[connect.Target](t)(connect.ParseTarget("imap://"+l.Addr().String(), "", nil))
	r := checked(t, target, s.trust, Options{Scan: true})
	l.Close()
	if n := <-taken; r.Scan.Incomplete == nil || n != 3+mostFailed {
		t.Errorf("%d connections; %+v", n, r.Scan.Incomplete)
	}
}

// relay carries bytes between a connection and a server.
func relay(conn net.Conn, to string) {
	defer conn.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go io.Copy(server, conn)
	io.Copy(conn, server)
}

func TestCheckIsCancelled(t *testing.T) {
	s := start(t, "imap", nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	o := Options{Timeout: time.Minute}
	o.Connect.Network = "tcp"
	o.Connect.Trust = must[*trust.Config](t)(trust.Load(s.trust))
	o.Connect.Dialing = func(string) { cancel(why) }
	target := must[connect.Target](t)(connect.ParseTarget("imap://"+s.Addr.String(), "", nil))
	if r, err := Check(ctx, "x", target, o); err != why {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTable(t *testing.T) {
	s := start(t, "imap", nil)
	good := s.check(t, Options{})
	s.trust.VerifyName = "other.example.net"
	bad := s.check(t, Options{})
	for _, width := range []int{0, 80} {
		var b strings.Builder
		table := must[*Table](t)(NewTable(&b, Style{Width: width}, []string{good.Target, bad.Target}))
		for _, r := range []*Report{good, bad} {
			if err := table.Row(r); err != nil {
				t.Fatal(err)
			}
		}
		lines := strings.Split(b.String(), "\n")
		at := strings.Index(lines[0], "RESULT")
		if lines[1][at:] != "trusted" || !strings.HasPrefix(lines[2][at:], "verify") {
			t.Error(b.String())
		}
		for _, line := range lines {
			if width > 0 && len(line) > width {
				t.Errorf("%d columns: %q", len(line), line)
			}
		}
		if width == 0 && len(lines) != 4 {
			t.Errorf("a row takes more than a line:\n%s", b.String())
		}
	}
}

func TestJSONNames(t *testing.T) {
	// What jq reads stays: a name that goes away is a new format.
	var r map[string]any
	var b bytes.Buffer
	if err := start(t, "imap", nil).check(t, Options{}).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"tls.version", "tls.cipher_suite", "tls.group", "verification.trusted", "milliseconds.handshake"} {
		outer, inner, _ := strings.Cut(path, ".")
		if _, ok := r[outer].(map[string]any)[inner]; !ok {
			t.Errorf("no %s", path)
		}
	}
}

func TestECH(t *testing.T) {
	key, list, err := testca.ECH(testserver.Host)
	if err != nil {
		t.Fatal(err)
	}
	_, old, err := testca.ECH(testserver.Host)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	use := func(c *tls.Config) { c.EncryptedClientHelloKeys = []tls.EncryptedClientHelloKey{key} }
	for _, test := range []struct {
		name   string
		server func(*tls.Config)
		config []byte
		status int
		want   *ECH
		text   string
	}{
		{"not offered", use, nil, 0, nil, "trusted for"},
		{"accepted", use, list, 0, &ECH{Accepted: true}, "ECH        accepted: the name was encrypted\n"},
		{"accepted at last", use, old, 0, &ECH{Accepted: true, Retried: true, RetryConfig: optional(encode(list))}, "ECH        accepted, the second time: the server wants " + encode(list) + "\n"},
		{"rejected", nil, list, connect.StatusHandshake, &ECH{}, "FAILED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, "imap", test.server)
			if test.config != nil {
				s.trust.ECH = encode(test.config)
			}
			r := s.check(t, Options{Timeline: true})
			if r.Status != test.status || !reflect.DeepEqual(r.ECH, test.want) {
				t.Errorf("status %d (%v), ECH %+v", r.Status, r.Err(), r.ECH)
			}
			if text := textOf(t, r, Style{}); !strings.Contains(text, test.text) {
				t.Errorf("the report is\n%s", text)
			}
		})
	}
}
