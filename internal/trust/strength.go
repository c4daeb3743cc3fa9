package trust

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
)

// ErrWeak tells that a key or a signature of a chain can be broken.
var ErrWeak = errors.New("a key or signature is too weak")

// Strength is what the keys and signatures of a chain must have at least, in bits.
type Strength struct {
	RSA  int // the modulus
	EC   int // the size of the curve's field
	Hash int // what it takes to find a collision of a signature's hash
}

// weak are the problems with keys and signatures of a chain.
func (c *Config) weak(chain []*x509.Certificate) []problem {
	if c.strength == nil {
		return shortKeys(chain)
	}
	return c.strength.problems(chain, chain[:len(chain)-1])
}

// problems are those of keys, and of the signatures on the certificates in signed: that on a trust anchor
// is nobody's business. A nil Strength has none.
func (s *Strength) problems(keys, signed []*x509.Certificate) (problems []problem) {
	if s == nil {
		return nil
	}
	add := func(cert *x509.Certificate, format string, args ...any) {
		problems = append(problems, problem{cert: cert, err: ErrWeak, says: fmt.Sprintf(format, args...), hint: hintReissue})
	}
	for _, cert := range keys {
		switch kind, bits := keySize(cert); {
		case kind == "RSA" && bits < s.RSA:
			add(cert, "has an RSA key of %d bits: %d are the least", bits, s.RSA)
		case kind == "EC" && bits < s.EC:
			add(cert, "has a key on a curve of %d bits: %d are the least", bits, s.EC)
		}
	}
	for _, cert := range signed {
		if bits := hashStrength(cert.SignatureAlgorithm); bits < s.Hash {
			add(cert, "is signed with %s, whose hash has a strength of %d bits: %d are the least", cert.SignatureAlgorithm, bits, s.Hash)
		}
	}
	return problems
}

// keySize returns the kind of a certificate's key, RSA or EC, and its size in bits.
func keySize(cert *x509.Certificate) (kind string, bits int) {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return "RSA", key.N.BitLen()
	case *ecdsa.PublicKey:
		return "EC", key.Params().BitSize
	case ed25519.PublicKey:
		return "EC", 8 * len(key)
	}
	return "", 0
}

// hashStrength returns how many bits of work a collision of a signature's hash takes, by GnuTLS's measure.
func hashStrength(a x509.SignatureAlgorithm) int {
	switch a {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
		return 80
	case x509.SHA256WithRSA, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS, x509.DSAWithSHA256:
		return 128
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		return 192
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS, x509.PureEd25519:
		return 256
	}
	return 0
}
