package trust

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"tlsup/internal/quote"
)

// Bounds of the times in an OCSP response.
const (
	ocspSkew = 5 * time.Minute    // by which a clock may be behind
	ocspLife = 7 * 24 * time.Hour // of a stapled response that does not say how long it is good for
	ocspKept = 5 * time.Minute    // that a responder's is kept, which then has news at any time (RFC 6960, 4.2.2.1)
)

// Reasons why a certificate is not trusted.
var (
	ErrRevoked   = errors.New("the certificate was revoked")
	ErrOutdated  = errors.New("what is known of revoked certificates is out of date")
	ErrNoStaple  = errors.New("the certificate demands a stapled OCSP response")
	ErrBadStaple = errors.New("the stapled OCSP response proves nothing")
	errOCSP      = errors.New("the OCSP responder gives no proof")
)

const (
	hintRevoked = "the server's operator has to get another certificate; nothing is to be sent to whoever uses this one"
	hintOCSP    = "without --ocsp nobody is asked"
)

// MustStaple reports whether a certificate demands a stapled OCSP response (RFC 7633).
func MustStaple(cert *x509.Certificate) bool {
	const statusRequest = 5
	for _, extension := range cert.Extensions {
		var features []int
		if extension.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}) {
			if _, err := asn1.Unmarshal(extension.Value, &features); err == nil && slices.Contains(features, statusRequest) {
				return true
			}
		}
	}
	return false
}

// A responseError says why an OCSP response proves nothing.
type responseError struct {
	text string // printable
	err  error
}

func (e *responseError) Error() string { return e.text }
func (e *responseError) Unwrap() error { return e.err }

// readOCSP verifies a response on a certificate (RFC 6960, 3.2). Its error says why it proves nothing.
func readOCSP(raw []byte, leaf, issuer *x509.Certificate, now time.Time) (*ocsp.Response, error) {
	r, err := ocsp.ParseResponseForCert(raw, leaf, issuer)
	if err != nil {
		return nil, &responseError{ResponseFault(err), err}
	}
	if by := r.Certificate; by != nil && !by.Equal(issuer) {
		switch {
		case !slices.Contains(by.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
			return nil, errors.New("it is signed by somebody who is no OCSP responder")
		case !within(by, now):
			return nil, errors.New("its signer's certificate is out of date")
		}
	}
	end := endOf(r)
	switch {
	case now.Add(ocspSkew).Before(r.ThisUpdate):
		return nil, errors.New("it is not valid before " + moment(r.ThisUpdate, now))
	case now.After(end):
		return nil, &responseError{"it is out of date since " + moment(end, now), ErrOutdated}
	}
	return r, nil
}

// endOf is how long a response is good for.
func endOf(r *ocsp.Response) time.Time {
	if r.NextUpdate.IsZero() {
		return r.ThisUpdate.Add(ocspLife)
	}
	return r.NextUpdate
}

// ResponseFault says why an OCSP response can't be read, which [ocsp.ParseResponseForCert] failed for
// with err. It can be shown as it is.
func ResponseFault(err error) string {
	var refused ocsp.ResponseError
	switch {
	case errors.As(err, new(asn1.StructuralError)), errors.As(err, new(asn1.SyntaxError)):
		return "it is no OCSP response"
	case errors.As(err, &refused):
		return "its responder refused to answer: " + refused.Status.String()
	}
	return cause(err.Error())
}

// revokedBy is the problem with a certificate that a response calls revoked.
func revokedBy(leaf *x509.Certificate, r *ocsp.Response, source string) []problem {
	return []problem{{
		cert: leaf, err: ErrRevoked, hint: hintRevoked,
		says: fmt.Sprintf("was revoked on %s%s, says %s", date(r.RevokedAt), revocationReason(r.RevocationReason), source),
	}}
}

// revocationReasons are the codes of RFC 5280, 5.3.1.
func revocationReasons() map[int]string {
	return map[int]string{
		1: "key compromise", 2: "authority's compromise", 3: "affiliation changed", 4: "superseded", 5: "out of use",
		6: "on hold", 9: "privilege withdrawn", 10: "attribute authority's compromise",
	}
}

func revocationReason(code int) string {
	if reason, ok := revocationReasons()[code]; ok {
		return " (" + reason + ")"
	}
	return ""
}

// checkOCSP looks at the stapled response on the leaf, and at the responder's where that is wanted.
// h is nil but in a handshake.
func (c *Config) checkOCSP(cs tls.ConnectionState, issuer *x509.Certificate, h *handling) []problem {
	leaf, now := cs.PeerCertificates[0], c.now()
	if len(cs.OCSPResponse) > 0 {
		r, err := readOCSP(cs.OCSPResponse, leaf, issuer, now)
		switch {
		case err != nil && cs.DidResume: // it was good when the session, which has not ended yet, was made
		case err != nil && c.strictStaple && !errors.As(err, new(ocsp.ResponseError)): // that is no response
			return []problem{badStaple(leaf, err)}
		case err != nil:
			h.say("the stapled OCSP response is ignored: %v", err)
		case r.Status == ocsp.Revoked:
			return revokedBy(leaf, r, "the stapled OCSP response")
		case r.Status == ocsp.Good:
			h.proven(endOf(r))
			return nil
		default:
			h.say("the stapled OCSP response is ignored: its responder does not know the certificate")
		}
	}
	switch {
	case MustStaple(leaf) && !cs.DidResume:
		return []problem{{
			cert: leaf, err: ErrNoStaple,
			says: "demands a stapled OCSP response (must-staple), and the server sends none that proves anything",
			hint: "the server's operator has to switch on OCSP stapling",
		}}
	case c.ocsp != nil:
		return c.ocsp.check(leaf, issuer, now, h)
	}
	return nil
}

// badStaple is the problem with a stapled response that proves nothing.
func badStaple(leaf *x509.Certificate, err error) problem {
	reason := ErrBadStaple
	if errors.Is(err, ErrOutdated) {
		reason = ErrOutdated
	}
	return problem{
		cert: leaf, err: reason, says: "comes with a stapled OCSP response that is ignored: " + err.Error(),
		hint: "the server's operator has to look after its OCSP stapling",
	}
}

// responders are what OCSP responders said, for all copies of the settings.
type responders struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]answer // by certificate
}

// An answer is what a responder said, or why that is not known.
type answer struct {
	response *ocsp.Response
	err      error
	came     time.Time
}

// fresh reports whether the responder need not be asked again.
func (a *answer) fresh(now time.Time) bool {
	if a.err != nil {
		return false
	}
	if a.response.NextUpdate.IsZero() {
		return now.Before(a.came.Add(ocspKept))
	}
	return now.Before(a.response.NextUpdate)
}

// check asks the responder of leaf in a handshake. Outside of one only what was said counts.
func (o *responders) check(leaf, issuer *x509.Certificate, now time.Time, h *handling) []problem {
	key := sha256.Sum256(leaf.Raw)
	o.mu.Lock()
	a, known := o.known[key]
	o.mu.Unlock()
	if h != nil && (!known || !a.fresh(now)) {
		place := ResponderOf(leaf)
		if place == "" {
			h.say("the certificate names no OCSP responder that can be asked by http: nothing was asked")
			return nil
		}
		a.response, a.err = askResponder(h.ctx, place, leaf, issuer, now, nil)
		if a.err != nil {
			a.err = fmt.Errorf("%s: %w", quote.Short(place), a.err)
		}
		known, a.came = true, now
		o.mu.Lock()
		if other := o.known[key]; a.err == nil || other.response == nil || !other.fresh(now) { // another connection's may have come
			o.known[key] = a
		}
		o.mu.Unlock()
	}
	switch {
	case !known:
		return nil
	case a.err != nil:
		return []problem{{
			cert: leaf, err: errOCSP, says: fmt.Sprintf("cannot be shown to be in force, by the OCSP responder %v", a.err),
			hint: hintOCSP,
		}}
	case a.response.Status == ocsp.Revoked:
		return revokedBy(leaf, a.response, "its OCSP responder")
	}
	return nil
}

// ResponderOf is the URL of the OCSP responder that a certificate names and that can be asked, which
// is by http; "" for none.
func ResponderOf(cert *x509.Certificate) string { return firstBare(cert.OCSPServer) }

// AskResponder asks an OCSP responder about a certificate (RFC 6960, A.1). What it returns says that
// the certificate is good, or was revoked, and is proven by the issuer. dialing, if not nil, is called
// with each address before it is tried. Errors can be shown as they are.
func (c *Config) AskResponder(ctx context.Context, place string, cert, issuer *x509.Certificate, dialing func(address string)) (*ocsp.Response, error) {
	return askResponder(ctx, place, cert, issuer, c.now(), dialing)
}

// Stapled reports whether the server has stapled a response that proves its certificate good.
func (c *Config) Stapled(cs tls.ConnectionState, issuer *x509.Certificate) bool {
	if len(cs.OCSPResponse) == 0 {
		return false
	}
	r, err := readOCSP(cs.OCSPResponse, cs.PeerCertificates[0], issuer, c.now())
	return err == nil && r.Status == ocsp.Good
}

func askResponder(ctx context.Context, place string, leaf, issuer *x509.Certificate, now time.Time, dialing func(string)) (*ocsp.Response, error) {
	question, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, err
	}
	raw, err := fetch(ctx, place, "application/ocsp-request", question, dialing)
	if err != nil {
		return nil, err
	}
	r, err := readOCSP(raw, leaf, issuer, now)
	switch {
	case err != nil:
		return nil, fmt.Errorf("its answer proves nothing: %w", err)
	case r.Status == ocsp.Unknown:
		return nil, errors.New("it does not know the certificate")
	}
	return r, nil
}
