package trust

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"os"

	"software.sslmate.com/src/go-pkcs12"
)

// loadPKCS12 reads the client's own certificate and its key from one file (RFC 7292).
func (c *Config) loadPKCS12(s *Settings) error {
	data, err := os.ReadFile(s.CertFile)
	if err != nil {
		return fmt.Errorf("--x509certfile %s: %w", pathText(s.CertFile), withoutPath(err))
	}
	defer clear(data)
	if !isPKCS12(data) {
		return errors.New("--x509certfile needs --x509keyfile, unless it is a PKCS#12 file; a PEM file that holds both is given twice")
	}
	chain, key, err := s.readPKCS12(data)
	if err != nil {
		return fmt.Errorf("--x509certfile %s: %w", pathText(s.CertFile), err)
	}
	c.present(chain, key)
	return nil
}

// isPKCS12 reports whether data begins as a PFX does (RFC 7292, 4).
func isPKCS12(data []byte) bool {
	var version int
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(data, &outer); err != nil || outer.Tag != asn1.TagSequence || !outer.IsCompound {
		return false
	}
	_, err := asn1.Unmarshal(outer.Bytes, &version)
	return err == nil && version == 3
}

// readPKCS12 decrypts a file, and asks for its passphrase unless it is empty.
func (s *Settings) readPKCS12(data []byte) (chain []*x509.Certificate, key crypto.Signer, err error) {
	chain, key, err = decodePKCS12(data, "")
	if !errors.Is(err, errPassphrase) {
		return chain, key, err
	}
	if s.Passphrase == nil {
		return nil, nil, errors.New("the file is encrypted, and there is nobody to ask for its passphrase")
	}
	passphrase, err := s.Passphrase(s.CertFile)
	if err != nil {
		return nil, nil, fmt.Errorf("the file is encrypted, and asking for its passphrase failed: %w", err)
	}
	defer clear(passphrase)
	return decodePKCS12(data, string(passphrase))
}

// decodePKCS12 returns the certificate of the key first, as TLS wants it.
func decodePKCS12(data []byte, passphrase string) ([]*x509.Certificate, crypto.Signer, error) {
	private, cert, others, err := pkcs12.DecodeChain(data, passphrase)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return nil, nil, errPassphrase
	case err != nil:
		return nil, nil, fmt.Errorf("it cannot be read: %s", cause(err.Error()))
	}
	key, ok := private.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New("its key is of a kind that cannot sign")
	}
	chain := append([]*x509.Certificate{cert}, others...)
	for i, cert := range chain {
		if matches(chain[i:], key) == nil {
			copy(chain[1:i+1], chain[:i]) // what stood before it goes behind it
			chain[0] = cert
			return chain, key, nil
		}
	}
	return nil, nil, errors.New("no certificate in it is that of its key")
}
