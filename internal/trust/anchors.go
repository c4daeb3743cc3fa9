package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tlsup/internal/quote"
)

// An anchor is a certificate that the user trusts, and where it was found.
type anchor struct {
	cert *x509.Certificate
	file string
}

func (c *Config) loadAnchors(s *Settings) error {
	for _, path := range s.CAFiles {
		found, err := s.readAnchors(path)
		if err != nil {
			return fmt.Errorf("--x509cafile %s: %w", pathText(path), err)
		}
		c.anchors = append(c.anchors, found...)
	}
	if len(s.CAFiles) == 0 && !s.NoRoots {
		return nil // x509 reads the system's roots when it first needs them
	}
	c.roots = x509.NewCertPool()
	for _, a := range c.anchors {
		c.roots.AddCert(a.cert)
	}
	return nil
}

// readAnchors reads a file, or the files in a directory. It returns at least one.
func (s *Settings) readAnchors(path string) ([]anchor, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if info.IsDir() {
		return s.readDirectory(path)
	}
	return s.readAnchorFile(path)
}

func (s *Settings) readAnchorFile(path string) ([]anchor, error) {
	data, err := s.readFile(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	certs, bad := parseCertificates(data)
	if len(certs) == 0 {
		if bad != nil {
			return nil, fmt.Errorf("no certificate in it can be read: %w", bad)
		}
		return nil, fmt.Errorf("it holds no certificate: %s", contents(data))
	}
	// Bundles exist in which one of a hundred is not accepted by x509: the others count.
	var found []anchor
	for _, cert := range certs {
		found = append(found, anchor{cert, path})
	}
	return found, nil
}

// readDirectory reads all files that hold certificates, under whatever name. Others, and
// what cannot be read, are passed over as long as there is one.
func (s *Settings) readDirectory(path string) ([]anchor, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	var found []anchor
	for _, entry := range entries {
		file := filepath.Join(path, entry.Name())
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if in, err := s.readAnchorFile(file); err == nil {
			found = append(found, in...)
		}
	}
	if found == nil {
		return nil, fmt.Errorf("no file in this directory holds a certificate that can be read (PEM), of %d entries", len(entries))
	}
	return found, nil
}

// parseCertificates returns the certificates in PEM data, and the first error among those
// that cannot be read.
func parseCertificates(data []byte) (certs []*x509.Certificate, bad error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err == nil {
			certs = append(certs, cert)
		} else if bad == nil {
			bad = err
		}
	}
	return certs, bad
}

// contents says what data looks like, to somebody who took it for something else.
func contents(data []byte) string {
	if len(bytes.TrimSpace(data)) == 0 {
		return "the file is empty"
	}
	var types []string
	for block, rest := pem.Decode(data); block != nil && len(types) < 5; block, rest = pem.Decode(rest) {
		types = append(types, quote.Short(block.Type))
	}
	switch _, err := x509.ParseCertificate(data); {
	case types != nil:
		return "its PEM blocks are " + strings.Join(types, ", ")
	case err == nil:
		return "it is a certificate in DER form, PEM is wanted (openssl x509 -inform der)"
	case data[0] == 0x30: // an ASN.1 SEQUENCE
		return "it looks like DER, PEM is wanted"
	default:
		return "it has no PEM block (-----BEGIN ...)"
	}
}

// withoutPath drops the path from a file's error: the message has it already.
func withoutPath(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// pathText returns a path as it is, unless it cannot be shown so.
func pathText(path string) string {
	for _, r := range path {
		if !strconv.IsPrint(r) {
			return strconv.Quote(path)
		}
	}
	if path == "" || strings.Contains(path, "\ufffd") {
		return strconv.Quote(path)
	}
	return path
}
