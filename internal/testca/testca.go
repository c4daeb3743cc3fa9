// Package testca makes throwaway certificate authorities and certificates for
// demonstrations and tests. Nothing it makes is written anywhere by itself.
package testca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// A CA is a certificate authority that lives as long as the process.
type CA struct {
	Cert *x509.Certificate
	key  crypto.Signer
	// chain is what servers send behind their own certificate: the intermediates from this
	// one up, without the root.
	chain [][]byte
}

// New makes an authority that is valid for a day.
func New(name string) (*CA, error) { return Root(name, nil) }

// Root is New with a change: if not nil, it may alter the template before it is signed.
func Root(name string, change func(*x509.Certificate)) (*CA, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	cert, err := sign(authority(name), change, nil, key, key)
	return &CA{Cert: cert, key: key}, err
}

// Intermediate makes an authority whose certificate is issued by ca. change, if not nil,
// may alter the template before it is signed. What the new authority issues comes with
// the chain.
func (ca *CA) Intermediate(name string, change func(*x509.Certificate)) (*CA, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	cert, err := sign(authority(name), change, ca.Cert, key, ca.key)
	if err != nil {
		return nil, err
	}
	return &CA{Cert: cert, key: key, chain: append([][]byte{cert.Raw}, ca.chain...)}, nil
}

// Cross issues a certificate for another authority.
func (ca *CA) Cross(other *CA) (*x509.Certificate, error) {
	return sign(authority(other.Cert.Subject.CommonName), nil, ca.Cert, other.key, ca.key)
}

// Pool returns a pool that holds the authority alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	return pool
}

// PEM returns the authority's certificate.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Raw})
}

// Issue makes a certificate for servers and clients with the given names: domain names
// and IP addresses. The first becomes the common name. change, if not nil, may alter
// the template before it is signed.
func (ca *CA) Issue(names []string, change func(*x509.Certificate)) (tls.Certificate, error) {
	key, err := newKey()
	if err != nil {
		return tls.Certificate{}, err
	}
	return ca.IssueFor(key, names, change)
}

// IssueFor is Issue for a key of the caller's.
func (ca *CA) IssueFor(key crypto.Signer, names []string, change func(*x509.Certificate)) (tls.Certificate, error) {
	leaf, err := sign(endEntity(names), change, ca.Cert, key, ca.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: append([][]byte{leaf.Raw}, ca.chain...), PrivateKey: key, Leaf: leaf}, nil
}

// SelfSigned makes a certificate like Issue does, signed with its own key.
func SelfSigned(names []string, change func(*x509.Certificate)) (tls.Certificate, error) {
	key, err := newKey()
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := sign(endEntity(names), change, nil, key, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// CRL makes a list of revoked certificates, in DER, that is valid for a day. change, if not nil, may
// alter the template before it is signed.
func (ca *CA) CRL(change func(*x509.RevocationList)) ([]byte, error) {
	template := &x509.RevocationList{
		Number: serial(), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(23 * time.Hour),
	}
	if change != nil {
		change(template)
	}
	return x509.CreateRevocationList(rand.Reader, template, ca.Cert, ca.key)
}

// EncodePEM returns a certificate's chain and its key (PKCS#8).
func EncodePEM(c tls.Certificate) (cert, key []byte, err error) {
	for _, der := range c.Certificate {
		cert = append(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key: %w", err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func newKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// sign makes the certificate of key, issued by parent with its key; by itself if there is
// no parent.
func sign(template *x509.Certificate, change func(*x509.Certificate), parent *x509.Certificate, key, parentKey crypto.Signer) (*x509.Certificate, error) {
	if change != nil {
		change(template)
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func authority(name string) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber:          serial(),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	template.Subject.CommonName = name
	return template
}

func endEntity(names []string) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: serial(),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(23 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for i, name := range names {
		if i == 0 {
			template.Subject.CommonName = name
		}
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return template
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return n
}
