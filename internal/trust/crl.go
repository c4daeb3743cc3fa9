package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// A crl is a list of revoked certificates (RFC 5280, 5), and where it was found.
type crl struct {
	*x509.RevocationList
	file string
}

// oidDistribution is a CRL's extension that says which certificates it is about. Those on it are
// revoked whatever it says.
var oidDistribution = asn1.ObjectIdentifier{2, 5, 29, 28}

func (c *Config) loadCRLs(s *Settings) error {
	for _, path := range s.CRLFiles {
		lists, err := readCRLs(path)
		if err != nil {
			return fmt.Errorf("--x509crlfile %s: %w", pathText(path), err)
		}
		c.crls = append(c.crls, lists...)
	}
	return nil
}

// readCRLs reads a file with lists in PEM, or one in DER.
func readCRLs(path string) (lists []crl, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	var all [][]byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "X509 CRL" {
			all = append(all, block.Bytes)
		}
	}
	if all == nil {
		if len(data) == 0 || data[0] != 0x30 { // an ASN.1 SEQUENCE
			return nil, fmt.Errorf("it holds no list of revoked certificates: %s", contents(data))
		}
		all = [][]byte{data}
	}
	for _, der := range all {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fmt.Errorf("a list in it cannot be read: %s", cause(err.Error()))
		}
		if err := plainCRL(list); err != nil {
			return nil, err
		}
		lists = append(lists, crl{list, path})
	}
	return lists, nil
}

// plainCRL refuses lists that mean something else than they seem to: changes to another list, and
// those on certificates of other issuers.
func plainCRL(list *x509.RevocationList) error {
	for _, extension := range list.Extensions {
		if extension.Critical && !extension.Id.Equal(oidDistribution) {
			return errors.New("a list in it is of a kind that is not supported, such as a delta CRL")
		}
	}
	for _, entry := range list.RevokedCertificateEntries {
		for _, extension := range entry.Extensions {
			if extension.Critical {
				return errors.New("a list in it is of a kind that is not supported, such as an indirect CRL")
			}
		}
	}
	return nil
}

// Lists are how many lists of revoked certificates there are.
func (c *Config) Lists() int { return len(c.crls) }

// checkCRLs looks for the certificates of a chain in the lists of those who issued them. A
// certificate whose issuer has no list here is passed over.
func (c *Config) checkCRLs(chain []*x509.Certificate, h *handling) (problems []problem) {
	for i := range len(chain) - 1 {
		problems = append(problems, c.checkCRL(chain[i], chain[i+1], h)...)
	}
	return problems
}

func (c *Config) checkCRL(cert, issuer *x509.Certificate, h *handling) []problem {
	now := c.now()
	var outdated *crl
	current := false
	for i, list := range c.crls {
		if !bytes.Equal(list.RawIssuer, issuer.RawSubject) {
			continue
		}
		if err := list.CheckSignatureFrom(issuer); err != nil {
			h.say("a list in %s is ignored: it has the name of %s, and not its signature", pathText(list.file), subject(issuer))
			continue
		}
		for _, entry := range list.RevokedCertificateEntries {
			if entry.SerialNumber.Cmp(cert.SerialNumber) == 0 {
				return []problem{{
					cert: cert, err: ErrRevoked, hint: hintRevoked,
					says: fmt.Sprintf("was revoked on %s%s, says the list in %s", date(entry.RevocationTime), revocationReason(entry.ReasonCode), pathText(list.file)),
				}}
			}
		}
		if now.Before(list.ThisUpdate) || !list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
			outdated = &c.crls[i]
		} else {
			current = true
		}
	}
	if outdated == nil || current {
		return nil
	}
	return []problem{{
		cert: cert, err: ErrOutdated,
		says: fmt.Sprintf("may have been revoked: the list of %s in %s is valid from %s to %s only",
			subject(issuer), pathText(outdated.file), date(outdated.ThisUpdate), date(outdated.NextUpdate)),
		hint: "get a newer list from the authority, for --x509crlfile",
	}}
}
