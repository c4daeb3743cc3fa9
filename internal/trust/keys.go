package trust

import (
	"crypto"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/youmark/pkcs8"

	"tlsup/internal/quote"
)

// loadKeys reads the client's own certificate and its key.
func (c *Config) loadKeys(s *Settings) error {
	switch {
	case s.CertFile == "" && s.KeyFile == "":
		return nil
	case s.KeyFile == "":
		return c.loadPKCS12(s)
	case s.CertFile == "":
		return errors.New("--x509keyfile needs --x509certfile; a file that holds both is given twice")
	}
	chain, err := s.readChain(s.CertFile)
	if err != nil {
		return fmt.Errorf("--x509certfile %s: %w", pathText(s.CertFile), err)
	}
	key, err := s.readKey(s.KeyFile)
	if err != nil {
		return fmt.Errorf("--x509keyfile %s: %w", pathText(s.KeyFile), err)
	}
	if err := matches(chain, key); err != nil {
		return fmt.Errorf("--x509keyfile %s and --x509certfile %s do not match: %w", pathText(s.KeyFile), pathText(s.CertFile), err)
	}
	c.present(chain, key)
	return nil
}

// present makes chain the client's certificate.
func (c *Config) present(chain []*x509.Certificate, key crypto.Signer) {
	own := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, cert := range chain {
		own.Certificate = append(own.Certificate, cert.Raw)
	}
	// Config.Certificates would be held back, without a word, from a server that names
	// other authorities. The user asked for this one to be sent.
	c.shared.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if info != nil { // nil: it is only looked at
			seenIn(info.Context()).requested = true
		}
		return own, nil
	}
}

// readChain reads a certificate and those that follow it. All have to be readable.
func (s *Settings) readChain(path string) ([]*x509.Certificate, error) {
	data, err := s.readFile(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	chain, bad := parseCertificates(data)
	if bad != nil {
		return nil, fmt.Errorf("a certificate in it cannot be read: %w", bad)
	}
	switch {
	case chain == nil && isPKCS12(data):
		return nil, errors.New("a PKCS#12 file has its key in it, leave out --x509keyfile")
	case chain == nil:
		return nil, fmt.Errorf("it holds no certificate: %s", contents(data))
	}
	return chain, nil
}

// matches reports whether the key is the first certificate's.
func matches(chain []*x509.Certificate, key crypto.Signer) error {
	for i, cert := range chain {
		public, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		switch {
		case !ok || !public.Equal(key.Public()):
		case i == 0:
			return nil
		default:
			return fmt.Errorf("the key belongs to certificate %d in the file, which has to be the first", i+1)
		}
	}
	return fmt.Errorf("the key is another one than that of the certificate of %s", subject(chain[0]))
}

// readKey reads the first key in a file, and asks for its passphrase if it has one. No
// error of it shows more of the file than the types of its PEM blocks.
func (s *Settings) readKey(path string) (crypto.Signer, error) {
	data, err := s.readFile(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer clear(data)
	block := findKey(data)
	switch {
	case block == nil:
		return nil, fmt.Errorf("it holds no key: %s", contents(data))
	case block.Type == "OPENSSH PRIVATE KEY":
		return nil, errors.New("it is a key in OpenSSH's own form, which TLS does not use (ssh-keygen -p -m pem converts a copy)")
	}
	der := block.Bytes
	defer clear(der)
	if encrypted(block) {
		if s.Passphrase == nil {
			return nil, errors.New("the key is encrypted, and there is nobody to ask for its passphrase")
		}
		passphrase, err := s.Passphrase(path)
		if err != nil {
			return nil, fmt.Errorf("the key is encrypted, and asking for its passphrase failed: %w", err)
		}
		defer clear(passphrase)
		return decryptKey(block, passphrase)
	}
	if key := parseKey(der); key != nil {
		return key, nil
	}
	// The parsers' own errors may show values from inside the key.
	return nil, errors.New("the key cannot be read: it is damaged, or of a kind that is not supported (RSA from 1024 bits, ECDSA and Ed25519 are)")
}

func findKey(data []byte) *pem.Block {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block
		}
	}
	return nil
}

const encryptedPKCS8 = "ENCRYPTED PRIVATE KEY" // RFC 7468, 11

// encrypted reports whether a key has a passphrase, also in the legacy way (RFC 1421, 4.6.1.3).
func encrypted(block *pem.Block) bool {
	return block.Type == encryptedPKCS8 || block.Headers["DEK-Info"] != ""
}

var errPassphrase = errors.New("wrong passphrase")

func decryptKey(block *pem.Block, passphrase []byte) (crypto.Signer, error) {
	if block.Type == encryptedPKCS8 {
		return decryptPKCS8(block.Bytes, passphrase)
	}
	//lint:ignore SA1019 such files are in use; reading one makes it no weaker than it is
	der, err := x509.DecryptPEMBlock(block, passphrase)
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, errPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("the key cannot be decrypted: its DEK-Info %s is not supported or does not fit", quote.Short(block.Headers["DEK-Info"]))
	}
	defer clear(der)
	if key := parseKey(der); key != nil {
		return key, nil
	}
	return nil, errPassphrase // the padding fits one wrong passphrase in 256
}

func decryptPKCS8(der, passphrase []byte) (signer crypto.Signer, err error) {
	if len(passphrase) == 0 {
		return nil, errPassphrase // pkcs8 takes none for "not encrypted"
	}
	// pkcs8 panics when the IV or the text has the wrong length.
	defer func() {
		if recover() != nil {
			err = errors.New("the key cannot be decrypted: it is damaged")
		}
	}()
	key, err := pkcs8.ParsePKCS8PrivateKey(der, passphrase)
	if err != nil {
		// pkcs8 has no type for it. Its other errors name algorithms, none shows a secret.
		if err.Error() == "pkcs8: incorrect password" {
			return nil, errPassphrase
		}
		return nil, fmt.Errorf("the key cannot be decrypted: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key is of a kind that cannot sign")
	}
	return signer, nil
}

// parseKey reads a key in the forms PKCS#8, PKCS#1 and SEC 1, whatever its block was
// called; nil if it is none that can sign.
func parseKey(der []byte) crypto.Signer {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		signer, _ := key.(crypto.Signer)
		return signer
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	return nil
}

func init() {
	// The library's own PBKDF2 knows no key length and no hash beyond SHA-256.
	pkcs8.RegisterKDF(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, func() pkcs8.KDFParameters { return new(pbkdf2Params) })
}

// pbkdf2Params are PBKDF2-params (RFC 8018, A.2).
type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// prfs are the hashes under HMAC (RFC 8018, B.1).
func prfs() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{
		"":                    sha1.New, // the default
		"1.2.840.113549.2.7":  sha1.New,
		"1.2.840.113549.2.8":  sha256.New224,
		"1.2.840.113549.2.9":  sha256.New,
		"1.2.840.113549.2.10": sha512.New384,
		"1.2.840.113549.2.11": sha512.New,
	}
}

// DeriveKey is called by pkcs8 for a key of size bytes.
func (p pbkdf2Params) DeriveKey(password []byte, size int) ([]byte, error) {
	newHash, ok := prfs()[p.PRF.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("pkcs8: unsupported hash function (OID: %s)", p.PRF.Algorithm)
	}
	return pbkdf2.Key(newHash, string(password), p.Salt, p.Iterations, size)
}
