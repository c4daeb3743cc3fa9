package report

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math"
	"slices"
	"time"

	"tlsup/internal/trust"
)

// A Certificate is one of the chain: those that the server sent, in its order, and the trust anchor
// behind them if it was not sent.
type Certificate struct {
	Subject   string   `json:"subject"`
	Names     []string `json:"names"` // alternative names
	Issuer    string   `json:"issuer"`
	Serial    string   `json:"serial"` // in hex
	Key       Key      `json:"key"`
	Signature string   `json:"signature_algorithm"` // its issuer's

	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	DaysLeft  int       `json:"days_left"` // whole days, rounded down: negative when it has ended
	// EndsTooSoon tells that it ends sooner than was asked for (--expires-in).
	EndsTooSoon bool `json:"ends_too_soon"`

	SHA256 string `json:"sha256"` // of the certificate, in hex
	Pin    string `json:"pin"`    // of its key, as curl writes it: sha256//BASE64

	Sent       bool    `json:"sent"`        // by the server
	Used       bool    `json:"used"`        // in the verification
	Anchor     bool    `json:"anchor"`      // it is the trust anchor
	Authority  bool    `json:"authority"`   // CA:TRUE
	SelfSigned bool    `json:"self_signed"` // with its own key
	MustStaple bool    `json:"must_staple"` // RFC 7633
	PEM        *string `json:"pem,omitempty"`

	raw []byte
}

// A Key is a public key.
type Key struct {
	Algorithm string `json:"algorithm"`
	Bits      int    `json:"bits"` // 0 if not known
}

// chain sets the certificates that were sent, and the anchor of those that were verified.
func (r *Report) chain(sent, verified []*x509.Certificate, o *Options) {
	now := r.Time
	all := slices.Clone(sent)
	if len(verified) > 0 && !slices.ContainsFunc(sent, verified[len(verified)-1].Equal) {
		all = append(all, verified[len(verified)-1])
	}
	for i, cert := range all {
		c := describe(cert, now)
		c.Sent = i < len(sent)
		c.Used = slices.ContainsFunc(verified, cert.Equal)
		c.Anchor = c.Used && cert.Equal(verified[len(verified)-1])
		counts := c.Used || len(verified) == 0
		c.EndsTooSoon = counts && o.ExpiresIn > 0 && cert.NotAfter.Before(now.Add(o.ExpiresIn))
		if o.PEM {
			text := string(c.PEMBlock())
			c.PEM = &text
		}
		r.Chain = append(r.Chain, c)
	}
}

func describe(cert *x509.Certificate, now time.Time) Certificate {
	print, pin := sha256.Sum256(cert.Raw), sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return Certificate{
		Subject:    trust.Subject(cert),
		Names:      append([]string{}, trust.Names(cert)...),
		Issuer:     trust.Issuer(cert),
		Serial:     fmt.Sprintf("%x", cert.SerialNumber),
		Key:        describeKey(cert),
		Signature:  cert.SignatureAlgorithm.String(),
		NotBefore:  cert.NotBefore.UTC(),
		NotAfter:   cert.NotAfter.UTC(),
		DaysLeft:   int(math.Floor(float64(cert.NotAfter.Unix()-now.Unix()) / (24 * 60 * 60))),
		SHA256:     hex.EncodeToString(print[:]),
		Pin:        "sha256//" + base64.StdEncoding.EncodeToString(pin[:]),
		Authority:  cert.BasicConstraintsValid && cert.IsCA,
		SelfSigned: trust.SelfSigned(cert),
		MustStaple: trust.MustStaple(cert),
		raw:        cert.Raw,
	}
}

// left says how many days a certificate has left, or how long ago it ended.
func (c *Certificate) left() string {
	switch days := c.DaysLeft; {
	case days < -2:
		return fmt.Sprintf("%d days ago", -days-1)
	case days == -2:
		return "1 day ago"
	case days == -1:
		return "within the last day"
	case days == 0:
		return "within a day"
	case days == 1:
		return "in 1 day"
	default:
		return fmt.Sprintf("in %d days", days)
	}
}

func describeKey(cert *x509.Certificate) Key {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return Key{"RSA", key.N.BitLen()}
	case *ecdsa.PublicKey:
		return Key{"ECDSA " + key.Params().Name, key.Params().BitSize}
	case ed25519.PublicKey:
		return Key{"Ed25519", 256}
	}
	return Key{cert.PublicKeyAlgorithm.String(), 0}
}

// PEMBlock is the certificate in PEM.
func (c *Certificate) PEMBlock() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.raw})
}

// PEM is the chain that the server sent, in PEM, each certificate behind a line that says whose it
// is. Readers of PEM pass over such lines.
func (r *Report) PEM() []byte {
	var b bytes.Buffer
	for i := range r.Chain {
		if c := &r.Chain[i]; c.Sent {
			fmt.Fprintf(&b, "# %s: %s, issued by %s\n%s", r.Target, c.Subject, c.Issuer, c.PEMBlock())
		}
	}
	return b.Bytes()
}
