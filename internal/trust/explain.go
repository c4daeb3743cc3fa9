package trust

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tlsup/internal/quote"
)

const (
	hintRenew   = "the server's operator has to renew the certificate"
	hintClock   = "check this machine's clock"
	hintReissue = "the server's operator has to get another certificate"
	hintSend    = "the server's operator has to make the server send"
)

// tooManyChecks is what x509 says, without a type, when it gives up the search for a chain behind
// mostChecks signatures.
const (
	tooManyChecks = "x509: signature check attempts limit reached"
	mostChecks    = 100
)

// An examination finds out why x509 does not trust a certificate.
type examination struct {
	config *Config
	sent   []*x509.Certificate // by the server, its own first; at least one
	name   string              // that was to be verified
	now    time.Time
}

// problems explains why Verify with opts failed with err. x509 stops at the first
// problem, and a certificate that is wrong in one way often is in others: what was
// found is excused, and the rest asked for again.
func (x *examination) problems(opts x509.VerifyOptions, err error) []problem {
	leaf := x.sent[0]
	all := []problem{x.explain(err)}
	for {
		moved := !opts.CurrentTime.Equal(x.now)
		switch {
		case opts.DNSName != "" && isHostname(err):
			opts.DNSName = ""
		case !moved && isDate(err) && x.now.Before(leaf.NotBefore):
			opts.CurrentTime, moved = leaf.NotBefore, true
		case !moved && isDate(err) && x.now.After(leaf.NotAfter):
			opts.CurrentTime, moved = leaf.NotAfter, true
		default:
			return all
		}
		_, err = x.config.search(x.sent, opts)
		if err == nil || moved && isDate(err) { // dates at another time than now mean nothing
			return all
		}
		all = append(all, x.explain(err))
	}
}

func isHostname(err error) bool {
	return errors.As(err, new(x509.HostnameError))
}

func isDate(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

// explain puts one error of x509's into words.
func (x *examination) explain(err error) problem {
	var p problem
	var invalid x509.CertificateInvalidError
	var system x509.SystemRootsError
	switch {
	case errors.As(err, &invalid):
		p = x.invalid(invalid)
	case isHostname(err):
		p = x.otherNames()
	case errors.As(err, new(x509.UnknownAuthorityError)):
		p = x.unknownIssuer()
	case errors.As(err, new(x509.UnhandledCriticalExtension)):
		p = x.criticalExtension()
	case errors.As(err, &system):
		p = problem{says: "the system's root certificates cannot be read: " + quote.Escape(fmt.Sprint(system.Err)), hint: hintNoRoots}
	case strings.HasPrefix(err.Error(), tooManyChecks):
		p = problem{
			cert: x.sent[0], hint: hintSend + " the certificates of its chain alone",
			says: fmt.Sprintf("leads to no trust anchor that is found within %d signatures, among the %d certificates that the server sent", mostChecks, len(x.sent)),
		}
	default: // a platform's own verifier, or one that is newer than this program
		p = problem{cert: x.sent[0], says: "is not accepted: " + cause(err.Error())}
	}
	if p.err == nil {
		p.err = err
	}
	return p
}

// invalid explains a certificate in the chain that x509 would not use.
func (x *examination) invalid(e x509.CertificateInvalidError) problem {
	p := problem{cert: e.Cert, hint: hintReissue}
	switch e.Reason {
	case x509.Expired:
		return x.outdated(e.Cert)
	case x509.IncompatibleUsage:
		return x.wrongUsage()
	case x509.NotAuthorizedToSign:
		p.says = "is no authority (CA:FALSE), yet a certificate is issued by it"
	case x509.TooManyIntermediates:
		p.says = "allows fewer intermediate certificates beneath it than there are (path length)"
	case x509.CANotAuthorizedForThisName, x509.UnconstrainedName, x509.TooManyConstraints:
		p.says = "has a name that an authority above it is not allowed to certify (name constraints): " + cause(e.Detail)
	case x509.CANotAuthorizedForExtKeyUsage:
		p.says = "is issued by an authority that is not allowed to certify servers (extended key usage): " + cause(e.Detail)
	default:
		p.says = "is not accepted: " + cause(e.Error())
	}
	return p
}

// outdated explains dates. A platform's verifier may blame the server's certificate for
// another one's.
func (x *examination) outdated(cert *x509.Certificate) problem {
	for _, other := range x.sent {
		if within(cert, x.now) {
			cert = other
		}
	}
	clock := hintClock + ", which says " + moment(x.now, x.now)
	p := problem{cert: cert, hint: hintRenew + "; if it is not outdated, " + clock}
	switch {
	case x.now.Before(cert.NotBefore):
		p.says = fmt.Sprintf("is not valid before %s, %s", moment(cert.NotBefore, x.now), ahead(x.now, cert.NotBefore))
		p.hint = clock + "; if it is right, the certificate is not to be used yet"
	case x.now.After(cert.NotAfter):
		p.says = fmt.Sprintf("expired on %s, %s", moment(cert.NotAfter, x.now), ago(cert.NotAfter, x.now))
		if file := x.config.fileOf(cert); file != "" {
			p.hint = "get a newer certificate of this authority, for --x509cafile " + pathText(file)
		}
	default:
		p.says = "is in order, but one above it is outdated"
	}
	return p
}

func within(cert *x509.Certificate, t time.Time) bool {
	return !t.Before(cert.NotBefore) && !t.After(cert.NotAfter)
}

// otherNames explains that the certificate is for others.
func (x *examination) otherNames() problem {
	leaf := x.sent[0]
	p := problem{cert: leaf, says: "is not valid for " + value(x.name), hint: hintReissue + ", with that name in it"}
	switch {
	case fits(leaf.Subject.CommonName, x.name):
		p.says += ", which is its common name, but those are not used (RFC 9525)"
	case slices.Contains(leaf.DNSNames, x.name): // a domain name would have matched
		p.says += ", which it has as a domain name, not as an IP address"
	case slices.ContainsFunc(leaf.DNSNames, func(pattern string) bool { return beneath(pattern, x.name) }):
		p.says += ": a wildcard stands for one label only"
	case slices.ContainsFunc(leaf.DNSNames, func(pattern string) bool { return strings.EqualFold(pattern, "*."+x.name) }):
		p.says += ": a wildcard does not stand for the domain itself"
	}
	names := altNames(leaf)
	if len(names) == 0 {
		p.says += "; it has no subject alternative names"
		return p
	}
	p.says += "; its names are " + list(names)
	p.hint = "if the server that you mean has one of these names, give it with --verify-hostname NAME; else " + p.hint
	return p
}

// fits reports whether a name would do if it were an alternative name.
func fits(candidate, wanted string) bool {
	if candidate == "" {
		return false
	}
	trial := x509.Certificate{DNSNames: []string{candidate}}
	if ip, err := netip.ParseAddr(candidate); err == nil {
		trial.IPAddresses = append(trial.IPAddresses, ip.AsSlice())
	}
	return trial.VerifyHostname(wanted) == nil
}

// beneath reports whether name is under a wildcard's domain, at any depth.
func beneath(pattern, name string) bool {
	domain, ok := strings.CutPrefix(pattern, "*.")
	return ok && strings.HasSuffix(strings.ToLower(name), "."+strings.ToLower(domain))
}

// wrongUsage finds the certificate that must not be used by a server.
func (x *examination) wrongUsage() problem {
	for _, cert := range x.sent {
		if usages := usageNames(cert); len(usages) > 0 && !slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth) &&
			!slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny) {
			return problem{cert: cert, hint: hintReissue,
				says: "is not made for TLS servers: its extended key usage is " + strings.Join(usages, ", ")}
		}
	}
	return problem{cert: x.sent[0], hint: hintReissue,
		says: "is issued by an authority that is not made for TLS servers (extended key usage)"}
}

func usageNames(cert *x509.Certificate) []string {
	var names []string
	for _, usage := range cert.ExtKeyUsage {
		names = append(names, usage.String())
	}
	for _, oid := range cert.UnknownExtKeyUsage {
		names = append(names, oid.String())
	}
	return names
}

// leastRSA is how many bits an RSA key must have, as in public certificates (CA/Browser Forum, Baseline
// Requirements, 6.1.5). x509 takes shorter ones.
const leastRSA = 2048

// shortKeys are the problems with keys of a chain that can be broken. The anchor's is the business of
// whoever trusts it.
func shortKeys(chain []*x509.Certificate) (problems []problem) {
	for _, cert := range chain[:len(chain)-1] {
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < leastRSA {
			problems = append(problems, problem{
				cert: cert, err: ErrWeak,
				says: fmt.Sprintf("has an RSA key of %d bits, which can be broken: %d are the least", key.N.BitLen(), leastRSA),
				hint: hintReissue + "; one that is given with --x509cafile FILE itself is trusted with any key",
			})
		}
	}
	return problems
}

// criticalExtension finds the certificate with something that must be understood and is not.
func (x *examination) criticalExtension() problem {
	for _, cert := range x.sent {
		for _, oid := range cert.UnhandledCriticalExtensions {
			return problem{cert: cert, hint: hintReissue, says: fmt.Sprintf("has a critical extension that is not understood here (%s)", oid)}
		}
	}
	return problem{cert: x.sent[0], hint: hintReissue, says: "is issued by an authority with a critical extension that is not understood here"}
}

const (
	hintNoRoots = "install them (most systems have a package ca-certificates), or give --x509cafile FILE"
	hintAnchor  = "if it is the right one, get it from the server's operator as a PEM file, for --x509cafile FILE"
)

// unknownIssuer explains why no chain from the server's certificate ends at a trust
// anchor: it climbs as far as the certificates at hand reach, and looks at what is
// missing there.
func (x *examination) unknownIssuer() problem {
	top := x.top()
	p := problem{cert: top}
	rejected, reason := x.rejected(top)
	switch {
	case selfSigned(top):
		p.says, p.hint = "is self-signed, and not among "+x.config.trusted(), hintAnchor
		if top != x.sent[0] {
			p.says = "ends the chain, it " + p.says
		}
		if rejected != nil {
			p.says += "; one of the same name is, with another key"
		}
	case weak(top):
		p.says = fmt.Sprintf("is signed with %s, which can be forged and is not accepted", top.SignatureAlgorithm)
		p.hint = hintReissue
		if errors.As(reason, new(x509.InsecureAlgorithmError)) { // its issuer is known
			p.err = fmt.Errorf("%w: %w", reason, x509.UnknownAuthorityError{Cert: top})
		}
	case errors.As(reason, new(x509.ConstraintViolationError)):
		p.says = "is issued by " + subject(rejected) + ", which is no authority (CA:FALSE, or a key that must not sign certificates)"
		p.hint = hintReissue
		p.err = x509.CertificateInvalidError{Cert: rejected, Reason: x509.NotAuthorizedToSign}
	case rejected != nil:
		p.says = "is not signed by the key of " + subject(rejected) + ", though that is the name of its issuer"
		p.hint = hintSend + " the certificate of the issuer that signed it"
		if file := x.config.fileOf(rejected); file != "" {
			p.hint = "the certificate in --x509cafile " + pathText(file) + " may be out of date: get the current one from the authority"
		}
	default:
		p.says = "is issued by " + issuer(top) + ", which is not among " + x.config.trusted()
		p.hint = "if that is an authority of your own, give its certificate with --x509cafile FILE"
		if len(x.sent) == 1 {
			p.says += ", and the server sent no intermediate certificate"
			p.hint += "; if it is a public one, " + hintSend + " the intermediate certificates as well"
		}
	}
	if x.config.anchorsAre != "" {
		p.hint = "the server's operator has to make the server send all certificates up to the trust anchor"
	}
	if x.config.roots == nil && noSystemRoots() {
		p.says, p.hint = p.says+"; no root certificates are installed on this system", hintNoRoots
	}
	return p
}

// top climbs from the server's certificate to the last one whose issuer the server did
// not send.
func (x *examination) top() *x509.Certificate {
	top, checks := x.sent[0], 0
	for range x.sent { // as many steps as there can be: certificates may go round in circles
		i := slices.IndexFunc(x.sent, func(cert *x509.Certificate) bool {
			if cert.Equal(top) || !bytes.Equal(cert.RawSubject, top.RawIssuer) || checks == mostChecks {
				return false
			}
			checks++
			return top.CheckSignatureFrom(cert) == nil
		})
		if i < 0 {
			break
		}
		top = x.sent[i]
	}
	return top
}

// rejected returns a certificate that has the name of the issuer of cert, and why it
// can't be; nil if there is none.
func (x *examination) rejected(cert *x509.Certificate) (*x509.Certificate, error) {
	candidates := slices.Clone(x.sent)
	for _, a := range x.config.anchors {
		candidates = append(candidates, a.cert)
	}
	for _, candidate := range candidates {
		if candidate.Equal(cert) || !bytes.Equal(candidate.RawSubject, cert.RawIssuer) {
			continue
		}
		if err := cert.CheckSignatureFrom(candidate); err != nil {
			return candidate, err
		}
	}
	return nil, nil
}

// selfSigned reports whether a certificate carries its own key's signature. A server's
// certificate does not have to be an authority for that.
func selfSigned(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawSubject, cert.RawIssuer) &&
		cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

// weak reports whether x509 rejects a signature for its algorithm alone.
func weak(cert *x509.Certificate) bool {
	switch cert.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
		return true
	}
	return false
}

// trusted names what a certificate is looked for in.
func (c *Config) trusted() string {
	switch {
	case c.anchorsAre != "":
		return c.anchorsAre
	case c.roots == nil:
		return "the system's roots"
	}
	return "the certificates in --x509cafile"
}

// fileOf returns the file in which the user gave a certificate; "" if none.
func (c *Config) fileOf(cert *x509.Certificate) string {
	for _, a := range c.anchors {
		if a.cert.Equal(cert) {
			return a.file
		}
	}
	return ""
}

// noSystemRoots reports whether the system has no roots at all, as in small containers.
func noSystemRoots() bool {
	pool, err := x509.SystemCertPool()
	return err == nil && pool.Equal(x509.NewCertPool())
}

// position says which of the certificates that the server sent it is, and whose.
func position(cert *x509.Certificate, sent []*x509.Certificate) string {
	i := slices.IndexFunc(sent, cert.Equal)
	switch {
	case i < 0:
		return "trust anchor " + subject(cert)
	case i == 0:
		return "certificate " + subject(cert)
	default:
		return fmt.Sprintf("certificate %s (%d of %d sent)", subject(cert), i+1, len(sent))
	}
}

// cause returns words of x509's own, which may hold names, escaped, cut and without the
// package's name.
func cause(text string) string {
	return quote.Escape(cut(strings.TrimPrefix(text, "x509: "), quote.MaxQuote))
}
