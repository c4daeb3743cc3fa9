package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
	"golang.org/x/term"

	"tlsup/internal/gnutls"
	"tlsup/internal/quote"
	"tlsup/internal/trust"
)

// loadTrust reads certificates and keys, and says how many.
func (g *gnutlsRun) loadTrust(ctx context.Context) (err error) {
	l := g.line
	s := trust.Settings{
		CertFile: l.Value("x509certfile"), KeyFile: l.Value("x509keyfile"), DER: l.Has("x509fmtder"),
		VerifyName:    l.Value("verify-hostname"),
		Insecure:      l.Has("insecure") || l.No("ca-verification"),
		NoRoots:       l.Has("insecure"),
		TLSMin:        "1.0",
		Strength:      &g.priority.Strength,
		IgnoreRevoked: g.priority.IgnoreRevoked,
		AllowBroken:   l.Has("verify-allow-broken") || l.Has("insecure"),
		StrictStaple:  true,
		Retrieve:      l.Has("ca-auto-retrieve"),
		Time:          g.at,
		ALPN:          l.Values("alpn"),
		Passphrase:    func(file string) ([]byte, error) { return askPassphrase(ctx, file) },
	}
	if l.Has("x509crlfile") {
		s.CRLFiles = []string{l.Value("x509crlfile")}
	}
	if l.Has("x509cafile") {
		s.CAFiles = []string{l.Value("x509cafile")}
	}
	if s.CertFile == "" {
		s.KeyFile = "" // a key alone is no fault there
	}
	if s.ALPN == nil {
		s.ALPN = []string{""} // none, whatever the protocol has
	}
	switch sni := l.Value("sni-hostname"); {
	case l.Has("disable-sni"):
		s.SNI = new(string)
	case l.Has("sni-hostname"):
		s.SNI = &sni
	}
	if g.chain, err = trust.Load(s); err != nil {
		return err
	}
	config := g.chain
	if l.Has("tofu") || l.Has("strict-tofu") {
		if config, err = g.loadKnownHosts(ctx, s); err != nil {
			return err
		}
	}
	g.say("Processed %d CA certificate(s).\n", config.Anchors())
	if s.CRLFiles != nil {
		g.say("Processed %d CRL(s).\n", config.Lists())
	}
	if s.CertFile != "" {
		g.say("Processed %d client X.509 certificates...\n", config.OwnCertificates())
	}
	offer := trust.Offer{Min: g.priority.Min, Max: g.priority.Max, Suites: g.priority.Suites, Groups: g.priority.Groups}
	if l.Has("single-key-share") {
		offer.Groups = gnutls.SingleShare(offer.Groups)
	}
	if g.target.Protocol.MinVersion == tls.VersionTLS13 {
		offer.Suites = nil // those before can't be used
	}
	g.trust = config.Offering(offer).Changed(func(config *tls.Config, name string) { g.change(ctx, config, name) })
	return nil
}

// loadKnownHosts has the key that a server had before count, whatever is thought of its chain.
func (g *gnutlsRun) loadKnownHosts(ctx context.Context, s trust.Settings) (*trust.Config, error) {
	var err error
	if s.KnownHosts, err = stateFile("known_hosts"); err != nil {
		return nil, err
	}
	if home, err := os.UserHomeDir(); err == nil {
		s.GnutlsHosts = filepath.Join(home, ".gnutls", "known_hosts")
	}
	s.Insecure = false
	if g.line.Has("tofu") && !g.line.Has("strict-tofu") {
		s.Ask = func(string) (bool, error) {
			answer, err := askTerminal(ctx, func(t *term.Terminal) (string, error) {
				t.SetPrompt("Are you sure you want to trust it? (y/N): ")
				return t.ReadLine()
			})
			if err != nil && ctx.Err() == nil {
				g.complain("--tofu: the question can't be asked: %v", err)
			}
			answer = strings.ToLower(strings.TrimSpace(answer))
			return answer == "y" || answer == "yes", err
		}
	}
	return trust.Load(s)
}

// knownHost says what is wrong with a server's key, if it is new or another one than before, behind what
// there is to say of the certificate.
func (g *gnutlsRun) knownHost(cs tls.ConnectionState, name string) {
	host := quote.Escape(g.target.Host)
	err := g.trust.For(trust.Server{Address: g.target.Address(), Protocol: g.target.Protocol.Name}).Problem(cs, name)
	if errors.Is(err, trust.ErrUnknownHost) || errors.Is(err, trust.ErrChangedHost) {
		g.log.Write(g.block.Flush())
	}
	switch {
	case errors.Is(err, trust.ErrUnknownHost):
		g.complain("Host %s (%d) has never been contacted before.", host, g.target.Port)
	case errors.Is(err, trust.ErrChangedHost):
		g.complain("Warning: host %s is known and it is associated with a different key.", host)
		g.complain("It might be that the server has multiple keys, or an attacker replaced the key to eavesdrop this connection .")
	default:
		return
	}
	if cs.PeerCertificates[0].VerifyHostname(g.target.Host) == nil { // gnutls-cli says so of any
		g.complain("Its certificate is valid for %s.", host)
	}
}

// change makes the settings of a connection tell what is seen in its handshake.
func (g *gnutlsRun) change(ctx context.Context, config *tls.Config, name string) {
	block := &gnutls.Block{Verbose: g.line.Has("verbose"), PrintCert: g.line.Has("print-cert")}
	g.block = block
	config.SessionTicketsDisabled = g.line.Has("noticket") || g.priority.NoTickets
	config.KeyLogWriter = g.files.keys
	verify := config.VerifyConnection
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		if err := g.save(cs); err != nil {
			return err
		}
		block.Certificates(cs)
		against := g.judge(ctx, cs, name)
		tofu := g.line.Has("tofu") || g.line.Has("strict-tofu")
		advice := tofu || g.line.Has("insecure")
		if g.line.Has("dane") && (advice || against == nil && (g.line.No("ca-verification") || g.chain.Problem(cs, name) == nil)) {
			against = g.dane(ctx, cs)
		}
		if tofu {
			g.knownHost(cs, name)
		}
		if err := verify(cs); err != nil || advice {
			return err
		}
		return against
	}
	own := config.GetClientCertificate
	config.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert := new(tls.Certificate)
		if own != nil {
			var err error
			if cert, err = own(info); err != nil {
				return nil, err
			}
		}
		block.Asked(info, len(cert.Certificate))
		return cert, nil
	}
}

// judge tells what is thought of the server's certificate. Its error is what the OCSP responders say
// against one that is trusted otherwise.
func (g *gnutlsRun) judge(ctx context.Context, cs tls.ConnectionState, name string) error {
	if g.line.No("ca-verification") || cs.DidResume {
		return nil
	}
	g.chain.Retrieve(ctx, cs, trust.Retrieval{
		Missing: func() {
			g.complain("*** Cannot find caIssuer URI in certificate: The requested data were not available.")
		},
		Asking:  func(place string) { g.asking("caIssuer", place) },
		Dialing: g.askedAt,
		Failed:  func(err error) { g.complain("Cannot retrieve the issuer: %v", err) },
	})
	verdict := g.chain.Judge(cs, name)
	var errs []error
	for _, reason := range verdict.Reasons {
		errs = append(errs, reason.Err)
	}
	g.block.Status(verdict.Err == nil, errs, g.now())
	stapled := !g.priority.IgnoreRevoked && len(verdict.Chain) > 1 && g.chain.Stapled(cs, verdict.Chain[1])
	if verdict.Err != nil || !g.line.Has("ocsp") || stapled {
		return nil
	}
	return g.askResponders(ctx, verdict.Chain)
}

// now is the moment for which certificates are judged.
func (g *gnutlsRun) now() time.Time {
	if g.at.IsZero() {
		return time.Now()
	}
	return g.at
}

// asking tells of a server that is asked about a certificate.
func (g *gnutlsRun) asking(kind, place string) {
	host, port := place, "80"
	if u, err := url.Parse(place); err == nil {
		host = u.Hostname()
		if u.Port() != "" {
			port = u.Port()
		}
	}
	host = quote.Escape(host)
	g.complain("Connecting to %s server: %s...", kind, host)
	g.block.Note("Resolving '%s:%s'...", host, port)
}

// askedAt tells of its address.
func (g *gnutlsRun) askedAt(address string) {
	g.block.Note("Connecting to '%s'...", gnutlsAddress(address))
}

// errNotProven tells that no OCSP responder proved a certificate good.
var errNotProven = errors.New("it is not proven by OCSP that the certificate is in force")

// askResponders asks about each certificate of a chain but the trust anchor. The server's own has to be
// proven good, and none may be revoked. It returns a *trust.Error.
func (g *gnutlsRun) askResponders(ctx context.Context, chain []*x509.Certificate) error {
	good, err := 0, error(nil)
	for i := range len(chain) - 1 {
		var r *ocsp.Response
		if r, err = g.askResponder(ctx, chain[i], chain[i+1]); err != nil {
			if i == 0 {
				break
			}
			continue // as gnutls-cli has it, those above may be silent
		}
		if r.Status == ocsp.Revoked {
			g.block.Note("*** Certificate was revoked at %s", gnutls.LocalTime(r.RevokedAt))
			good, err = 0, trust.ErrRevoked
			break
		}
		g.block.Note("- OCSP server flags certificate not revoked as of %s", gnutls.LocalTime(r.ThisUpdate))
		good++
	}
	if good == 0 {
		if err == nil { // it is an anchor itself
			err = errNotProven
		}
		g.block.Note("*** Verifying (with OCSP) server certificate chain failed...")
		return &trust.Error{Cert: chain[0], Err: err}
	}
	g.block.Note("*** OCSP: verified %d certificate(s).", good)
	return nil
}

// askResponder asks about one certificate.
func (g *gnutlsRun) askResponder(ctx context.Context, cert, issuer *x509.Certificate) (*ocsp.Response, error) {
	place := trust.ResponderOf(cert)
	if place == "" {
		g.complain("*** Cannot find OCSP server URI in certificate: The requested data were not available.")
		return nil, errNotProven
	}
	g.asking("OCSP", place)
	r, err := g.chain.AskResponder(ctx, place, cert, issuer, g.askedAt)
	if err != nil {
		g.complain("Cannot contact OCSP server: %v", err)
	}
	return r, err
}
