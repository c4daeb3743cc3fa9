// Package report checks a server: it connects, upgrades and shakes hands as every run does, carries
// nothing, and reports what it saw, for a person ([Report.Text], [Table]) and for programs (as JSON,
// which schema.json describes).
package report

import (
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// Format is the number of the JSON's form. Names may be added under the same number; none goes away
// or changes its meaning.
const Format = 1

// Schema is the JSON Schema of a report.
//
//go:embed schema.json
var Schema []byte

// A Report is what was seen of one server. Texts from the network are escaped in it.
type Report struct {
	Format int       `json:"format"`
	Target string    `json:"target"` // as it was given
	Time   time.Time `json:"time"`
	// Status is the exit status that a run for this target alone has.
	Status int      `json:"status"`
	Error  *Failure `json:"error"` // nil if Status is 0

	Protocol     string        `json:"protocol"`
	Recognised   *string       `json:"recognised"` // how the protocol was found out; nil if it was given
	Start        string        `json:"start"`      // upgrade, first byte or unknown
	Server       string        `json:"server"`     // HOST:PORT or a path
	Address      *string       `json:"address"`    // that was reached; nil if none was
	Milliseconds Times         `json:"milliseconds"`
	TLS          *Session      `json:"tls"`            // nil if no certificate came
	ECH          *ECH          `json:"ech"`            // nil: not offered, or the handshake was not reached
	Verification *Verification `json:"verification"`   // nil if no certificate came
	DANE         *DANE         `json:"dane,omitempty"` // if it was asked for
	Chain        []Certificate `json:"chain"`
	OCSP         *OCSP         `json:"ocsp"` // nil: no stapled response
	SCTs         []SCT         `json:"scts"`
	Timeline     []Event       `json:"timeline,omitempty"` // if it was asked for
	Scan         *Scan         `json:"scan,omitempty"`     // likewise

	err     error
	warning string // of --insecure
}

// A Failure is why a check did not succeed.
type Failure struct {
	Step   string  `json:"step"`
	Reason string  `json:"reason"`
	Hint   *string `json:"hint"`
}

// Times are how long each part took, in milliseconds; nil for one that was not reached.
type Times struct {
	Resolve   *float64 `json:"resolve"` // the name
	Connect   *float64 `json:"connect"`
	Upgrade   *float64 `json:"upgrade"` // from the connection to the server's go-ahead; nil without one
	Handshake *float64 `json:"handshake"`
	FirstByte *float64 `json:"first_byte"` // inside TLS, from the end of the handshake; nil if none came
}

// A Session is what was agreed on in the handshake.
type Session struct {
	Version     string  `json:"version"`
	CipherSuite string  `json:"cipher_suite"`
	Group       *string `json:"group"` // nil: RSA key exchange, or not known
	PostQuantum bool    `json:"post_quantum"`
	// Signature is the algorithm that the server signed the handshake with. Nil: none, with RSA key
	// exchange, or not known: see SignatureNote.
	Signature         *string  `json:"signature_algorithm"`
	SignatureNote     string   `json:"-"`
	HelloRetry        bool     `json:"hello_retry_request"`
	ServerName        *string  `json:"server_name"` // sent as SNI; nil for none
	ALPN              *string  `json:"alpn"`        // agreed on
	ALPNOffered       []string `json:"alpn_offered"`
	SessionTicket     *bool    `json:"session_ticket"` // one came; nil: the handshake failed before
	ClientCertificate Client   `json:"client_certificate"`
}

// ECH is what became of Encrypted Client Hello (RFC 9849).
type ECH struct {
	Accepted bool `json:"accepted"`
	Retried  bool `json:"retried"` // with RetryConfig, on a second connection
	// RetryConfig is the ECHConfigList, in base64, that the server wants; nil if it named none.
	RetryConfig *string `json:"retry_config"`
}

// Client is what became of the client's certificate.
type Client struct {
	Requested bool `json:"requested"`
	Sent      bool `json:"sent"`
}

// Verification is what the certificate was verified against, or why it is not trusted.
type Verification struct {
	Trusted bool     `json:"trusted"`
	Name    string   `json:"name"`   // that it had to be valid for
	Anchor  *Anchor  `json:"anchor"` // nil if it is not trusted, or by other means
	Means   *string  `json:"means"`  // that it is trusted by in place of a chain, or besides
	Reasons []Reason `json:"reasons"`
}

// An Anchor is a certificate that is trusted by itself.
type Anchor struct {
	Subject string  `json:"subject"`
	File    *string `json:"file"` // that it comes from; nil for the system's roots
}

// A Reason is one thing that is wrong.
type Reason struct {
	Certificate *string `json:"certificate"` // its subject; nil: no single one
	Text        string  `json:"text"`
	Hint        *string `json:"hint"`

	which  string   // of the certificates it is
	detail []string // lines to show beneath, in columns
}

// An Event is one step of the exchange.
type Event struct {
	At   float64 `json:"milliseconds"` // from the start of the check
	From string  `json:"from"`         // client or server; "" for what neither says
	Text string  `json:"text"`
}

// Err is the error that the check ended with, a *connect.Error; nil if Status is 0.
func (r *Report) Err() error { return r.err }

// Warning is what --insecure let pass; "" for nothing.
func (r *Report) Warning() string { return r.warning }

// WriteJSON writes the report as one line.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// fail makes err why the check did not succeed.
func (r *Report) fail(err error) {
	r.err = err
	f := &Failure{Step: "usage", Reason: err.Error()}
	r.Status = connect.StatusUsage
	var failed *connect.Error
	if errors.As(err, &failed) {
		r.Status = failed.Status()
		f.Step, f.Reason, f.Hint = string(failed.Step), connect.Reason(failed.Err), optional(failed.Hint)
	}
	r.Error = f
}

// spoken sets the protocol.
func (r *Report) spoken(p *negotiate.Protocol) {
	if p == nil {
		return
	}
	r.Protocol, r.Start = p.Name, "upgrade"
	switch {
	case p == negotiate.Auto():
		r.Start = "unknown" // until it is recognised
	case p.Upgrade == nil:
		r.Start = "first byte"
	}
}

// session sets what was agreed on.
func (r *Report) session(cs tls.ConnectionState, look *trust.Look) {
	s := &Session{
		Version:           tls.VersionName(cs.Version),
		CipherSuite:       tls.CipherSuiteName(cs.CipherSuite),
		Group:             optional(trust.GroupName(cs.CurveID)),
		PostQuantum:       trust.PostQuantum(cs.CurveID),
		HelloRetry:        cs.HelloRetryRequest,
		ServerName:        optional(quote.Escape(cs.ServerName)),
		ALPN:              optional(quote.Escape(cs.NegotiatedProtocol)),
		ALPNOffered:       []string{},
		ClientCertificate: Client{Requested: look.Asked, Sent: look.Sent},
	}
	r.TLS = s
}

// ech sets what became of Encrypted Client Hello in a check that ended with err.
func (r *Report) ech(c *check, err error) {
	if offered, _ := c.config.OfferedECH(); !offered || c.flights == nil {
		return
	}
	r.ECH = &ECH{Accepted: c.state != nil, Retried: c.retried != nil}
	rejected := c.retried
	errors.As(err, &rejected)
	if rejected != nil && rejected.Retry != nil {
		r.ECH.RetryConfig = optional(base64.StdEncoding.EncodeToString(rejected.Retry))
	}
}

// verification sets the verdict.
func (r *Report) verification(v trust.Verdict) {
	set := &Verification{Trusted: v.Err == nil, Name: quote.Escape(v.Name), Reasons: []Reason{}}
	for _, reason := range v.Reasons {
		out := Reason{Text: reason.Text, Hint: optional(reason.Hint), which: reason.Which, detail: reason.Detail}
		if reason.Cert != nil {
			out.Certificate = optional(trust.Subject(reason.Cert))
		}
		set.Reasons = append(set.Reasons, out)
	}
	set.Means = optional(v.Means)
	if v.Chain != nil {
		set.Anchor = &Anchor{trust.Subject(v.Chain[len(v.Chain)-1]), optional(quote.Escape(v.Source))}
	}
	r.Verification = set
}

// optional is nil for an empty text.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// milliseconds is a length of time to the microsecond.
func milliseconds(d time.Duration) *float64 {
	ms := float64(d.Microseconds()) / 1000
	return &ms
}

// issuerOf returns the certificate in chain that issued cert, or nil.
func issuerOf(cert *x509.Certificate, chain []*x509.Certificate) *x509.Certificate {
	for _, candidate := range chain {
		if cert.CheckSignatureFrom(candidate) == nil {
			return candidate
		}
	}
	return nil
}
