package trust

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testca"
)

const host = "mail.example.org"

// A specimen is a server's certificate, and what a client that wants host has to say of it.
type specimen struct {
	name string
	make func(z *zoo) tls.Certificate
	host string // "": mail.example.org
	// words that the message has to have, or with "!" must not have; none: it is trusted.
	words []string
	hint  []string
	// culprit is the common name of the certificate to blame.
	culprit string
	as      func(error) bool // x509's error beneath
}

// A zoo is what specimens are made of.
type zoo struct {
	t     *testing.T
	root  *testca.CA
	roots []byte // what the client trusts; nil: the root
	now   time.Time
}

func (z *zoo) cert(c tls.Certificate, err error) tls.Certificate {
	z.t.Helper()
	return must[tls.Certificate](z.t)(c, err)
}

func (z *zoo) ca(ca *testca.CA, err error) *testca.CA {
	z.t.Helper()
	return must[*testca.CA](z.t)(ca, err)
}

// issue is the plain case: by the root, for the given names.
func (z *zoo) issue(names []string, change func(*x509.Certificate)) tls.Certificate {
	z.t.Helper()
	return z.cert(z.root.Issue(names, change))
}

func (z *zoo) day(n int) time.Time { return z.now.Add(time.Duration(n) * 24 * time.Hour) }

func dates(from, to time.Time) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, to }
}

func isInvalid(reason x509.InvalidReason) func(error) bool {
	return func(err error) bool {
		var e x509.CertificateInvalidError
		return errors.As(err, &e) && e.Reason == reason
	}
}

func isUnknown(err error) bool { return errors.As(err, new(x509.UnknownAuthorityError)) }

// today is the day that a test began, long enough for a row.
var today = time.Now().UTC()

func day(n int) string { return today.AddDate(0, 0, n).UTC().Format(time.DateOnly) }

var specimens = []specimen{
	{
		name: "in order",
		make: func(z *zoo) tls.Certificate { return z.issue([]string{host}, nil) },
	},
	{
		name: "in order with intermediates",
		make: func(z *zoo) tls.Certificate {
			one := z.ca(z.root.Intermediate("Intermediate One", nil))
			return z.cert(z.ca(one.Intermediate("Intermediate Two", nil)).Issue([]string{host}, nil))
		},
	},
	{
		name: "wildcard",
		make: func(z *zoo) tls.Certificate { return z.issue([]string{"*.example.org"}, nil) },
	},
	{
		name: "address",
		make: func(z *zoo) tls.Certificate { return z.issue([]string{"x", "192.0.2.1", "2001:db8::1"}, nil) },
		host: "192.0.2.1",
	},
	{
		name: "address in brackets with a zone",
		make: func(z *zoo) tls.Certificate { return z.issue([]string{"x", "fe80::1"}, nil) },
		host: "[fe80::1%eth0]",
	},
	{
		name: "name in capitals and with a dot behind",
		make: func(z *zoo) tls.Certificate { return z.issue([]string{host}, nil) },
		host: "Mail.Example.ORG.",
	},
	{
		name: "self-signed, given as the CA file",
		make: func(z *zoo) tls.Certificate {
			cert := z.cert(testca.SelfSigned([]string{host}, nil))
			z.roots = certPEM(z.t, cert)
			return cert
		},
	},
	{
		name:    "expired",
		make:    func(z *zoo) tls.Certificate { return z.issue([]string{host}, dates(z.day(-90), z.day(-14))) },
		words:   []string{"certificate CN=mail.example.org expired on " + day(-14) + ", 14 days ago", "!issued"},
		hint:    []string{"renew", "clock, which says 2"},
		culprit: host,
		as:      isInvalid(x509.Expired),
	},
	{
		name: "expired yesterday",
		make: func(z *zoo) tls.Certificate {
			return z.issue([]string{host}, dates(z.day(-90), z.day(-1).Add(-time.Hour)))
		},
		words:   []string{", 1 day ago"},
		culprit: host,
	},
	{
		name:    "not yet valid",
		make:    func(z *zoo) tls.Certificate { return z.issue([]string{host}, dates(z.day(3), z.day(90))) },
		words:   []string{"certificate CN=mail.example.org is not valid before " + day(3), "!issued"},
		hint:    []string{"check this machine's clock, which says 2"},
		culprit: host,
		as:      isInvalid(x509.Expired),
	},
	{
		name: "expired intermediate",
		make: func(z *zoo) tls.Certificate {
			return z.cert(z.ca(z.root.Intermediate("Old", dates(z.day(-90), z.day(-2)))).Issue([]string{host}, nil))
		},
		words:   []string{"certificate CN=Old (2 of 2 sent) expired on " + day(-2)},
		hint:    []string{"renew"},
		culprit: "Old",
		as:      isInvalid(x509.Expired),
	},
	{
		name: "expired root",
		make: func(z *zoo) tls.Certificate {
			z.root = z.ca(testca.Root("Old Root", dates(z.day(-90), z.day(-2))))
			return z.issue([]string{host}, nil)
		},
		words:   []string{"trust anchor CN=Old Root expired on " + day(-2)},
		hint:    []string{"get a newer certificate of this authority, for --x509cafile", "roots.pem"},
		culprit: "Old Root",
	},
	{
		name:    "other name",
		make:    func(z *zoo) tls.Certificate { return z.issue([]string{"www.example.org", "192.0.2.7"}, nil) },
		words:   []string{"certificate CN=www.example.org is not valid for mail.example.org; its names are www.example.org, 192.0.2.7", "!issued"},
		hint:    []string{"--verify-hostname NAME"},
		culprit: "www.example.org",
		as:      isHostname,
	},
	{
		name: "many names",
		make: func(z *zoo) tls.Certificate {
			var names []string
			for i := range 40 {
				names = append(names, fmt.Sprintf("n%d.example.org", i))
			}
			return z.issue(names, nil)
		},
		words:   []string{"n0.example.org, n1.example.org, n2.example.org, n3.example.org, n4.example.org and 35 more", "!n5"},
		culprit: "n0.example.org",
	},
	{
		name: "common name only",
		make: func(z *zoo) tls.Certificate {
			return z.issue([]string{host}, func(c *x509.Certificate) { c.DNSNames = nil })
		},
		words:   []string{"is not valid for mail.example.org, which is its common name, but those are not used", "it has no subject alternative names"},
		hint:    []string{"another certificate, with that name in it", "!--verify-hostname"},
		culprit: host,
		as:      isHostname,
	},
	{
		name: "common name beside others",
		make: func(z *zoo) tls.Certificate {
			return z.issue([]string{host}, func(c *x509.Certificate) { c.DNSNames = []string{"www.example.org"} })
		},
		words:   []string{"which is its common name", "its names are www.example.org"},
		culprit: host,
	},
	{
		name:    "no names",
		make:    func(z *zoo) tls.Certificate { return z.issue(nil, nil) },
		words:   []string{"certificate (no subject, serial number ", ") is not valid for mail.example.org; it has no subject alternative names"},
		culprit: "",
	},
	{
		name: "empty subject",
		make: func(z *zoo) tls.Certificate {
			return z.issue([]string{"www.example.org"}, func(c *x509.Certificate) { c.Subject = pkix.Name{} })
		},
		words: []string{"certificate www.example.org is not valid for mail.example.org"},
	},
	{
		name:    "other address",
		make:    func(z *zoo) tls.Certificate { return z.issue([]string{host, "192.0.2.7"}, nil) },
		host:    "192.0.2.1",
		words:   []string{"is not valid for 192.0.2.1; its names are mail.example.org, 192.0.2.7"},
		culprit: host,
	},
	{
		name: "address as a domain name",
		make: func(z *zoo) tls.Certificate {
			return z.issue([]string{host}, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "192.0.2.1") })
		},
		host:    "192.0.2.1",
		words:   []string{"is not valid for 192.0.2.1, which it has as a domain name, not as an IP address"},
		culprit: host,
	},
	{
		name: "address as the common name",
		make: func(z *zoo) tls.Certificate {
			return z.issue([]string{"192.0.2.1"}, func(c *x509.Certificate) { c.IPAddresses = nil })
		},
		host:    "192.0.2.1",
		words:   []string{"is not valid for 192.0.2.1, which is its common name, but"},
		culprit: "192.0.2.1",
	},
	{
		name:    "wildcard too high",
		make:    func(z *zoo) tls.Certificate { return z.issue([]string{"*.example.org"}, nil) },
		host:    "a.b.example.org",
		words:   []string{"is not valid for a.b.example.org: a wildcard stands for one label only; its names are *.example.org"},
		culprit: "*.example.org",
	},
	{
		name:    "self-signed",
		make:    func(z *zoo) tls.Certificate { return z.cert(testca.SelfSigned([]string{host}, nil)) },
		words:   []string{"certificate CN=mail.example.org is self-signed, and not among the certificates in --x509cafile"},
		hint:    []string{"--x509cafile FILE"},
		culprit: host,
		as:      isUnknown,
	},
	{
		name: "self-signed, another of the same name is trusted",
		make: func(z *zoo) tls.Certificate {
			z.roots = certPEM(z.t, z.cert(testca.SelfSigned([]string{host}, nil)))
			return z.cert(testca.SelfSigned([]string{host}, nil))
		},
		words:   []string{"is self-signed, and not among the certificates in --x509cafile; one of the same name is, with another key"},
		culprit: host,
	},
	{
		name: "missing intermediate",
		make: func(z *zoo) tls.Certificate {
			cert := z.cert(z.ca(z.root.Intermediate("Intermediate One", nil)).Issue([]string{host}, nil))
			cert.Certificate = cert.Certificate[:1]
			return cert
		},
		words:   []string{"certificate CN=mail.example.org is issued by CN=Intermediate One, which is not among the certificates in --x509cafile, and the server sent no intermediate certificate"},
		hint:    []string{"--x509cafile FILE", "make the server send the intermediate certificates"},
		culprit: host,
		as:      isUnknown,
	},
	{
		name: "unknown root",
		make: func(z *zoo) tls.Certificate {
			other := z.ca(testca.New("Unknown Root"))
			return z.cert(z.ca(other.Intermediate("Intermediate One", nil)).Issue([]string{host}, nil))
		},
		words:   []string{"certificate CN=Intermediate One (2 of 2 sent) is issued by CN=Unknown Root, which is not among the certificates in --x509cafile", "!sent no"},
		hint:    []string{"an authority of your own", "!intermediate"},
		culprit: "Intermediate One",
	},
	{
		name: "unknown root, sent",
		make: func(z *zoo) tls.Certificate {
			other := z.ca(testca.New("Unknown Root"))
			cert := z.cert(other.Issue([]string{host}, nil))
			cert.Certificate = append(cert.Certificate, other.Cert.Raw)
			return cert
		},
		words:   []string{"certificate CN=Unknown Root (2 of 2 sent) ends the chain, it is self-signed, and not among"},
		hint:    []string{"--x509cafile FILE"},
		culprit: "Unknown Root",
	},
	{
		name:    "root with another key",
		make:    func(z *zoo) tls.Certificate { return z.cert(z.ca(testca.New("Test Root")).Issue([]string{host}, nil)) },
		words:   []string{"is not signed by the key of CN=Test Root, though that is the name of its issuer"},
		hint:    []string{"may be out of date"},
		culprit: host,
		as:      isUnknown,
	},
	{
		name: "made for clients",
		make: func(z *zoo) tls.Certificate {
			return z.issue([]string{host}, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
		},
		words:   []string{"certificate CN=mail.example.org is not made for TLS servers: its extended key usage is clientAuth"},
		hint:    []string{"another certificate"},
		culprit: host,
		as:      isInvalid(x509.IncompatibleUsage),
	},
	{
		name: "intermediate made for mail",
		make: func(z *zoo) tls.Certificate {
			return z.cert(z.ca(z.root.Intermediate("Mail Only", func(c *x509.Certificate) {
				c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
			})).Issue([]string{host}, nil))
		},
		words:   []string{"certificate CN=Mail Only (2 of 2 sent) is not made for TLS servers: its extended key usage is emailProtection"},
		culprit: "Mail Only",
	},
	{
		name: "root made for clients",
		make: func(z *zoo) tls.Certificate {
			z.root = z.ca(testca.Root("Client Root", func(c *x509.Certificate) {
				c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			}))
			return z.issue([]string{host}, nil)
		},
		words:   []string{"is issued by an authority that is not made for TLS servers"},
		culprit: host,
	},
	{
		name: "name constraints",
		make: func(z *zoo) tls.Certificate {
			return z.cert(z.ca(z.root.Intermediate("Constrained", func(c *x509.Certificate) {
				c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.com"}
			})).Issue([]string{host}, nil))
		},
		words:   []string{"has a name that an authority above it is not allowed to certify (name constraints): ", `"mail.example.org" is not permitted`},
		culprit: host,
		as:      isInvalid(x509.CANotAuthorizedForThisName),
	},
	{
		name: "SHA-1",
		make: func(z *zoo) tls.Certificate {
			return z.issue([]string{host}, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })
		},
		words:   []string{"is signed with ECDSA-SHA1, which can be forged"},
		hint:    []string{"another certificate"},
		culprit: host,
	},
	{
		name: "issuer is no authority",
		make: func(z *zoo) tls.Certificate {
			return z.cert(z.ca(z.root.Intermediate("Impostor", func(c *x509.Certificate) { c.IsCA = false })).Issue([]string{host}, nil))
		},
		words:   []string{"certificate CN=mail.example.org is issued by CN=Impostor, which is no authority (CA:FALSE"},
		culprit: host,
		as:      isUnknown,
	},
	{
		name: "path too long",
		make: func(z *zoo) tls.Certificate {
			one := z.ca(z.root.Intermediate("Short Path", func(c *x509.Certificate) { c.MaxPathLenZero = true }))
			return z.cert(z.ca(one.Intermediate("One Too Many", nil)).Issue([]string{host}, nil))
		},
		words:   []string{"certificate CN=Short Path (3 of 3 sent) allows fewer intermediate certificates"},
		culprit: "Short Path",
		as:      isInvalid(x509.TooManyIntermediates),
	},
	{
		name: "critical extension",
		make: func(z *zoo) tls.Certificate {
			return z.issue([]string{host}, func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
			})
		},
		words:   []string{"has a critical extension that is not understood here (1.2.3.4)"},
		culprit: host,
	},
	{
		name: "all at once",
		make: func(z *zoo) tls.Certificate {
			return z.cert(testca.SelfSigned([]string{"snakeoil"}, dates(z.day(-400), z.day(-35))))
		},
		words: []string{"certificate CN=snakeoil expired on " + day(-35) + ", 35 days ago; is not valid for mail.example.org; its names are snakeoil; " +
			"is self-signed, and not among"},
		hint:    []string{"renew", "--verify-hostname", "--x509cafile FILE"},
		culprit: "snakeoil",
	},
	{
		name: "names that attack a terminal",
		make: func(z *zoo) tls.Certificate {
			evil := z.ca(testca.Root("\x1b]0;owned\a\u202egnp.exe\r\nok", func(c *x509.Certificate) {
				c.Subject.Organization = []string{`Acme, "Inc".`}
			}))
			return z.cert(evil.Issue([]string{"a\x1b[2Jb", "b, good.example.org"}, nil))
		},
		words: []string{
			`certificate CN=a\x1b[2Jb is not valid for mail.example.org; its names are a\x1b[2Jb, "b, good.example.org"; `,
			`is issued by CN="\x1b]0;owned\a\u202egnp.exe\r\nok",O="Acme, \"Inc\".", which`,
		},
		culprit: "a\x1b[2Jb",
	},
	{
		name: "names without end",
		make: func(z *zoo) tls.Certificate {
			return z.issue([]string{strings.Repeat("a", 3000)}, func(c *x509.Certificate) {
				for range 50 {
					c.Subject.OrganizationalUnit = append(c.Subject.OrganizationalUnit, strings.Repeat("u", 2000)+fmt.Sprint(len(c.Subject.OrganizationalUnit)))
				}
			})
		},
		words:   []string{"certificate CN=" + strings.Repeat("a", maxValue) + "...,OU=uuu", "uuu...,... is not valid", "names are " + strings.Repeat("a", maxValue) + "..."},
		culprit: strings.Repeat("a", 3000),
	},
}

func TestVerify(t *testing.T) {
	for _, s := range specimens {
		t.Run(s.name, func(t *testing.T) {
			z := &zoo{t: t, root: must[*testca.CA](t)(testca.New("Test Root")), now: today}
			cert := s.make(z)
			roots := z.roots
			if roots == nil {
				roots = z.root.PEM()
			}
			name := s.host
			if name == "" {
				name = host
			}
			settings := Settings{CAFiles: []string{write(t, "roots.pem", roots)}}
			server := &tls.Config{Certificates: []tls.Certificate{cert}}

			strict := load(t, settings)
			o := handshake(t, server, strict.Client(name, nil))
			settings.Insecure = true
			lax := load(t, settings)
			let := handshake(t, server, lax.Client(name, nil))
			if let.clientErr != nil {
				t.Fatalf("--insecure: %v", let.clientErr)
			}
			problem := lax.Problem(let.client, name)
			if len(s.words) == 0 {
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

func checkRefusal(t *testing.T, s *specimen, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v (%T), want an *Error", err, err)
	}
	checkText(t, e.Error(), s.words...)
	checkText(t, e.Hint(), append(s.hint, "--insecure skips the check, for tests only")...)
	if len(e.Error()) > 2500 {
		t.Errorf("the message has %d bytes", len(e.Error()))
	}
	if got := commonName(e.Cert); got != s.culprit {
		t.Errorf("culprit is %q, want %q", got, s.culprit)
	}
	if s.as != nil && !s.as(err) {
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
			err := c.Client(test.host, nil).VerifyConnection(test.cs)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v", err)
			}
			checkText(t, err.Error(), test.words...)
			checkText(t, c.Describe(test.cs, test.host), "NOT verified: ")
		})
	}
	strict := load(t, Settings{CAFiles: []string{roots}})
	if err := handshake(t, server, strict.Client("", nil)).clientErr; !errors.Is(err, errNoName) {
		t.Errorf("error is %v, want %v", err, errNoName)
	}
	if err := handshake(t, server, load(t, Settings{Insecure: true}).Client("", nil)).clientErr; err != nil {
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
				config := c.Client(name, nil)
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
	o := handshake(t, server, c.Client("192.0.2.1", nil))
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
