package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"tlsup/internal/testca"
	"tlsup/internal/zoo"
)

const host = zoo.Host

func TestVerify(t *testing.T) {
	for _, s := range zoo.Specimens {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			cert, roots := s.Build(t)
			settings := Settings{CAFiles: []string{write(t, "roots.pem", roots)}}
			server, name := &tls.Config{Certificates: []tls.Certificate{cert}}, s.Wanted()

			strict := load(t, settings)
			o := handshake(t, server, strict.Client(context.Background(), name, nil))
			settings.Insecure = true
			lax := load(t, settings)
			let := handshake(t, server, lax.Client(context.Background(), name, nil))
			if s.Unread {
				zoo.CheckText(t, fmt.Sprint(let.clientErr), fmt.Sprint(o.clientErr))
				zoo.CheckText(t, HandshakeHint(o.clientErr), s.Hint...)
				return
			}
			if let.clientErr != nil {
				t.Fatalf("--insecure: %v", let.clientErr)
			}
			problem := lax.Problem(let.client, name)
			if len(s.Words) == 0 {
				if o.clientErr != nil || problem != nil {
					t.Fatalf("error is %v, with --insecure %v, want none", o.clientErr, problem)
				}
				checkText(t, strict.Describe(o.client, name), "; verified for "+strict.reference(strings.TrimSuffix(name, ".")), "roots.pem")
				return
			}
			checkRefusal(t, &s, o.clientErr)
			checkRefusal(t, &s, problem)
			checkText(t, lax.Describe(let.client, name), "; NOT verified: "+problem.Error())
		})
	}
}

func checkRefusal(t *testing.T, s *zoo.Specimen, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v (%T), want an *Error", err, err)
	}
	checkText(t, e.Error(), s.Words...)
	checkText(t, e.Hint(), append(s.Hint, "--insecure skips the check, for tests only")...)
	if len(e.Error()) > 2500 {
		t.Errorf("the message has %d bytes", len(e.Error()))
	}
	if got := commonName(e.Cert); got != s.Culprit {
		t.Errorf("culprit is %q, want %q", got, s.Culprit)
	}
	if s.As != nil && !s.As(err) {
		t.Errorf("beneath is %v (%T)", e.Err, e.Err)
	}
}

func TestVerifyFailsClosed(t *testing.T) {
	server, roots := newServer(t)
	for _, test := range []struct {
		name, host string
		cs         tls.ConnectionState
		words      []string
	}{
		{"no certificate", host, tls.ConnectionState{}, []string{"the server sent no certificate"}},
		{"no name", "", tls.ConnectionState{PeerCertificates: []*x509.Certificate{server.Certificates[0].Leaf}}, []string{"--verify-hostname"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := load(t, Settings{CAFiles: []string{roots}})
			err := c.Client(context.Background(), test.host, nil).VerifyConnection(test.cs)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v", err)
			}
			checkText(t, err.Error(), test.words...)
			checkText(t, c.Describe(test.cs, test.host), "NOT verified: ")
		})
	}
	strict := load(t, Settings{CAFiles: []string{roots}})
	if err := handshake(t, server, strict.Client(context.Background(), "", nil)).clientErr; !errors.Is(err, errNoName) {
		t.Errorf("error is %v, want %v", err, errNoName)
	}
	if err := handshake(t, server, load(t, Settings{Insecure: true}).Client(context.Background(), "", nil)).clientErr; err != nil {
		t.Errorf("--insecure: %v", err)
	}
}

// A resumed session is verified like a new one, for the name that is wanted now.
func TestVerifyResumed(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		t.Run(version, func(t *testing.T) {
			server, roots := newServer(t)
			server.SetSessionTicketKeys([][32]byte{{1}})
			sni := "sni.example.org"
			c := load(t, Settings{CAFiles: []string{roots}, SNI: &sni, TLSMax: version})
			cache := tls.NewLRUClientSessionCache(1)
			open := func(name string) outcome {
				config := c.Client(context.Background(), name, nil)
				config.ClientSessionCache = cache
				return handshake(t, server, config)
			}
			first, second := open(host), open(host)
			if first.clientErr != nil || second.clientErr != nil {
				t.Fatal(first.clientErr, second.clientErr)
			}
			checkText(t, c.Describe(first.client, host), "TLS "+version, "new session", "verified for "+host)
			checkText(t, c.Describe(second.client, host), "TLS "+version, "resumed session", "verified for "+host)
			if err := open("other.example.org").clientErr; !errors.As(err, new(*Error)) {
				t.Errorf("error is %v, want a refusal", err)
			}
		})
	}
}

func TestVerifyOtherName(t *testing.T) {
	server, roots := newServer(t)
	c := load(t, Settings{CAFiles: []string{roots}, VerifyName: host})
	o := handshake(t, server, c.Client(context.Background(), "192.0.2.1", nil))
	if o.clientErr != nil {
		t.Fatal(o.clientErr)
	}
	if o.offered.ServerName != host {
		t.Errorf("SNI is %q, want the name to verify", o.offered.ServerName)
	}
	checkText(t, c.Describe(o.client, host), "verified for "+host+", trust anchor CN=Test Root from "+roots)
}

// The zero Error, and one that another package makes, have words too.
func TestErrorMadeElsewhere(t *testing.T) {
	checkText(t, (&Error{Err: errors.New("not \x1b pinned")}).Error(), `not \x1b pinned`)
	checkText(t, (&Error{}).Error(), "nil")
}

// The system's roots are read by x509 once in a process: a child has a set of its own.
func TestSystemRoots(t *testing.T) {
	if os.Getenv("TRUST_TEST_HOST") != "" {
		systemRootsChild()
		return
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("this system's own verifier cannot be given other roots")
	}
	ca := must[*testca.CA](t)(testca.New("Test Root"))
	cert := certPEM(t, must[tls.Certificate](t)(ca.Issue([]string{host}, nil)))
	file, empty := write(t, "root.pem", ca.PEM()), write(t, "empty.pem", nil)
	for _, test := range []struct{ name, host, roots, words string }{
		{"trusted", host, file, "verified for mail.example.org, trust anchor CN=Test Root from the system's roots"},
		{"other name", "other.example.org", file, "NOT verified: certificate CN=mail.example.org is not valid for other.example.org"},
		{"no roots", host, empty, "is issued by CN=Test Root, which is not among the system's roots, and the server sent no intermediate certificate; " +
			"no root certificates are installed on this system\nhint: install them"},
	} {
		t.Run(test.name, func(t *testing.T) {
			child := exec.Command(os.Args[0], "-test.run=^TestSystemRoots$")
			child.Env = append(os.Environ(), "TRUST_TEST_HOST="+test.host, "TRUST_TEST_ROOTS="+test.roots,
				"TRUST_TEST_EMPTY="+t.TempDir(), "TRUST_TEST_CERT="+write(t, "cert.pem", cert))
			out, err := child.CombinedOutput()
			if err != nil || !strings.Contains(string(out), test.words) {
				t.Errorf("%v\n%s\nwithout\n%s", err, out, test.words)
			}
		})
	}
}

// systemRootsChild prints what is said of a certificate. The roots come to be only behind
// Load, which thus cannot have read them.
func systemRootsChild() {
	c, err := Load(Settings{})
	if err != nil {
		panic(err)
	}
	os.Setenv("SSL_CERT_FILE", os.Getenv("TRUST_TEST_ROOTS"))
	os.Setenv("SSL_CERT_DIR", os.Getenv("TRUST_TEST_EMPTY"))
	data, _ := os.ReadFile(os.Getenv("TRUST_TEST_CERT"))
	certs, _ := parseCertificates(data)
	name := os.Getenv("TRUST_TEST_HOST")
	cs := tls.ConnectionState{PeerCertificates: certs}
	fmt.Println(c.Describe(cs, name))
	var e *Error
	if errors.As(c.Problem(cs, name), &e) {
		fmt.Println(e)
		fmt.Println("hint:", e.Hint())
	}
}

// Looking for the culprit costs a bounded number of signatures: a server may send hundreds of
// certificates of one name, in the order that makes it most.
func TestCulpritIsBounded(t *testing.T) {
	const name = "the same"
	ca := must[*testca.CA](t)(testca.New(name))
	for range mostChecks + 20 {
		ca = must[*testca.CA](t)(ca.Intermediate(name, nil))
	}
	leaf := must[tls.Certificate](t)(ca.Issue([]string{host}, nil))
	slices.Reverse(leaf.Certificate[1:]) // the issuer of each is the last that is looked at
	var sent []*x509.Certificate
	for _, der := range leaf.Certificate {
		sent = append(sent, must[*x509.Certificate](t)(x509.ParseCertificate(der)))
	}
	x := examination{config: load(t, Settings{NoRoots: true}), sent: sent}
	if top := x.top(); top != sent[0] {
		t.Errorf("found %s behind more than %d signatures", subject(top), mostChecks)
	}
}
