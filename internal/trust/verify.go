package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tlsup/internal/quote"
)

// An Error tells that the server's certificate is not trusted.
type Error struct {
	// Cert is the culprit; nil if the server sent none or nothing could be verified.
	Cert *x509.Certificate
	// Err is x509's error, or the reason why x509 was not asked.
	Err error

	problems []problem // all that is wrong; the first one's certificate and error stand above
	sent     []*x509.Certificate
	chain    []*x509.Certificate // to the trust anchor, though for another reason it is not trusted
	strict   bool                // --insecure is no way out
	ocsp     bool                // --ocsp was given, which --insecure can't go with
}

// A problem is one thing that is wrong with a certificate.
type problem struct {
	cert *x509.Certificate // nil: none to name
	says string            // what is wrong, in words that follow the certificate's name; printable
	hint string            // what would make it right; "" if nothing is known
	err  error

	detail []string // lines to show beneath; printable
}

// Error says which certificate it is and all that is wrong with it. What comes from
// certificates is escaped and cut.
func (e *Error) Error() string {
	if len(e.problems) == 0 { // made elsewhere
		return quote.Escape(fmt.Sprint(e.Err))
	}
	var b strings.Builder
	for i, p := range e.problems {
		if i > 0 {
			b.WriteString("; ")
		}
		if p.cert != nil && (i == 0 || p.cert != e.problems[i-1].cert) {
			b.WriteString(position(p.cert, e.sent) + " ")
		}
		b.WriteString(p.says)
	}
	return b.String()
}

// Hint says what would make it right.
func (e *Error) Hint() string {
	var hints []string
	for _, p := range e.problems {
		if p.hint != "" && !slices.Contains(hints, p.hint) {
			hints = append(hints, p.hint)
		}
	}
	switch {
	case e.strict:
	case e.ocsp:
		hints = append(hints, "--insecure in place of --ocsp skips the check, for tests only")
	default:
		hints = append(hints, "--insecure skips the check, for tests only")
	}
	return strings.Join(hints, "; ")
}

// Detail are lines to show a person beneath the message; nil for none. They can be shown as they are.
func (e *Error) Detail() (lines []string) {
	for _, p := range e.problems {
		lines = append(lines, p.detail...)
	}
	return lines
}

// Unwrap returns x509's error.
func (e *Error) Unwrap() error { return e.Err }

// Reasons why x509 was not asked.
var (
	errNoCertificate = errors.New("the server sent no certificate")
	errNoName        = errors.New("there is no name to verify the server's certificate for")
)

// Problem verifies the certificate of a session for name, as the handshake does. It
// returns nil or an *Error, also if --insecure is given: what was let pass. name is
// the one that Client was called with.
func (c *Config) Problem(cs tls.ConnectionState, name string) error {
	if _, err := c.verify(cs, c.reference(name), nil); err != nil {
		return err
	}
	return nil
}

// handling is what a verification does beside it in a handshake: it asks responders, and says what a
// person should know. Nil: neither.
type handling struct {
	ctx    context.Context // that bounds it
	notice func(format string, args ...any)

	resumable time.Time // until when the session counts that was offered for resumption
	until     time.Time // and the one that was made
}

// begin is called when the server's certificate has come, perhaps that of the session that was resumed.
func (h *handling) begin(resumed bool) {
	h.until = time.Now().Add(sessionLife)
	if resumed {
		h.until = h.resumable
	}
}

// end lets go of the context: the settings live as long as the session does.
func (h *handling) end() { h.ctx = context.Background() }

// proven has the session count no longer than what proves its certificate.
func (h *handling) proven(until time.Time) {
	if h != nil && until.Before(h.until) {
		h.until = until
	}
}

func (h *handling) say(format string, args ...any) {
	if h != nil {
		h.notice(format, args...)
	}
}

// handle is Problem in a handshake.
func (c *Config) handle(cs tls.ConnectionState, name string, h *handling) error {
	if _, err := c.verify(cs, c.reference(name), h); err != nil {
		return err
	}
	return nil
}

// Overlooked returns what Problem does if --insecure let it pass, else nil.
func (c *Config) Overlooked(cs tls.ConnectionState, name string) error {
	if !c.insecure {
		return nil
	}
	return c.Problem(cs, name)
}

// An acceptance is why a certificate is trusted.
type acceptance struct {
	chain []*x509.Certificate // from it up to the trust anchor; nil where something else stands in its place
	tlsa  *Judged             // the TLSA record; nil without --dane
}

// verify returns why the session's certificate is trusted for name, or what is wrong.
func (c *Config) verify(cs tls.ConnectionState, name string, h *handling) (acceptance, *Error) {
	sent := cs.PeerCertificates
	if len(sent) == 0 {
		return acceptance{}, refuse(nil, problem{says: errNoCertificate.Error(), err: errNoCertificate})
	}
	var a acceptance
	var problems []problem
	switch {
	case c.known != nil:
		problems = c.known.problems(c.server, sent[0])
	case c.dane:
		if a.tlsa, problems = c.verifyTLSA(sent, name); a.tlsa != nil {
			a.chain = a.tlsa.chain
		}
	case !c.pins.only:
		a.chain, problems = c.verifyChain(sent, name)
	}
	problems = append(problems, c.pins.problems(sent[0])...)
	if problems == nil { // or responders would be asked, at an address that nobody vouches for
		problems = c.checkRevoked(cs, a, h)
	}
	if problems == nil {
		return a, nil
	}
	err := refuse(sent, problems...)
	err.chain = a.chain
	// Whoever has a revoked certificate's key may be anybody, and a responder need not be asked.
	settled := func(p problem) bool { return p.err == ErrRevoked || p.err == errOCSP }
	err.strict = c.pins.given() || c.known != nil || c.dane || slices.ContainsFunc(problems, settled)
	err.ocsp = c.ocsp != nil
	return acceptance{}, err
}

// checkRevoked looks whether a session's certificate was revoked, or one of its chain.
func (c *Config) checkRevoked(cs tls.ConnectionState, a acceptance, h *handling) []problem {
	if c.skipRevoked {
		return nil
	}
	chain := a.chain
	if a.tlsa != nil && a.tlsa.Usage == daneEE && c.ocsp == nil && c.crls == nil {
		return nil // nothing of it counts but its key (RFC 7671, 5.1)
	}
	if chain == nil { // by other means
		leaf, others := cs.PeerCertificates[0], cs.PeerCertificates[1:]
		i := slices.IndexFunc(others, func(other *x509.Certificate) bool { return leaf.CheckSignatureFrom(other) == nil })
		if i < 0 {
			return nil
		}
		chain = []*x509.Certificate{leaf, others[i]}
	}
	if len(chain) < 2 {
		return nil // it is trusted by itself
	}
	return append(c.checkCRLs(chain, h), c.checkOCSP(cs, chain[1], h)...)
}

// verifyChain returns the chain, or what is wrong with the certificates; both if it is their keys.
func (c *Config) verifyChain(sent []*x509.Certificate, name string) ([]*x509.Certificate, []problem) {
	if chain := c.found.find(sent, name, c.now()); chain != nil {
		return chain, nil
	}
	chains, problems := c.chains(sent, name)
	switch {
	case chains == nil:
		return nil, problems
	case problems == nil && (c.roots != nil || !systemVerifies):
		c.found.keep(sent, name, chains[0])
	}
	return chains[0], problems
}

// chains returns all chains that are strong enough, at least one, or what is wrong with the certificates;
// both if it is their strength.
func (c *Config) chains(sent []*x509.Certificate, name string) ([][]*x509.Certificate, []problem) {
	if name == "" {
		return nil, []problem{{
			says: errNoName.Error() + " (--verify-hostname)", err: errNoName,
			hint: "give a name with --verify-hostname NAME",
		}}
	}
	opts := c.options(sent, name)
	chains, err := c.search(sent, opts)
	if err != nil {
		x := examination{config: c, sent: sent, name: name, now: opts.CurrentTime}
		return nil, append(x.problems(opts, err), c.strength.problems(sent, sent)...)
	}
	good := slices.DeleteFunc(slices.Clone(chains), func(chain []*x509.Certificate) bool { return c.weak(chain) != nil })
	if len(good) == 0 {
		return chains[:1], c.weak(chains[0])
	}
	return good, nil
}

// options are what x509 is asked for about the certificates that a server sent, for a name; "": any.
func (c *Config) options(sent []*x509.Certificate, name string) x509.VerifyOptions {
	opts := x509.VerifyOptions{
		DNSName:       name,
		Roots:         c.roots,
		Intermediates: x509.NewCertPool(),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		CurrentTime:   c.now(),
	}
	for _, cert := range slices.Concat(sent[1:], c.retrieved.all()) {
		opts.Intermediates.AddCert(cert)
	}
	return opts
}

func refuse(sent []*x509.Certificate, problems ...problem) *Error {
	return &Error{Cert: problems[0].cert, Err: problems[0].err, problems: problems, sent: sent}
}
