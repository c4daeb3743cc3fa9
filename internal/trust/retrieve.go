package trust

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// maxRetrieved is how many certificates are fetched for one session.
const maxRetrieved = 4

// issuers are certificates that were fetched, for all copies of the settings. They count as much as
// those that a server sends: what none of the trust anchors vouches for proves nothing.
type issuers struct {
	mu    sync.Mutex
	certs []*x509.Certificate
}

func (i *issuers) all() []*x509.Certificate {
	if i == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.certs)
}

// A Retrieval is told how issuers are fetched. All its functions have to be there.
type Retrieval struct {
	Missing func()               // a certificate does not say where its issuer's is
	Asking  func(place string)   // a URL, as the certificate has it
	Dialing func(address string) // an address that is tried
	Failed  func(err error)      // of what was asked for
}

// Retrieve fetches the certificates that a server left out, each from where the one below it says
// (RFC 5280, 4.2.2.1), until there is a chain. It does nothing unless Settings.Retrieve was set.
func (c *Config) Retrieve(ctx context.Context, cs tls.ConnectionState, tell Retrieval) {
	for range maxRetrieved {
		if c.retrieved == nil || len(cs.PeerCertificates) == 0 || c.complete(cs.PeerCertificates) {
			return
		}
		sent := slices.Concat(cs.PeerCertificates, c.retrieved.all())
		top := (&examination{config: c, sent: sent}).top()
		if selfSigned(top) {
			return
		}
		place := firstBare(top.IssuingCertificateURL)
		if place == "" {
			tell.Missing()
			return
		}
		tell.Asking(place)
		cert, err := fetchIssuer(ctx, place, top, tell.Dialing)
		if err != nil {
			tell.Failed(err)
			return
		}
		c.retrieved.mu.Lock()
		c.retrieved.certs = append(c.retrieved.certs, cert)
		c.retrieved.mu.Unlock()
	}
}

// complete reports whether no issuer is missing. Names and dates are another matter.
func (c *Config) complete(sent []*x509.Certificate) bool {
	opts := c.options(sent, "")
	opts.CurrentTime = sent[0].NotBefore
	_, err := c.search(sent, opts)
	return !errors.As(err, new(x509.UnknownAuthorityError))
}

// fetchIssuer fetches the certificate of who has signed cert.
func fetchIssuer(ctx context.Context, place string, cert *x509.Certificate, dialing func(string)) (*x509.Certificate, error) {
	raw, err := fetch(ctx, place, "", nil, dialing)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(raw); block != nil && block.Type == "CERTIFICATE" {
		raw = block.Bytes
	}
	found, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, errors.New("what is there is no certificate: " + cause(err.Error()))
	}
	if !bytes.Equal(found.RawSubject, cert.RawIssuer) || cert.CheckSignatureFrom(found) != nil {
		return nil, fmt.Errorf("the certificate of %s is there, who has not signed that of %s", subject(found), subject(cert))
	}
	return found, nil
}
