package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"tlsup/internal/dns"
	"tlsup/internal/gnutls"
	"tlsup/internal/trust"
)

// resolverVariable names the resolver to ask, which is trusted to validate: no option of gnutls-cli can.
const resolverVariable = "TLSUP_RESOLVER"

// loadResolver finds whom to ask for names, and for TLSA records.
func (g *gnutlsRun) loadResolver() (err error) {
	if named := os.Getenv(resolverVariable); named != "" {
		if g.resolver, err = dns.At(named); err != nil {
			return fmt.Errorf("%s: %w", resolverVariable, err)
		}
		g.connect.Resolver = g.resolver.Plain()
	}
	switch {
	case !g.line.Has("dane"):
	case g.line.No("local-dns"):
		return &gnutls.UnsupportedError{Option: "no-local-dns", Why: " with --dane: the resolver here is asked, which has to validate"}
	case g.resolver == nil:
		if g.resolver, err = dns.System(); err != nil {
			return &gnutls.UnsupportedError{Option: "dane", Why: ": " + err.Error() + "; or name one that you trust in " + resolverVariable}
		}
	}
	return nil
}

// dane tells what the server's TLSA records say of its certificate. Its error is that they do not make it
// trusted.
func (g *gnutlsRun) dane(ctx context.Context, cs tls.ConnectionState) error {
	refused := func(err error) error { return &trust.Error{Cert: cs.PeerCertificates[0], Err: err} }
	d, err := g.lookupTLSA(ctx)
	if err != nil {
		if !cs.DidResume {
			g.complain("*** DANE verification error: %s", daneFailure(err))
		}
		return refused(err)
	}
	if g.line.No("ca-verification") {
		d.Records = endEntities(d.Records)
	}
	judged := g.chain.JudgeTLSA(asLibdane(d), cs.PeerCertificates)
	line, trusted := gnutls.DANELine(judgedRecords(judged))
	if !cs.DidResume {
		g.complain("%s", line)
	}
	if !trusted {
		return refused(trust.ErrOtherTLSA)
	}
	return nil
}

// lookupTLSA looks up the records. That there are none, or insecure ones, is an error.
func (g *gnutlsRun) lookupTLSA(ctx context.Context) (*trust.DANE, error) {
	if _, err := netip.ParseAddr(g.target.ServerName()); err == nil {
		return nil, trust.ErrNoTLSA
	}
	d, err := g.target.TLSA(ctx, g.resolver)
	switch {
	case err != nil:
		return nil, err
	case len(d.Records) == 0:
		return nil, trust.ErrNoTLSA
	case !d.Secure:
		return nil, trust.ErrInsecureTLSA
	}
	return d, nil
}

// daneFailure is what GnuTLS says of a look-up that failed.
func daneFailure(err error) string {
	switch {
	case errors.Is(err, trust.ErrNoTLSA):
		return "No DANE data were found."
	case errors.Is(err, trust.ErrInsecureTLSA):
		return "No DNSSEC signature was found."
	case errors.Is(err, dns.ErrBogus):
		return "The DNSSEC signature is invalid."
	}
	return "There was an error while resolving."
}

// endEntities are the records of servers' own certificates: without a verified chain no others count.
func endEntities(records []trust.TLSA) (kept []trust.TLSA) {
	for _, r := range records {
		if r.Usage == 1 || r.Usage == 3 {
			kept = append(kept, r)
		}
	}
	return kept
}

// asLibdane has usages 0 and 1 mean what 2 and 3 do, since authorities are asked apart.
func asLibdane(d *trust.DANE) *trust.DANE {
	alike := *d
	alike.Records = nil
	for _, r := range d.Records {
		if r.Usage <= 1 {
			r.Usage += 2
		}
		alike.Records = append(alike.Records, r)
	}
	return &alike
}

func judgedRecords(judged []trust.Judged) (records []gnutls.DANERecord) {
	for _, j := range judged {
		records = append(records, gnutls.DANERecord{Authority: j.Usage == 2, Usable: j.Unusable == "", Matches: j.Trusts})
	}
	return records
}
