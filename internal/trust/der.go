package trust

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
)

// readFile reads a file, which it turns into PEM if it is DER.
func (s *Settings) readFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil || !s.DER {
		return data, err
	}
	defer clear(data)
	if cert, err := x509.ParseCertificate(data); err == nil {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), nil
	}
	if parseKey(data) != nil {
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: data}), nil
	}
	return nil, errors.New("it is neither a certificate nor a key in DER form")
}
