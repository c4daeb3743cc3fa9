package trust

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"tlsup/internal/testca"
	"tlsup/internal/zoo"
)

// mustStaple makes a certificate demand a stapled response.
func mustStaple(c *x509.Certificate) {
	value, _ := asn1.Marshal([]int{5})
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: value})
}

// respond makes a response on leaf, signed by one to whom ca gave a certificate with that usage.
func respond(t testing.TB, ca *testca.CA, usage x509.ExtKeyUsage, leaf *x509.Certificate, r ocsp.Response) []byte {
	t.Helper()
	by := must[tls.Certificate](t)(ca.Issue([]string{"responder"}, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{usage} }))
	r.SerialNumber, r.Certificate = leaf.SerialNumber, by.Leaf
	return must[[]byte](t)(ocsp.CreateResponse(ca.Cert, by.Leaf, r, by.PrivateKey.(crypto.Signer)))
}

// told is a client's handshake, and what was noticed in it.
func told(t testing.TB, server *tls.Config, c *Config) (notices string, err error) {
	t.Helper()
	var b strings.Builder
	bound := c.For(Server{Address: "x:1", Protocol: "imap", Notice: func(s string) { b.WriteString(s + "|") }})
	o := handshake(t, server, bound.Client(context.Background(), host, nil))
	return b.String(), o.clientErr
}

func TestStaple(t *testing.T) {
	now := time.Now()
	ca, other := must[*testca.CA](t)(testca.New("Root")), must[*testca.CA](t)(testca.New("Root"))
	roots := write(t, "root.pem", ca.PEM())
	const signing, serverAuth = x509.ExtKeyUsageOCSPSigning, x509.ExtKeyUsageServerAuth
	good := ocsp.Response{Status: ocsp.Good, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
	revoked := ocsp.Response{
		Status: ocsp.Revoked, RevokedAt: now.Add(-time.Hour), RevocationReason: ocsp.KeyCompromise,
		ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour),
	}
	unknown := ocsp.Response{Status: ocsp.Unknown, ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
	old := ocsp.Response{Status: ocsp.Good, ThisUpdate: now.Add(-2 * time.Hour), NextUpdate: now.Add(-time.Hour)}
	early := ocsp.Response{Status: ocsp.Good, ThisUpdate: now.Add(time.Hour), NextUpdate: now.Add(2 * time.Hour)}
	endless := ocsp.Response{Status: ocsp.Good, ThisUpdate: now.Add(-8 * 24 * time.Hour)}
	for _, test := range []struct {
		name   string
		make   func(leaf *x509.Certificate) []byte // nil: none
		notice string
		err    string // "": trusted without must-staple
		proves bool   // must-staple is content
	}{
		{"none", nil, "", "", false},
		{"good", func(l *x509.Certificate) []byte { return respond(t, ca, signing, l, good) }, "", "", true},
		{"revoked", func(l *x509.Certificate) []byte { return respond(t, ca, signing, l, revoked) }, "", "was revoked on " + zoo.Day(0) + " (key compromise), says the stapled OCSP response", false},
		{"unknown", func(l *x509.Certificate) []byte { return respond(t, ca, signing, l, unknown) }, "does not know the certificate", "", false},
		{"old", func(l *x509.Certificate) []byte { return respond(t, ca, signing, l, old) }, "it is out of date since " + old.NextUpdate.UTC().Format("2006-01-02 15:04 UTC"), "", false},
		{"early", func(l *x509.Certificate) []byte { return respond(t, ca, signing, l, early) }, "it is not valid before", "", false},
		{"endless", func(l *x509.Certificate) []byte { return respond(t, ca, signing, l, endless) }, "it is out of date since", "", false},
		{"another authority's", func(l *x509.Certificate) []byte { return respond(t, other, signing, l, revoked) }, "bad OCSP signature", "", false},
		{"by another server", func(l *x509.Certificate) []byte { return respond(t, ca, serverAuth, l, good) }, "somebody who is no OCSP responder", "", false},
		{"on another certificate", func(*x509.Certificate) []byte { return respond(t, ca, signing, ca.Cert, good) }, "ignored", "", false},
		{"garbage", func(*x509.Certificate) []byte { return []byte("\x1b[2J") }, "the stapled OCSP response is ignored: it is no OCSP response|", "", false},
		{"refused", func(*x509.Certificate) []byte { return ocsp.TryLaterErrorResponse }, "ignored: its responder refused to answer: try later|", "", false},
	} {
		for _, demands := range []bool{false, true} {
			var change func(*x509.Certificate)
			if demands {
				change = mustStaple
			}
			cert := must[tls.Certificate](t)(ca.Issue([]string{host}, change))
			if test.make != nil {
				cert.OCSPStaple = test.make(cert.Leaf)
			}
			notices, err := told(t, &tls.Config{Certificates: []tls.Certificate{cert}}, load(t, Settings{CAFiles: []string{roots}}))
			checkText(t, notices, test.notice)
			if test.notice == "" && notices != "" {
				t.Errorf("%s: notice %s", test.name, notices)
			}
			want := test.err
			if demands && !test.proves && want == "" {
				want = "demands a stapled OCSP response (must-staple)"
			}
			if want == "" && err != nil || want != "" && (!errors.As(err, new(*Error)) || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s, must-staple %v: error is %v, want %q", test.name, demands, err, want)
			}
		}
	}
}

// TestStrictStaple: a response that proves nothing can count for more than none.
func TestStrictStaple(t *testing.T) {
	now := time.Now()
	ca := must[*testca.CA](t)(testca.New("Root"))
	c := load(t, Settings{CAFiles: []string{write(t, "root.pem", ca.PEM())}, StrictStaple: true})
	const signing = x509.ExtKeyUsageOCSPSigning
	good := ocsp.Response{Status: ocsp.Good, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
	old := ocsp.Response{Status: ocsp.Good, ThisUpdate: now.Add(-2 * time.Hour), NextUpdate: now.Add(-time.Hour)}
	for _, test := range []struct {
		name string
		make func(leaf *x509.Certificate) []byte
		want error // nil: trusted
	}{
		{"none", func(*x509.Certificate) []byte { return nil }, nil},
		{"good", func(l *x509.Certificate) []byte { return respond(t, ca, signing, l, good) }, nil},
		{"not now", func(*x509.Certificate) []byte { return ocsp.TryLaterErrorResponse }, nil},
		{"old", func(l *x509.Certificate) []byte { return respond(t, ca, signing, l, old) }, ErrOutdated},
		{"on another certificate", func(*x509.Certificate) []byte { return respond(t, ca, signing, ca.Cert, good) }, ErrBadStaple},
		{"garbage", func(*x509.Certificate) []byte { return []byte("\x1b[2J") }, ErrBadStaple},
	} {
		cert := must[tls.Certificate](t)(ca.Issue([]string{host}, nil))
		cert.OCSPStaple = test.make(cert.Leaf)
		if _, err := told(t, &tls.Config{Certificates: []tls.Certificate{cert}}, c); !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s: error is %v, want %v", test.name, err, test.want)
		}
	}
}

func TestOCSPResponder(t *testing.T) {
	now := time.Now()
	ca := must[*testca.CA](t)(testca.New("Root"))
	roots := write(t, "root.pem", ca.PEM())
	var asked atomic.Int32
	var serve func(w http.ResponseWriter, leaf *x509.Certificate)
	var leaf *x509.Certificate
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		if q, err := ocsp.ParseRequest(body); err != nil || q.SerialNumber.Cmp(leaf.SerialNumber) != 0 {
			t.Errorf("the question is %v, %v", q, err)
		}
		serve(w, leaf)
	}))
	defer responder.Close()
	answer := func(status int, by x509.ExtKeyUsage) func(http.ResponseWriter, *x509.Certificate) {
		return func(w http.ResponseWriter, leaf *x509.Certificate) {
			w.Write(respond(t, ca, by, leaf, ocsp.Response{Status: status, RevokedAt: now, ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour)}))
		}
	}
	const signing = x509.ExtKeyUsageOCSPSigning
	for _, test := range []struct {
		name  string
		place string // "": the responder
		serve func(http.ResponseWriter, *x509.Certificate)
		err   string
		asked int32 // for two handshakes
	}{
		{"good", "", answer(ocsp.Good, signing), "", 1},
		{"revoked", "", answer(ocsp.Revoked, signing), "was revoked on " + zoo.Day(0) + ", says its OCSP responder", 1},
		{"unknown", "", answer(ocsp.Unknown, signing), "it does not know the certificate", 2},
		{"forged", "", answer(ocsp.Good, x509.ExtKeyUsageServerAuth), "its answer proves nothing: it is signed by somebody who is no OCSP responder", 2},
		{"broken", "", func(w http.ResponseWriter, _ *x509.Certificate) { w.WriteHeader(500) }, "it answers with HTTP status 500", 2},
		{"endless", "", func(w http.ResponseWriter, _ *x509.Certificate) { w.Write(make([]byte, maxFetch+1)) }, "longer than 65536 bytes", 2},
		{"elsewhere", "", func(w http.ResponseWriter, _ *x509.Certificate) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(307)
		}, "it leads elsewhere", 2},
		{"none", "https://127.0.0.1:1/", nil, "", 0},
	} {
		place := test.place
		if place == "" {
			place = responder.URL
		}
		cert := must[tls.Certificate](t)(ca.Issue([]string{host}, func(c *x509.Certificate) { c.OCSPServer = []string{place} }))
		leaf, serve = cert.Leaf, test.serve
		server := &tls.Config{Certificates: []tls.Certificate{cert}}
		if _, err := told(t, server, load(t, Settings{CAFiles: []string{roots}})); err != nil || asked.Load() != 0 {
			t.Errorf("%s: without being told, %d asked, %v", test.name, asked.Load(), err)
		}
		c := load(t, Settings{CAFiles: []string{roots}, OCSP: true})
		for range 2 {
			notices, err := told(t, server, c)
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("%s: error is %v, want %q", test.name, err, test.err)
			}
			if (test.place != "") != strings.Contains(notices, "nothing was asked") {
				t.Errorf("%s: noticed %q", test.name, notices)
			}
			checkOCSPHint(t, test.err, err)
			// what is said behind the handshake is the same, and nobody is asked for it
			if p := c.Problem(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}, host); fmt.Sprint(p) != fmt.Sprint(err) {
				t.Errorf("%s: then the problem is %v, in the handshake %v", test.name, p, err)
			}
		}
		if n := asked.Swap(0); n != test.asked {
			t.Errorf("%s: asked %d times, want %d", test.name, n, test.asked)
		}
	}
}

// checkOCSPHint: what the hint says can be done, and with a revoked certificate nothing is.
func checkOCSPHint(t *testing.T, want string, err error) {
	t.Helper()
	hint := hintOCSP
	if want == "" {
		return
	} else if errors.Is(err, ErrRevoked) {
		hint = hintRevoked
	}
	var untrusted *Error
	if !errors.As(err, &untrusted) || untrusted.Hint() != hint {
		t.Errorf("the hint on %v is not %s", err, hint)
	}
}

// TestOCSPHint: --insecure can't be added to --ocsp.
func TestOCSPHint(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Root"))
	server := &tls.Config{Certificates: []tls.Certificate{must[tls.Certificate](t)(ca.Issue([]string{host}, nil))}}
	for asks, want := range map[bool]string{false: "; --insecure skips the check, for tests only", true: "; --insecure in place of --ocsp skips the check, for tests only"} {
		_, err := told(t, server, load(t, Settings{NoRoots: true, OCSP: asks}))
		var untrusted *Error
		if !errors.As(err, &untrusted) || !strings.HasSuffix(untrusted.Hint(), want) {
			t.Errorf("--ocsp %v: the hint on %v is not %s", asks, err, want)
		}
	}
}

// TestOCSPKept: an answer is kept as long as it says, and one that does not say is not kept for long.
func TestOCSPKept(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Root"))
	var asked atomic.Int32
	var answer ocsp.Response
	var leaf *x509.Certificate
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Write(respond(t, ca, x509.ExtKeyUsageOCSPSigning, leaf, answer))
	}))
	defer responder.Close()
	leaf = must[tls.Certificate](t)(ca.Issue([]string{host}, func(c *x509.Certificate) { c.OCSPServer = []string{responder.URL} })).Leaf
	c := load(t, Settings{OCSP: true})
	first := time.Now()
	answer = ocsp.Response{Status: ocsp.Good, ThisUpdate: first.Add(-time.Minute)}
	for _, test := range []struct {
		after time.Duration
		says  time.Duration // the answer, of how long it is good for; 0: nothing
		asked int32
	}{
		{0, 0, 1},
		{4 * time.Minute, 0, 1},
		{5 * time.Minute, 0, 2},
		{9 * time.Minute, 0, 2},
		{11 * time.Minute, time.Hour, 3},
		{50 * time.Minute, time.Hour, 3},
		{60 * time.Minute, 0, 4},
	} {
		if answer.NextUpdate = (time.Time{}); test.says != 0 {
			answer.NextUpdate = first.Add(test.says)
		}
		problems := c.ocsp.check(leaf, ca.Cert, first.Add(test.after), &handling{ctx: t.Context(), notice: c.notice})
		if problems != nil || asked.Load() != test.asked {
			t.Errorf("after %v: asked %d times, want %d; %+v", test.after, asked.Load(), test.asked, problems)
		}
	}
}

func TestCRL(t *testing.T) {
	now := time.Now()
	ca := must[*testca.CA](t)(testca.New("Root"))
	between := must[*testca.CA](t)(ca.Intermediate("Between", nil))
	namesake := must[*testca.CA](t)(testca.New("Between"))
	cert := must[tls.Certificate](t)(between.Issue([]string{host}, nil))
	roots := write(t, "root.pem", ca.PEM())
	list := func(by *testca.CA, revoked *x509.Certificate, change func(*x509.RevocationList)) []byte {
		return must[[]byte](t)(by.CRL(func(l *x509.RevocationList) {
			if revoked != nil {
				l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: revoked.SerialNumber, RevocationTime: now, ReasonCode: 4}}
			}
			if change != nil {
				change(l)
			}
		}))
	}
	outdated := func(l *x509.RevocationList) {
		l.ThisUpdate, l.NextUpdate = now.Add(-48*time.Hour), now.Add(-24*time.Hour)
	}
	inPEM := func(ders ...[]byte) []byte {
		var b bytes.Buffer
		for _, der := range ders {
			pem.Encode(&b, &pem.Block{Type: "X509 CRL", Bytes: der})
		}
		return b.Bytes()
	}
	for _, test := range []struct {
		name, notice, err string
		file              []byte
	}{
		{"clean", "", "", list(between, nil, nil)},
		{"revoked", "", "certificate CN=mail.example.org was revoked on " + zoo.Day(0) + " (superseded), says the list in ", list(between, cert.Leaf, nil)},
		{"revoked, in PEM", "", "was revoked", inPEM(list(ca, nil, nil), list(between, cert.Leaf, nil))},
		{"the intermediate", "", "certificate CN=Between (2 of 2 sent) was revoked", list(ca, between.Cert, nil)},
		{"another's serial number", "", "", list(ca, cert.Leaf, nil)},
		{"a namesake's", "it has the name of CN=Between, and not its signature", "", list(namesake, cert.Leaf, nil)},
		{"out of date", "", "may have been revoked: the list of CN=Between in ", list(between, nil, outdated)},
		{"out of date, and revoked", "", "was revoked", list(between, cert.Leaf, outdated)},
		{"out of date, and a new one", "", "", inPEM(list(between, nil, outdated), list(between, nil, nil))},
	} {
		c := load(t, Settings{CAFiles: []string{roots}, CRLFiles: []string{write(t, "crl", test.file)}})
		notices, err := told(t, &tls.Config{Certificates: []tls.Certificate{cert}}, c)
		if test.err == "" && err != nil || test.err != "" && (!errors.As(err, new(*Error)) || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%s: error is %v, want %q", test.name, err, test.err)
		}
		if checkText(t, notices, test.notice); test.notice == "" && notices != "" {
			t.Errorf("%s: noticed %s", test.name, notices)
		}
	}
	delta := list(between, nil, func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}
	})
	for content, want := range map[string]string{
		string(delta): "not supported, such as a delta CRL", "": "the file is empty", "\x30\x00": "a list in it cannot be read", string(ca.PEM()): "its PEM blocks are",
	} {
		file := write(t, "crl", []byte(content))
		if _, err := Load(Settings{CRLFiles: []string{file}}); err == nil || !strings.HasPrefix(err.Error(), "--x509crlfile "+file+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}
