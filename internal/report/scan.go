package report

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"

	"tlsup/internal/connect"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// A Scan is what a server accepts of what crypto/tls can offer, each on a connection of its own, one
// after the other.
type Scan struct {
	Versions []Try `json:"versions"`
	Suites   []Try `json:"cipher_suites"` // before TLS 1.3
	Groups   []Try `json:"groups"`
	// Chosen13 is the cipher suite that the server chose of the three of TLS 1.3, which can't be
	// offered one at a time; nil without TLS 1.3.
	Chosen13 *string  `json:"tls13_cipher_suite"`
	NotTried []string `json:"not_tried"`
	// Incomplete tells why the scan was given up.
	Incomplete *string `json:"incomplete"`
}

// A Try is one offer.
type Try struct {
	Name     string  `json:"name"`
	Accepted *bool   `json:"accepted"` // nil: it could not be tried, or not told
	Weak     bool    `json:"weak"`     // not to be accepted any more
	Version  *string `json:"version"`  // of TLS, in which a suite or a group was tried
	Reason   *string `json:"reason"`   // why it was not accepted, or could not be tried
}

// notTried is what crypto/tls can't offer.
var notTried = []string{
	"SSL 2.0, SSL 3.0 and DTLS",
	"the cipher suites of TLS 1.3 one at a time: all three are always offered",
	"cipher suites with DHE, CCM, ARIA, Camellia, SEED, IDEA or PSK, and those without encryption or authentication",
	"groups: X448, the finite fields, Brainpool's curves",
	"signature algorithms one at a time, compression, renegotiation, early data",
}

// scanner runs one scan.
type scanner struct {
	ctx      context.Context
	target   connect.Target
	protocol *negotiate.Protocol // that is spoken, which may be for some versions only
	options  Options
	failed   int // connections in a row that failed before the handshake
	err      error
}

// mostFailed is how many connections may fail in a row: the server, or something on the way, has had
// enough then.
const mostFailed = 3

// errGivenUp ends a scan.
var errGivenUp = errors.New("the server took no more connections")

// scan scans a server that was reached and speaks p. Its error is the context's.
func scan(ctx context.Context, t connect.Target, p *negotiate.Protocol, o Options) (*Scan, error) {
	o.Connect.Lookup, o.Connect.DANE = connect.AsGiven, nil // it has been found
	s := &scanner{ctx: ctx, target: t, protocol: p, options: o}
	result := &Scan{Versions: []Try{}, Suites: []Try{}, Groups: []Try{}, NotTried: notTried}
	var accepted []uint16 // newest first
	for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12, tls.VersionTLS11, tls.VersionTLS10} {
		try, state := s.try(tls.VersionName(version), trust.Offer{Min: version, Max: version, Suites: suites(version, false)})
		try.Weak = version < tls.VersionTLS12 // RFC 8996
		if state != nil {
			accepted = append(accepted, version)
			if version == tls.VersionTLS13 {
				result.Chosen13 = optional(tls.CipherSuiteName(state.CipherSuite))
			}
		}
		result.Versions = append(result.Versions, try)
	}
	for _, suite := range trust.Suites() {
		result.Suites = append(result.Suites, s.suite(suite, accepted))
	}
	groups, only13 := trust.Groups()
	for _, group := range groups {
		result.Groups = append(result.Groups, s.group(group, only13(group), accepted))
	}
	if errors.Is(s.err, errGivenUp) {
		result.Incomplete = optional(s.err.Error())
		s.err = nil
	}
	return result, s.err
}

// suite tries a cipher suite in the newest version that it is for and that the server accepts.
func (s *scanner) suite(suite *tls.CipherSuite, accepted []uint16) Try {
	name := trust.SuiteName(suite)
	for _, version := range accepted {
		if slices.Contains(suite.SupportedVersions, version) {
			try, _ := s.try(name, trust.Offer{Min: version, Max: version, Suites: []uint16{suite.ID}})
			try.Version, try.Weak = optional(tls.VersionName(version)), suite.Insecure
			return try
		}
	}
	return Try{Name: name, Weak: suite.Insecure, Reason: optional("no version that it is for is accepted")}
}

// suites are all that there are in a version before TLS 1.3, the weak ones too, or those of them that
// use a group. It is nil for TLS 1.3.
func suites(version uint16, group bool) (ids []uint16) {
	for _, suite := range trust.Suites() {
		if slices.Contains(suite.SupportedVersions, version) && !(group && usesRSAExchange(suite.ID)) {
			ids = append(ids, suite.ID)
		}
	}
	return ids
}

// group tries a group in the newest version that the server accepts.
func (s *scanner) group(group tls.CurveID, only13 bool, accepted []uint16) Try {
	name := trust.GroupName(group)
	if len(accepted) == 0 || only13 && accepted[0] < tls.VersionTLS13 {
		return Try{Name: name, Reason: optional("no version that it is for is accepted")}
	}
	version := accepted[0]
	try, _ := s.try(name, trust.Offer{Min: version, Max: version, Suites: suites(version, true), Groups: []tls.CurveID{group}})
	try.Version = optional(tls.VersionName(version))
	return try
}

// try makes one connection with an offer. The state is nil unless the handshake succeeded.
func (s *scanner) try(name string, offer trust.Offer) (Try, *tls.ConnectionState) {
	t := Try{Name: name}
	if s.err == nil && s.ctx.Err() != nil {
		s.err = context.Cause(s.ctx)
	}
	if s.err != nil {
		t.Reason = optional("not tried: " + s.err.Error())
		return t, nil
	}
	if p := s.protocol; p != nil && (offer.Max < p.MinVersion || p.MaxVersion != 0 && offer.Min > p.MaxVersion) {
		t.Reason = optional(p.Name + " is not for it")
		return t, nil
	}
	state, err := s.shake(offer)
	var failed *connect.Error
	yes, no := true, false
	switch {
	case err == nil:
		t.Accepted, s.failed = &yes, 0
		return t, state
	case errors.As(err, &failed) && failed.Step == connect.Handshake:
		t.Accepted, t.Reason, s.failed = &no, optional(shortReason(failed.Err)), 0
	default:
		t.Reason = optional(connect.Reason(err))
		if s.failed++; s.failed == mostFailed {
			s.err = errGivenUp
		}
	}
	return t, nil
}

// shake runs one handshake.
func (s *scanner) shake(offer trust.Offer) (*tls.ConnectionState, error) {
	ctx, stop := context.WithTimeout(s.ctx, s.options.Timeout)
	defer stop()
	o := s.options.Connect
	var look trust.Look
	o.Trust = o.Trust.Offering(offer).Inspect(&look)
	o.Dialing, o.Trace, o.Recognised, o.Notice, o.Waiting = nil, nil, nil, nil, nil
	session, err := connect.Open(ctx, s.target, &o)
	if err != nil {
		return nil, err
	}
	state := session.TLS.ConnectionState()
	session.Close()
	return &state, nil
}

// shortReason is the part of a handshake's error that is not the same each time.
func shortReason(err error) string {
	text := connect.Reason(err)
	for _, prefix := range []string{"remote error: ", "tls: ", "server "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}
