package trust

import (
	"crypto/tls"
	"crypto/x509"
	"slices"

	"tlsup/internal/quote"
)

// A Look is what was seen in a handshake with the settings of [Config.Inspect].
type Look struct {
	// Name is what the certificate has to be valid for.
	Name string
	// State is the session as it was when the server's certificate came; before TLS 1.3 its
	// CurveID is not known by then. Nil if none came.
	State *tls.ConnectionState
	// Asked tells that the server asked for the client's certificate, and Sent that it got one.
	Asked, Sent bool

	config *Config // that the handshake was made with
}

// Judge is Config.Judge for the server that was looked at.
func (l *Look) Judge(cs tls.ConnectionState) Verdict { return l.config.Judge(cs, l.Name) }

// Inspect returns settings with which a handshake goes on though the server's certificate is not
// trusted, so that it can be reported on: [Look.Judge] tells, and nothing may be sent in such a
// session. The client's own certificate is kept from a server that is not trusted. They are for one
// connection, and write to look in its handshake.
func (c *Config) Inspect(look *Look) *Config {
	inspecting := *c
	inspecting.look = look
	return &inspecting
}

// watch makes config, for a server of that name, tell c.look and go on.
func (c *Config) watch(config *tls.Config, name string, h *handling) {
	look, trusted := c.look, false
	look.Name, look.config = name, c
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		defer h.end()
		look.State = &cs
		trusted = true
		if !c.insecure {
			err := c.handle(cs, name, h)
			seenIn(h.ctx).verdict = err
			trusted = err == nil
		}
		return nil
	}
	own := config.GetClientCertificate
	config.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		look.Asked = true
		if !trusted {
			return giveNone(info)
		}
		cert, err := own(info)
		look.Sent = err == nil && len(cert.Certificate) > 0
		return cert, err
	}
}

// Changed returns the settings with a change that is made to those of each connection when all else
// is done. name is what the certificate has to be valid for; VerifyConnection verifies it.
func (c *Config) Changed(change func(config *tls.Config, name string)) *Config {
	other := *c
	other.change = change
	return &other
}

// Anchors are how many trust anchors there are: certificates that were given, or the system's
// roots where they can be counted.
func (c *Config) Anchors() int {
	if c.roots != nil {
		return len(c.anchors)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return 0
	}
	//lint:ignore SA1019 the system's own verifier has none to count, which is as it should be
	return len(pool.Subjects())
}

// OwnCertificates are how many certificates the client has for itself, its intermediates included.
func (c *Config) OwnCertificates() int {
	if c.shared.GetClientCertificate == nil {
		return 0
	}
	own, _ := c.shared.GetClientCertificate(nil)
	return len(own.Certificate)
}

// A Verdict tells what a certificate was verified against, or why it is not trusted.
type Verdict struct {
	Name string // that it had to be valid for
	// Chain leads from the certificate to the trust anchor; nil if it is not trusted, or by other
	// means.
	Chain []*x509.Certificate
	// Found is that chain, also if there is something else than the chain to object to.
	Found []*x509.Certificate
	// Means say by what it is trusted in place of a chain, or besides.
	Means string
	// Source is where the trust anchor comes from: the file's path, or "" for the system's roots.
	Source string
	// Reasons are all that is wrong; nil if it is trusted.
	Reasons []Reason
	// Err is what Problem returns.
	Err error
	// Insecure tells that --insecure lets it pass.
	Insecure bool
	// DANE is what the DNS has to say of it, and TLSA what became of each record if they are secure; nil
	// without --dane.
	DANE *DANE
	TLSA []Judged
}

// A Reason is one thing that is wrong with a certificate. All texts can be shown as they are.
type Reason struct {
	Cert  *x509.Certificate // nil: none to name
	Which string            // which certificate it is, and whose; "" without Cert
	Text  string            // in words that follow Which
	Hint  string            // what would make it right; "" if nothing is known
	Err   error             // x509's error, or why x509 was not asked
	// Detail are lines to show beneath, in columns.
	Detail []string
}

// Judge verifies the certificate of a session for name, as the handshake does, and as Problem
// whatever --insecure says.
func (c *Config) Judge(cs tls.ConnectionState, name string) Verdict {
	v := Verdict{Name: c.reference(name), Insecure: c.insecure}
	if c.dane && c.server.DANE != nil {
		v.judgeTLSA(c, cs)
	}
	a, err := c.verify(cs, v.Name, nil)
	if err != nil {
		v.Err, v.Found = err, err.chain
		for _, p := range err.problems {
			reason := Reason{Cert: p.cert, Text: p.says, Hint: p.hint, Err: p.err, Detail: p.detail}
			if p.cert != nil {
				reason.Which = position(p.cert, err.sent)
			}
			v.Reasons = append(v.Reasons, reason)
		}
		return v
	}
	v.Means = c.means(a)
	if a.chain == nil {
		return v
	}
	v.Chain, v.Found, v.Source = a.chain, a.chain, c.fileOf(a.chain[len(a.chain)-1])
	return v
}

// judgeTLSA tells of the TLSA records.
func (v *Verdict) judgeTLSA(c *Config, cs tls.ConnectionState) {
	v.DANE = c.server.DANE
	if len(cs.PeerCertificates) == 0 || !v.DANE.Secure {
		return
	}
	names := c.names(v.DANE, v.Name)
	v.TLSA = c.judgeTLSA(v.DANE, cs.PeerCertificates, names)
	if v.DANE.usable() {
		v.Name = fitting(cs.PeerCertificates[0], names)
	}
}

// ALPN is what is offered to a server whose protocol wants protocol offered (RFC 7301).
func (c *Config) ALPN(protocol []string) []string {
	if c.alpn != nil {
		return c.alpn
	}
	return protocol
}

// Subject says whose certificate it is, escaped and cut.
func Subject(cert *x509.Certificate) string { return subject(cert) }

// Issuer says who made a certificate, escaped and cut.
func Issuer(cert *x509.Certificate) string { return issuer(cert) }

// SelfSigned reports whether a certificate carries its own key's signature.
func SelfSigned(cert *x509.Certificate) bool { return selfSigned(cert) }

// Names are the names in a certificate (RFC 5280, 4.2.1.6), those that servers are verified for
// first, escaped.
func Names(cert *x509.Certificate) []string {
	names := append(altNames(cert), cert.EmailAddresses...)
	for _, uri := range cert.URIs {
		names = append(names, uri.String())
	}
	for i, name := range names {
		names[i] = quote.Escape(name)
	}
	return names
}

// GroupName is what a key exchange group is called; "" for the key exchange by RSA.
func GroupName(id tls.CurveID) string {
	if id == 0 {
		return ""
	}
	return groupOf(id).names[0]
}

// PostQuantum reports whether a group is a hybrid with a mechanism that quantum computers are not
// known to break.
func PostQuantum(id tls.CurveID) bool {
	return id == tls.X25519MLKEM768 || id == tls.SecP256r1MLKEM768 || id == tls.SecP384r1MLKEM1024
}

// An Offer is a part of what a client can offer.
type Offer struct {
	Min, Max uint16        // versions
	Suites   []uint16      // before TLS 1.3; nil: those of the settings
	Groups   []tls.CurveID // nil: those of the settings
}

// Offering returns the settings with another offer.
func (c *Config) Offering(o Offer) *Config {
	other := *c
	other.shared = c.shared.Clone()
	other.shared.MinVersion, other.shared.MaxVersion = o.Min, o.Max
	if o.Suites != nil {
		other.shared.CipherSuites = o.Suites
	}
	if o.Groups != nil {
		other.shared.CurvePreferences = o.Groups
	}
	return &other
}

// Suites are all cipher suites that can be offered one at a time, which those of TLS 1.3 cannot.
func Suites() []*tls.CipherSuite {
	return slices.DeleteFunc(slices.Clone(allSuites()), func(s *tls.CipherSuite) bool { return s.SupportedVersions[0] == tls.VersionTLS13 })
}

// SuiteName is OpenSSL's name of a suite before TLS 1.3, else the IANA's.
func SuiteName(s *tls.CipherSuite) string { return opensslName(s.Name) }

// Groups are all key exchange groups that can be offered, and whether each is for TLS 1.3 only.
func Groups() (ids []tls.CurveID, only13 func(tls.CurveID) bool) {
	for _, g := range groups {
		ids = append(ids, g.id)
	}
	return ids, func(id tls.CurveID) bool { return groupOf(id).only13 }
}
