package trust

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tlsup/internal/quote"
)

// pins are the servers' keys and certificates that the user knows: one of them has to be the
// server's own. An authority's are not looked at: a pin is for one server.
type pins struct {
	keys  [][sha256.Size]byte // of SubjectPublicKeyInfo (RFC 7469, 2.4)
	certs [][sha256.Size]byte // of whole certificates
	only  bool                // they stand in place of the chain
}

const pinPrefix = "sha256//"

// Pin is a certificate's public key as --pin takes it, and curl: the hash of its
// SubjectPublicKeyInfo (RFC 7469, 2.4).
func Pin(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return pinPrefix + base64.StdEncoding.EncodeToString(sum[:])
}

// certPin is a certificate as --pin-cert takes it.
func certPin(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

func (c *Config) loadPins(s *Settings) error {
	for _, list := range s.Pins {
		for _, word := range strings.Split(list, ";") {
			sum, err := parsePin(strings.TrimSpace(word))
			if err != nil {
				return fmt.Errorf("--pin %s: %w", quote.Short(word), err)
			}
			c.pins.keys = append(c.pins.keys, sum)
		}
	}
	for _, word := range s.CertPins {
		sum, err := hex.DecodeString(strings.ReplaceAll(word, ":", ""))
		if err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("--pin-cert %s: this is no SHA-256 fingerprint, %d hexadecimal digits", quote.Short(word), 2*sha256.Size)
		}
		c.pins.certs = append(c.pins.certs, [sha256.Size]byte(sum))
	}
	if c.pins.only = s.PinOnly; s.PinOnly && !c.pins.given() {
		return errors.New("--pin-only needs --pin or --pin-cert")
	}
	return nil
}

func parsePin(word string) (sum [sha256.Size]byte, err error) {
	text, ok := strings.CutPrefix(word, pinPrefix)
	if !ok {
		return sum, errors.New("a pin begins with " + pinPrefix)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != sha256.Size {
		return sum, fmt.Errorf("behind %s stands a SHA-256 hash in base64, %d characters", pinPrefix, base64.StdEncoding.EncodedLen(sha256.Size))
	}
	return [sha256.Size]byte(raw), nil
}

func (p *pins) given() bool { return len(p.keys)+len(p.certs) > 0 }

var errPin = errors.New("the server's key is not among the pins")

// problems is what the pins have against the server's certificate.
func (p *pins) problems(leaf *x509.Certificate) []problem {
	has := func(sums [][sha256.Size]byte, data []byte) bool {
		sum := sha256.Sum256(data)
		return slices.ContainsFunc(sums, func(s [sha256.Size]byte) bool { return bytes.Equal(s[:], sum[:]) })
	}
	if !p.given() || has(p.keys, leaf.RawSubjectPublicKeyInfo) || has(p.certs, leaf.Raw) {
		return nil
	}
	says, option := "does not match the pin: its key is ", "--pin "+Pin(leaf)
	if len(p.keys)+len(p.certs) > 1 {
		says = "matches none of the pins: its key is "
	}
	says += Pin(leaf)
	if len(p.certs) > 0 {
		says += ", its fingerprint " + certPin(leaf)
	}
	if len(p.keys) == 0 {
		option = "--pin-cert " + certPin(leaf)
	}
	return []problem{{
		cert: leaf, says: says, err: errPin,
		hint: "somebody may be in the way; if its operator says that this is the server's: " + option,
	}}
}
