package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
)

// maxBroken is how many verifications and signatures are tried for one certificate, when those with SHA-1
// count.
const maxBroken = 100

// A brokenSearch looks for chains in which signatures with SHA-1 count (Settings.AllowBroken). x509, which
// refuses them, verifies the parts beneath and above such a signature; what the upper part says about the
// lower is looked at here.
type brokenSearch struct {
	issuers []*x509.Certificate // that may have signed
	left    int                 // verifications and signatures that may be tried
}

// chain returns the chain of a certificate that x509 knows no issuer of, or nil.
func (b *brokenSearch) chain(cert *x509.Certificate, opts x509.VerifyOptions) []*x509.Certificate {
	for _, signed := range append([]*x509.Certificate{cert}, b.issuers...) {
		if !brokenSignature(signed) {
			continue
		}
		lower := b.verify(cert, opts, signed)
		if lower == nil {
			continue
		}
		for _, issuer := range b.issuers {
			if !b.signed(signed, issuer) {
				continue
			}
			if chain := slices.Concat(lower, b.upper(issuer, opts)); len(chain) > len(lower) && joins(chain, len(lower)) {
				return chain
			}
		}
	}
	return nil
}

// verify returns a chain that ends at root; nil for none, or if too many have been looked for.
func (b *brokenSearch) verify(cert *x509.Certificate, opts x509.VerifyOptions, root *x509.Certificate) []*x509.Certificate {
	opts.Roots = x509.NewCertPool()
	opts.Roots.AddCert(root)
	return b.first(cert, opts)
}

// upper returns a chain from an issuer to a trust anchor, in which there may be more such signatures.
func (b *brokenSearch) upper(issuer *x509.Certificate, opts x509.VerifyOptions) []*x509.Certificate {
	opts.DNSName = ""
	if chain := b.first(issuer, opts); chain != nil || b.left <= 0 {
		return chain
	}
	return b.chain(issuer, opts)
}

func (b *brokenSearch) first(cert *x509.Certificate, opts x509.VerifyOptions) []*x509.Certificate {
	if b.left--; b.left < 0 {
		return nil
	}
	chains, err := cert.Verify(opts)
	if err != nil {
		return nil
	}
	return chains[0]
}

func brokenSignature(cert *x509.Certificate) bool {
	return cert.SignatureAlgorithm == x509.SHA1WithRSA || cert.SignatureAlgorithm == x509.ECDSAWithSHA1
}

// signed reports whether an authority has signed a certificate, with SHA-1.
func (b *brokenSearch) signed(cert, issuer *x509.Certificate) bool {
	if !bytes.Equal(cert.RawIssuer, issuer.RawSubject) || cert.Equal(issuer) {
		return false
	}
	if !issuer.BasicConstraintsValid || !issuer.IsCA || issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCertSign == 0 {
		return false
	}
	if b.left--; b.left < 0 {
		return false
	}
	// Of requests x509 still takes SHA-1: that is how it can be asked.
	request := x509.CertificateRequest{
		SignatureAlgorithm: cert.SignatureAlgorithm, RawTBSCertificateRequest: cert.RawTBSCertificate, Signature: cert.Signature,
		PublicKey: issuer.PublicKey,
	}
	return request.CheckSignature() == nil
}

// oidNameConstraints is the extension that bounds the names beneath an authority (RFC 5280, 4.2.1.10).
var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// joins reports whether the authorities of a chain from at on allow what is beneath them: so many
// authorities, and any names. x509 has looked at what is on each side by itself.
func joins(chain []*x509.Certificate, at int) bool {
	for i, cert := range chain[at:] {
		below := at + i - 1 // authorities
		if cert.MaxPathLen >= 0 && below > cert.MaxPathLen {
			return false
		}
		for _, extension := range cert.Extensions {
			if extension.Id.Equal(oidNameConstraints) {
				return false
			}
		}
	}
	return true
}

// search is Verify for certificates that a server sent, where signatures with SHA-1 may count.
func (c *Config) search(sent []*x509.Certificate, opts x509.VerifyOptions) ([][]*x509.Certificate, error) {
	chains, err := sent[0].Verify(opts)
	if !c.allowBroken || !errors.As(err, new(x509.UnknownAuthorityError)) {
		return chains, err
	}
	b := brokenSearch{issuers: slices.Concat(sent[1:], c.retrieved.all()), left: maxBroken}
	for _, a := range c.anchors {
		b.issuers = append(b.issuers, a.cert)
	}
	if chain := b.chain(sent[0], opts); chain != nil {
		return [][]*x509.Certificate{chain}, nil
	}
	return nil, err
}
