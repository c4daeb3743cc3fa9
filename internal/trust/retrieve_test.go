package trust

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testca"
)

// TestRetrieve fetches issuers that a server leaves out, as far as a chain leads, and no further.
func TestRetrieve(t *testing.T) {
	root, other := must[*testca.CA](t)(testca.New("Root")), must[*testca.CA](t)(testca.New("Other"))
	var files http.ServeMux
	web := httptest.NewServer(&files)
	t.Cleanup(web.Close)
	at := func(path string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			if path != "" {
				c.IssuingCertificateURL = []string{"ldap://127.0.0.1/", web.URL + path}
			}
		}
	}
	serve := func(path string, content []byte) {
		files.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })
	}
	under := func(ca *testca.CA, name, path string) *testca.CA {
		return must[*testca.CA](t)(ca.Intermediate(name, at(path)))
	}
	one := under(root, "One", "/root")
	two := under(one, "Two", "/one")
	rogue := under(other, "Rogue", "/other")
	serve("/root", root.Cert.Raw)
	serve("/other", other.Cert.Raw)
	serve("/one", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.Cert.Raw}))
	serve("/two", two.Cert.Raw)
	serve("/rogue", rogue.Cert.Raw)
	serve("/garbage", []byte("\x1b[2J"))
	serve("/endless", make([]byte, maxFetch+1))
	files.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://127.0.0.1/", http.StatusFound)
	})
	var long *testca.CA = root
	for _, path := range []string{"/l1", "/l2", "/l3", "/l4", "/l5"} {
		serve(path, long.Cert.Raw)
		long = under(long, "Authority under "+path, path)
	}
	serve("/l6", long.Cert.Raw)
	roots := write(t, "root.pem", root.PEM())
	for _, test := range []struct {
		name   string
		by     *testca.CA
		path   string // of what the certificate names
		told   string // how often is asked, and what is told
		trusts bool
	}{
		{"nothing is missing", root, "/two", "", true},
		{"two are missing", two, "/two", "aa", true},
		{"nobody knows where", two, "", "-", false},
		{"it is another one's", two, "/one", "a!One is there, who has not signed", false},
		{"it is an authority that is not trusted", rogue, "/rogue", "aa", false},
		{"it is not there", two, "/nowhere", "a!HTTP status 404", false},
		{"it is nothing", two, "/garbage", "a!no certificate", false},
		{"it is too long", two, "/endless", "a!longer than 65536 bytes", false},
		{"it leads elsewhere", two, "/away", "a!leads elsewhere", false},
		{"it is a long way", long, "/l6", "aaaa", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cert := must[tls.Certificate](t)(test.by.Issue([]string{host}, at(test.path)))
			cs := tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf}}
			var told strings.Builder
			dialed := 0
			tell := Retrieval{
				Missing: func() { told.WriteString("-") }, Asking: func(string) { told.WriteString("a") },
				Dialing: func(string) { dialed++ }, Failed: func(err error) { told.WriteString("!" + err.Error()) },
			}
			c := load(t, Settings{CAFiles: []string{roots}, Retrieve: true})
			c.Retrieve(t.Context(), cs, tell)
			want, words, failed := strings.Cut(test.told, "!")
			got, why, _ := strings.Cut(told.String(), "!")
			if got != want || failed != (why != "") || !strings.Contains(why, words) || dialed != strings.Count(want, "a") {
				t.Errorf("told %q, want %q; %d dialed", told.String(), test.told, dialed)
			}
			if err := c.Problem(cs, host); (err == nil) != test.trusts || err != nil && !errors.As(err, new(x509.UnknownAuthorityError)) {
				t.Errorf("error is %v", err)
			}
			told.Reset()
			load(t, Settings{CAFiles: []string{roots}}).Retrieve(t.Context(), cs, tell)
			if told.Len() > 0 {
				t.Errorf("fetched without being asked: %q", told.String())
			}
		})
	}
}

// TestTime judges certificates and lists for another time.
func TestTime(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Root"))
	roots, crl := write(t, "root.pem", ca.PEM()), write(t, "crl.der", must[[]byte](t)(ca.CRL(func(l *x509.RevocationList) {
		l.NextUpdate = time.Now().Add(time.Hour)
	})))
	cert := must[tls.Certificate](t)(ca.Issue([]string{host}, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(10 * time.Minute) }))
	cs := tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf}}
	for _, test := range []struct {
		after time.Duration
		want  string
	}{
		{0, "is not valid before"}, {30 * time.Minute, ""}, {2 * time.Hour, "may have been revoked: the list of"}, {48 * time.Hour, "expired on"},
	} {
		s := Settings{CAFiles: []string{roots}, CRLFiles: []string{crl}}
		if test.after > 0 {
			s.Time = time.Now().Add(test.after)
		}
		err := load(t, s).Problem(cs, host)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("after %v: error is %v, want %q", test.after, err, test.want)
		}
	}
}
