package zoo

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"strings"
	"time"

	"tlsup/internal/testca"
)

// Specimens are all of them.
var Specimens = []Specimen{
	{
		Name: "in order",
		Make: func(k *Keeper) tls.Certificate { return k.issue([]string{Host}, nil) },
	},
	{
		Name: "in order with intermediates",
		Make: func(k *Keeper) tls.Certificate {
			one := k.ca(k.root.Intermediate("Intermediate One", nil))
			return k.cert(k.ca(one.Intermediate("Intermediate Two", nil)).Issue([]string{Host}, nil))
		},
	},
	{
		Name: "wildcard",
		Make: func(k *Keeper) tls.Certificate { return k.issue([]string{"*.example.org"}, nil) },
	},
	{
		Name: "address",
		Make: func(k *Keeper) tls.Certificate { return k.issue([]string{"x", "192.0.2.1", "2001:db8::1"}, nil) },
		Host: "192.0.2.1",
	},
	{
		Name: "address in brackets with a zone",
		Make: func(k *Keeper) tls.Certificate { return k.issue([]string{"x", "fe80::1"}, nil) },
		Host: "[fe80::1%eth0]",
	},
	{
		Name: "name in capitals and with a dot behind",
		Make: func(k *Keeper) tls.Certificate { return k.issue([]string{Host}, nil) },
		Host: "Mail.Example.ORG.",
	},
	{
		Name: "self-signed, given as the CA file",
		Make: func(k *Keeper) tls.Certificate {
			cert := k.cert(testca.SelfSigned([]string{Host}, nil))
			k.trust(cert)
			return cert
		},
	},
	{
		Name:    "expired",
		Make:    func(k *Keeper) tls.Certificate { return k.issue([]string{Host}, Dates(at(-90), at(-14))) },
		Words:   []string{"certificate CN=mail.example.org expired on " + Day(-14) + ", 14 days ago", "!issued"},
		Hint:    []string{"renew", "clock, which says 2"},
		Culprit: Host,
		As:      isInvalid(x509.Expired),
	},
	{
		Name: "expired yesterday",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{Host}, Dates(at(-90), at(-1).Add(-time.Hour)))
		},
		Words:   []string{", 1 day ago"},
		Culprit: Host,
	},
	{
		Name:    "not yet valid",
		Make:    func(k *Keeper) tls.Certificate { return k.issue([]string{Host}, Dates(later, at(90))) },
		Words:   []string{"certificate CN=mail.example.org is not valid before " + later.Format(time.DateOnly) + ", in 3 days", "!issued"},
		Hint:    []string{"check this machine's clock, which says 2"},
		Culprit: Host,
		As:      isInvalid(x509.Expired),
	},
	{
		Name: "expired intermediate",
		Make: func(k *Keeper) tls.Certificate {
			return k.cert(k.ca(k.root.Intermediate("Old", Dates(at(-90), at(-2)))).Issue([]string{Host}, nil))
		},
		Words:   []string{"certificate CN=Old (2 of 2 sent) expired on " + Day(-2)},
		Hint:    []string{"renew"},
		Culprit: "Old",
		As:      isInvalid(x509.Expired),
	},
	{
		Name: "expired root",
		Make: func(k *Keeper) tls.Certificate {
			k.root = k.ca(testca.Root("Old Root", Dates(at(-90), at(-2))))
			return k.issue([]string{Host}, nil)
		},
		Words:   []string{"trust anchor CN=Old Root expired on " + Day(-2)},
		Hint:    []string{"get a newer certificate of this authority, for --x509cafile", "roots.pem"},
		Culprit: "Old Root",
	},
	{
		Name:    "other name",
		Make:    func(k *Keeper) tls.Certificate { return k.issue([]string{"www.example.org", "192.0.2.7"}, nil) },
		Words:   []string{"certificate CN=www.example.org is not valid for mail.example.org; its names are www.example.org, 192.0.2.7", "!issued"},
		Hint:    []string{"--verify-hostname NAME"},
		Culprit: "www.example.org",
		As:      isHostname,
	},
	{
		Name: "many names",
		Make: func(k *Keeper) tls.Certificate {
			var names []string
			for i := range 40 {
				names = append(names, fmt.Sprintf("n%d.example.org", i))
			}
			return k.issue(names, nil)
		},
		Words:   []string{"n0.example.org, n1.example.org, n2.example.org, n3.example.org, n4.example.org and 35 more", "!n5"},
		Culprit: "n0.example.org",
	},
	{
		Name: "common name only",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{Host}, func(c *x509.Certificate) { c.DNSNames = nil })
		},
		Words:   []string{"is not valid for mail.example.org, which is its common name, but those are not used", "it has no subject alternative names"},
		Hint:    []string{"another certificate, with that name in it", "!--verify-hostname"},
		Culprit: Host,
		As:      isHostname,
	},
	{
		Name: "common name beside others",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{Host}, func(c *x509.Certificate) { c.DNSNames = []string{"www.example.org"} })
		},
		Words:   []string{"which is its common name", "its names are www.example.org"},
		Culprit: Host,
	},
	{
		Name:    "no names",
		Make:    func(k *Keeper) tls.Certificate { return k.issue(nil, nil) },
		Words:   []string{"certificate (no subject, serial number ", ") is not valid for mail.example.org; it has no subject alternative names"},
		Culprit: "",
	},
	{
		Name: "empty subject",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{"www.example.org"}, func(c *x509.Certificate) { c.Subject = pkix.Name{} })
		},
		Words: []string{"certificate www.example.org is not valid for mail.example.org"},
	},
	{
		Name:    "other address",
		Make:    func(k *Keeper) tls.Certificate { return k.issue([]string{Host, "192.0.2.7"}, nil) },
		Host:    "192.0.2.1",
		Words:   []string{"is not valid for 192.0.2.1; its names are mail.example.org, 192.0.2.7"},
		Culprit: Host,
	},
	{
		Name: "address as a domain name",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{Host}, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "192.0.2.1") })
		},
		Host:    "192.0.2.1",
		Words:   []string{"is not valid for 192.0.2.1, which it has as a domain name, not as an IP address"},
		Culprit: Host,
	},
	{
		Name: "address as the common name",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{"192.0.2.1"}, func(c *x509.Certificate) { c.IPAddresses = nil })
		},
		Host:    "192.0.2.1",
		Words:   []string{"is not valid for 192.0.2.1, which is its common name, but"},
		Culprit: "192.0.2.1",
	},
	{
		Name:    "wildcard too high",
		Make:    func(k *Keeper) tls.Certificate { return k.issue([]string{"*.example.org"}, nil) },
		Host:    "a.b.example.org",
		Words:   []string{"is not valid for a.b.example.org: a wildcard stands for one label only; its names are *.example.org"},
		Culprit: "*.example.org",
	},
	{
		Name:    "self-signed",
		Make:    func(k *Keeper) tls.Certificate { return k.cert(testca.SelfSigned([]string{Host}, nil)) },
		Words:   []string{"certificate CN=mail.example.org is self-signed, and not among the certificates in --x509cafile"},
		Hint:    []string{"--x509cafile FILE"},
		Culprit: Host,
		As:      isUnknown,
	},
	{
		Name: "self-signed, another of the same name is trusted",
		Make: func(k *Keeper) tls.Certificate {
			k.trust(k.cert(testca.SelfSigned([]string{Host}, nil)))
			return k.cert(testca.SelfSigned([]string{Host}, nil))
		},
		Words:   []string{"is self-signed, and not among the certificates in --x509cafile; one of the same name is, with another key"},
		Culprit: Host,
	},
	{
		Name: "missing intermediate",
		Make: func(k *Keeper) tls.Certificate {
			cert := k.cert(k.ca(k.root.Intermediate("Intermediate One", nil)).Issue([]string{Host}, nil))
			cert.Certificate = cert.Certificate[:1]
			return cert
		},
		Words:   []string{"certificate CN=mail.example.org is issued by CN=Intermediate One, which is not among the certificates in --x509cafile, and the server sent no intermediate certificate"},
		Hint:    []string{"--x509cafile FILE", "make the server send the intermediate certificates"},
		Culprit: Host,
		As:      isUnknown,
	},
	{
		Name: "unknown root",
		Make: func(k *Keeper) tls.Certificate {
			other := k.ca(testca.New("Unknown Root"))
			return k.cert(k.ca(other.Intermediate("Intermediate One", nil)).Issue([]string{Host}, nil))
		},
		Words:   []string{"certificate CN=Intermediate One (2 of 2 sent) is issued by CN=Unknown Root, which is not among the certificates in --x509cafile", "!sent no"},
		Hint:    []string{"an authority of your own", "!intermediate"},
		Culprit: "Intermediate One",
	},
	{
		Name: "unknown root, sent",
		Make: func(k *Keeper) tls.Certificate {
			other := k.ca(testca.New("Unknown Root"))
			cert := k.cert(other.Issue([]string{Host}, nil))
			cert.Certificate = append(cert.Certificate, other.Cert.Raw)
			return cert
		},
		Words:   []string{"certificate CN=Unknown Root (2 of 2 sent) ends the chain, it is self-signed, and not among"},
		Hint:    []string{"--x509cafile FILE"},
		Culprit: "Unknown Root",
	},
	{
		Name: "root with another key",
		Make: func(k *Keeper) tls.Certificate {
			return k.cert(k.ca(testca.New("Test Root")).Issue([]string{Host}, nil))
		},
		Words:   []string{"is not signed by the key of CN=Test Root, though that is the name of its issuer"},
		Hint:    []string{"may be out of date"},
		Culprit: Host,
		As:      isUnknown,
	},
	{
		Name: "intermediate with another key",
		Make: func(k *Keeper) tls.Certificate {
			c, other := k.chain(1), k.ca(k.root.Intermediate("Intermediate 1", nil))
			c.Certificate[1] = other.Cert.Raw
			return c
		},
		Words:   []string{"certificate CN=mail.example.org is not signed by the key of CN=Intermediate 1, though that is the name of its issuer"},
		Hint:    []string{"make the server send the certificate of the issuer that signed it", "!--x509cafile"},
		Culprit: Host,
		As:      isUnknown,
	},
	{
		Name: "more than is needed, in disorder",
		Make: func(k *Keeper) tls.Certificate {
			c := k.chain(2)
			c.Certificate[1], c.Certificate[2] = c.Certificate[2], c.Certificate[1]
			c.Certificate = append(c.Certificate, k.root.Cert.Raw, k.ca(testca.New("Unknown Root")).Cert.Raw)
			return c
		},
	},
	{
		Name: "short RSA key, given as the CA file",
		Make: func(k *Keeper) tls.Certificate {
			cert := k.cert(k.root.IssueFor(shortKey(), []string{Host}, nil))
			k.trust(cert)
			return cert
		},
	},
	{
		Name: "made for clients",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{Host}, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
		},
		Words:   []string{"certificate CN=mail.example.org is not made for TLS servers: its extended key usage is clientAuth"},
		Hint:    []string{"another certificate"},
		Culprit: Host,
		As:      isInvalid(x509.IncompatibleUsage),
	},
	{
		Name: "intermediate made for mail",
		Make: func(k *Keeper) tls.Certificate {
			return k.cert(k.ca(k.root.Intermediate("Mail Only", func(c *x509.Certificate) {
				c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
			})).Issue([]string{Host}, nil))
		},
		Words:   []string{"certificate CN=Mail Only (2 of 2 sent) is not made for TLS servers: its extended key usage is emailProtection"},
		Culprit: "Mail Only",
	},
	{
		Name: "root made for clients",
		Make: func(k *Keeper) tls.Certificate {
			k.root = k.ca(testca.Root("Client Root", func(c *x509.Certificate) {
				c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			}))
			return k.issue([]string{Host}, nil)
		},
		Words:   []string{"is issued by an authority that is not made for TLS servers"},
		Culprit: Host,
	},
	{
		Name: "name constraints",
		Make: func(k *Keeper) tls.Certificate {
			return k.cert(k.ca(k.root.Intermediate("Constrained", func(c *x509.Certificate) {
				c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.com"}
			})).Issue([]string{Host}, nil))
		},
		Words:   []string{"has a name that an authority above it is not allowed to certify (name constraints): ", `"mail.example.org" is not permitted`},
		Culprit: Host,
		As:      isInvalid(x509.CANotAuthorizedForThisName),
	},
	{
		Name: "SHA-1",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{Host}, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })
		},
		Words:   []string{"is signed with ECDSA-SHA1, which can be forged"},
		Hint:    []string{"another certificate"},
		Culprit: Host,
	},
	{
		Name: "issuer is no authority",
		Make: func(k *Keeper) tls.Certificate {
			return k.cert(k.ca(k.root.Intermediate("Impostor", func(c *x509.Certificate) { c.IsCA = false })).Issue([]string{Host}, nil))
		},
		Words:   []string{"certificate CN=mail.example.org is issued by CN=Impostor, which is no authority (CA:FALSE"},
		Culprit: Host,
		As:      isInvalid(x509.NotAuthorizedToSign),
	},
	{
		Name: "path too long",
		Make: func(k *Keeper) tls.Certificate {
			one := k.ca(k.root.Intermediate("Short Path", func(c *x509.Certificate) { c.MaxPathLenZero = true }))
			return k.cert(k.ca(one.Intermediate("One Too Many", nil)).Issue([]string{Host}, nil))
		},
		Words:   []string{"certificate CN=Short Path (3 of 3 sent) allows fewer intermediate certificates"},
		Culprit: "Short Path",
		As:      isInvalid(x509.TooManyIntermediates),
	},
	{
		Name: "critical extension",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{Host}, strangeExtension)
		},
		Words:   []string{"has a critical extension that is not understood here (1.2.3.4)"},
		Culprit: Host,
	},
	{
		Name: "all at once",
		Make: func(k *Keeper) tls.Certificate {
			return k.cert(testca.SelfSigned([]string{"snakeoil"}, Dates(at(-400), at(-35))))
		},
		Words: []string{"certificate CN=snakeoil expired on " + Day(-35) + ", 35 days ago; is not valid for mail.example.org; its names are snakeoil; " +
			"is self-signed, and not among"},
		Hint:    []string{"renew", "--verify-hostname", "--x509cafile FILE"},
		Culprit: "snakeoil",
	},
	{
		Name: "names that attack a terminal",
		Make: func(k *Keeper) tls.Certificate {
			evil := k.ca(testca.Root("\x1b]0;owned\a\u202egnp.exe\r\nok", func(c *x509.Certificate) {
				c.Subject.Organization = []string{`Acme, "Inc".`}
			}))
			return k.cert(evil.Issue([]string{"a\x1b[2Jb", "b, good.example.org"}, nil))
		},
		Words: []string{
			`certificate CN=a\x1b[2Jb is not valid for mail.example.org; its names are a\x1b[2Jb, "b, good.example.org"; `,
			`is issued by CN="\x1b]0;owned\a\u202egnp.exe\r\nok",O="Acme, \"Inc\".", which`,
		},
		Culprit: "a\x1b[2Jb",
	},
	{
		Name: "names without end",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{strings.Repeat("a", 3000)}, func(c *x509.Certificate) {
				for range 50 {
					c.Subject.OrganizationalUnit = append(c.Subject.OrganizationalUnit, strings.Repeat("u", 2000)+fmt.Sprint(len(c.Subject.OrganizationalUnit)))
				}
			})
		},
		Words:   []string{"certificate CN=" + strings.Repeat("a", 100) + "...,OU=uuu", "uuu...,... is not valid", "names are " + strings.Repeat("a", 100) + "..."},
		Culprit: strings.Repeat("a", 3000),
	},
	{
		Name: "expired today",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{Host}, Dates(at(-90), today.Add(-150*time.Minute)))
		},
		Words:   []string{"certificate CN=mail.example.org expired on " + today.Add(-150*time.Minute).Format("2006-01-02 15:04 UTC") + ", 2 hours ago"},
		Hint:    []string{"renew", "check this machine's clock, which says 2"},
		As:      isInvalid(x509.Expired),
		Culprit: Host,
	},
	{
		Name: "valid within the hour",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{Host}, Dates(today.Add(50*time.Minute), at(90)))
		},
		Words:   []string{"certificate CN=mail.example.org is not valid before " + today.Add(50*time.Minute).Format("2006-01-02 15:04 UTC") + ", in ", " minutes"},
		Hint:    []string{"check this machine's clock, which says 2", " UTC; if it is right, the certificate is not to be used yet"},
		As:      isInvalid(x509.Expired),
		Culprit: Host,
	},
	{
		Name: "intermediate not yet valid",
		Make: func(k *Keeper) tls.Certificate {
			return k.cert(k.ca(k.root.Intermediate("Young", Dates(later, at(90)))).Issue([]string{Host}, nil))
		},
		Words:   []string{"certificate CN=Young (2 of 2 sent) is not valid before " + later.Format(time.DateOnly) + ", in 3 days"},
		Hint:    []string{"not to be used yet"},
		Culprit: "Young",
	},
	{
		Name:    "wildcard of the domain itself",
		Make:    func(k *Keeper) tls.Certificate { return k.issue([]string{"*.example.org"}, nil) },
		Host:    "example.org",
		Words:   []string{"is not valid for example.org: a wildcard does not stand for the domain itself; its names are *.example.org"},
		Culprit: "*.example.org",
	},
	{
		Name: "NUL in a name",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{Host + "\x00.example.net"}, nil)
		},
		Words:   []string{`certificate CN=mail.example.org\x00.example.net is not valid for mail.example.org; its names are mail.example.org\x00.example.net`},
		Culprit: Host + "\x00.example.net",
	},
	{
		Name:    "short RSA key",
		Make:    func(k *Keeper) tls.Certificate { return k.cert(k.root.IssueFor(shortKey(), []string{Host}, nil)) },
		Words:   []string{"certificate CN=mail.example.org has an RSA key of 1024 bits, which can be broken: 2048 are the least"},
		Hint:    []string{"get another certificate; one that is given with --x509cafile FILE itself is trusted with any key"},
		Culprit: Host,
	},
	{
		Name: "names ruled out by constraints",
		Make: func(k *Keeper) tls.Certificate {
			return k.cert(k.ca(k.root.Intermediate("Constrained", func(c *x509.Certificate) {
				c.PermittedDNSDomainsCritical, c.ExcludedDNSDomains = true, []string{"example.org"}
			})).Issue([]string{Host}, nil))
		},
		Words:   []string{"(name constraints): ", `"mail.example.org" is excluded by constraint "example.org"`},
		Hint:    []string{"another certificate"},
		As:      isInvalid(x509.CANotAuthorizedForThisName),
		Culprit: Host,
	},
	{
		Name: "address outside of constraints",
		Make: func(k *Keeper) tls.Certificate {
			_, inside, _ := net.ParseCIDR("10.0.0.0/8")
			return k.cert(k.ca(k.root.Intermediate("Constrained", func(c *x509.Certificate) {
				c.PermittedIPRanges = []*net.IPNet{inside}
			})).Issue([]string{Host, "192.0.2.1"}, nil))
		},
		Words:   []string{"(name constraints): ", `"192.0.2.1" is not permitted`},
		As:      isInvalid(x509.CANotAuthorizedForThisName),
		Culprit: Host,
	},
	{
		Name: "intermediate with SHA-1",
		Make: func(k *Keeper) tls.Certificate {
			return k.cert(k.ca(k.root.Intermediate("Old Hash", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })).Issue([]string{Host}, nil))
		},
		Words:   []string{"certificate CN=Old Hash (2 of 2 sent) is signed with ECDSA-SHA1, which can be forged"},
		Hint:    []string{"another certificate"},
		Culprit: "Old Hash",
	},
	{
		Name: "critical extension above",
		Make: func(k *Keeper) tls.Certificate {
			return k.cert(k.ca(k.root.Intermediate("Strange", strangeExtension)).Issue([]string{Host}, nil))
		},
		Words:   []string{"certificate CN=Strange (2 of 2 sent) has a critical extension that is not understood here (1.2.3.4)"},
		Hint:    []string{"another certificate"},
		Culprit: "Strange",
	},
	{
		Name:    "must-staple without a staple",
		Make:    func(k *Keeper) tls.Certificate { return k.issue([]string{Host}, mustStaple) },
		Words:   []string{"certificate CN=mail.example.org demands a stapled OCSP response (must-staple), and the server sends none"},
		Hint:    []string{"switch on OCSP stapling"},
		Culprit: Host,
	},
	{
		Name: "long chain",
		Make: func(k *Keeper) tls.Certificate { return k.chain(12) },
	},
	{
		Name:    "endless chain",
		Make:    func(k *Keeper) tls.Certificate { return k.chain(110) },
		Words:   []string{"certificate CN=mail.example.org leads to no trust anchor that is found within 100 signatures, among the 111 certificates that the server sent"},
		Hint:    []string{"make the server send the certificates of its chain alone"},
		Culprit: Host,
	},
	{
		Name:    "intermediates in a circle",
		Make:    (*Keeper).circle,
		Words:   []string{"certificate CN=One (2 of 3 sent) is issued by CN=Two, which is not among"},
		As:      isUnknown,
		Culprit: "One",
	},
	{
		Name: "more than a handshake holds",
		Make: func(k *Keeper) tls.Certificate {
			return k.issue([]string{Host}, func(c *x509.Certificate) { c.Subject.Organization = []string{strings.Repeat("a", 300_000)} })
		},
		Words:  []string{"handshake message of length 30", "exceeds maximum of 262144 bytes"},
		Hint:   []string{"make the server send fewer or smaller certificates"},
		Unread: true,
	},
	{
		Name:   "key too long",
		Make:   func(k *Keeper) tls.Certificate { return k.cert(k.root.IssueFor(k.longKey(), []string{Host}, nil)) },
		Words:  []string{"RSA key larger than 8192 bits"},
		Hint:   []string{"with a shorter key"},
		Unread: true,
	},
	{
		Name: "no certificate at all",
		Make: func(k *Keeper) tls.Certificate {
			c := k.issue([]string{Host}, nil)
			c.Certificate[0] = []byte("\x1b[2Jnonsense")
			return c
		},
		Words:  []string{"failed to parse certificate from server: x509: "},
		Hint:   []string{"cannot be read here"},
		Unread: true,
	},
}
