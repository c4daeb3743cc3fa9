package trust

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tlsup/internal/quote"
)

// A TLSA is a TLSA record (RFC 6698, 2.1).
type TLSA struct {
	Usage, Selector, Matching byte
	Data                      []byte
}

// What the fields mean (RFC 7218).
const (
	pkixTA, pkixEE, daneTA, daneEE      = 0, 1, 2, 3 // usages
	wholeCert, publicKey                = 0, 1       // selectors
	exactly, sha256Digest, sha512Digest = 0, 1, 2    // matching types
)

// maxTLSA is how many bytes of a record's data are shown: a digest is shown whole.
const maxTLSA = sha512.Size

// String is a record as zones have it.
func (r TLSA) String() string {
	text := hex.EncodeToString(r.Data[:min(len(r.Data), maxTLSA)])
	if len(r.Data) > maxTLSA {
		text += "..."
	}
	return fmt.Sprintf("%d %d %d %s", r.Usage, r.Selector, r.Matching, text)
}

// A DANE is what the DNS has to say of a server's certificate.
type DANE struct {
	Owner   string // of the records: _443._tcp.www.example.org
	Records []TLSA
	// Secure tells that the resolver validated the records, or that there are none.
	Secure bool
	// Insecure says what of that which leads to them is not signed, if it is not they themselves.
	Insecure string
	// Names are what the certificate may be for: the TLSA base domain first (RFC 7671, 7), then those
	// that led to it.
	Names []string
	// Mail tells that MX records led to the server, for which usages 0 and 1 are not to be used
	// (RFC 7672, 3.1.3).
	Mail bool
}

// String is for a person.
func (d *DANE) String() string {
	state := "not validated"
	if d.Secure {
		state = "validated"
	}
	var records []string
	for _, r := range d.Records {
		records = append(records, r.String())
	}
	if records == nil {
		records = []string{"none"}
	}
	return fmt.Sprintf("TLSA records of %s, %s: %s", quote.Escape(d.Owner), state, strings.Join(records, ", "))
}

// A Judged is a TLSA record, and what became of it.
type Judged struct {
	TLSA
	// Unusable says why it counts for nothing; "" if it does.
	Unusable string
	// Matches tells that the certificate, or one of its chain, is the record's.
	Matches bool
	// Trusts tells that the certificate is trusted by it.
	Trusts bool

	chain    []*x509.Certificate // to the trust anchor, for usages 0 to 2
	problems []problem           // that a record which matches is not enough
}

// Reasons why TLSA records do not make a certificate trusted.
var (
	ErrNoTLSA       = errors.New("there are no TLSA records")
	ErrInsecureTLSA = errors.New("the TLSA records are not signed")
	ErrUnusableTLSA = errors.New("no TLSA record can be used")
	ErrOtherTLSA    = errors.New("the certificate matches no TLSA record")
)

const hintNoDANE = "without --dane the chain decides"

// JudgeTLSA judges the certificates that a server sent, its own first, by each of the records
// (RFC 6698, 2.1; RFC 7671). Whether the records are authentic is not asked.
func (c *Config) JudgeTLSA(d *DANE, sent []*x509.Certificate) []Judged {
	return c.judgeTLSA(d, sent, d.Names)
}

func (c *Config) judgeTLSA(d *DANE, sent []*x509.Certificate, names []string) []Judged {
	judged := make([]Judged, len(d.Records))
	for i, record := range d.Records {
		j := &judged[i]
		j.TLSA = record
		if j.Unusable = record.unusable(d); j.Unusable == "" {
			c.judge(j, sent, names)
		}
	}
	return judged
}

// names are what the certificate may be for: the name that it would have to be valid for without TLSA
// records is one of them, unless the person gave it.
func (c *Config) names(d *DANE, name string) []string {
	switch {
	case c.verifyName != "":
		return []string{name}
	case name == "":
		return d.Names
	}
	return append(slices.Clone(d.Names), name)
}

// usable reports whether there is a record that can be used.
func (d *DANE) usable() bool {
	return d.Secure && slices.ContainsFunc(d.Records, func(r TLSA) bool { return r.unusable(d) == "" })
}

// unusable says why a record counts for nothing (RFC 6698, 4.1; RFC 7671, 9).
func (r TLSA) unusable(d *DANE) string {
	size := map[byte]int{sha256Digest: sha256.Size, sha512Digest: sha512.Size}[r.Matching]
	switch {
	case r.Usage > daneEE:
		return "its usage is not known"
	case r.Selector > publicKey:
		return "its selector is not known"
	case r.Matching > sha512Digest:
		return "its matching type is not known"
	case d.Mail && r.Usage <= pkixEE:
		return "its usage is not for mail (RFC 7672)"
	case size != 0 && len(r.Data) != size:
		return fmt.Sprintf("its digest has %d bytes, not %d", len(r.Data), size)
	case r.Matching == exactly && r.Selector == wholeCert && !parses(x509.ParseCertificate(r.Data)):
		return "its certificate can't be read"
	case r.Matching == exactly && r.Selector == publicKey && !parses(x509.ParsePKIXPublicKey(r.Data)):
		return "its public key can't be read"
	case r.Matching == sha256Digest && slices.ContainsFunc(d.Records, func(o TLSA) bool {
		return o.Usage == r.Usage && o.Selector == r.Selector && o.Matching == sha512Digest && len(o.Data) == sha512.Size
	}):
		return "there are SHA-512 digests beside it, which count in its place"
	}
	return ""
}

func parses[T any](_ T, err error) bool { return err == nil }

// of is the record that a certificate would have in place of r.
func (r TLSA) of(cert *x509.Certificate) TLSA {
	data := cert.Raw
	if r.Selector == publicKey {
		data = cert.RawSubjectPublicKeyInfo
	}
	switch r.Matching {
	case sha256Digest:
		sum := sha256.Sum256(data)
		data = sum[:]
	case sha512Digest:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	r.Data = data
	return r
}

func (r TLSA) matches(cert *x509.Certificate) bool { return bytes.Equal(r.of(cert).Data, r.Data) }

// judge judges by one record that is usable.
func (c *Config) judge(j *Judged, sent []*x509.Certificate, names []string) {
	switch leaf := sent[0]; j.Usage {
	case daneEE: // its names and dates count for nothing (RFC 7671, 5.1)
		j.Matches = j.matches(leaf)
		j.Trusts = j.Matches
	case pkixEE:
		if j.Matches = j.matches(leaf); j.Matches {
			j.accept(c.chains(sent, fitting(leaf, names)))
		}
	case pkixTA:
		chains, problems := c.chains(sent, fitting(leaf, names))
		if problems != nil { // the authority may be one that was not sent
			j.Matches, j.problems = slices.ContainsFunc(sent[1:], j.matches), problems
			return
		}
		for _, chain := range chains {
			if slices.ContainsFunc(chain[1:], j.matches) {
				j.Matches = true
				j.accept([][]*x509.Certificate{chain}, nil)
				return
			}
		}
	case daneTA:
		if anchors := j.anchors(sent); anchors != nil {
			j.Matches = true
			own := *c
			own.anchors, own.roots, own.anchorsAre = nil, x509.NewCertPool(), "the trust anchors of the TLSA records"
			own.found = new(memory) // what is remembered is for other anchors
			for _, anchor := range anchors {
				own.anchors = append(own.anchors, anchor)
				own.roots.AddCert(anchor.cert)
			}
			chains, problems := own.chains(sent, fitting(leaf, names))
			if problems != nil && errors.As(problems[0].err, new(x509.UnknownAuthorityError)) && !slices.ContainsFunc(sent[1:], j.matches) {
				j.Matches = false // the authority in the record is another one
				return
			}
			j.accept(chains, problems)
		}
	}
}

func (j *Judged) accept(chains [][]*x509.Certificate, problems []problem) {
	if j.problems = problems; problems == nil {
		j.Trusts, j.chain = true, chains[0]
	}
}

// anchors are the certificates that a record of usage 2 makes trust anchors: those that the server
// sent, its own excepted, and that in the record. Where the record has the authority's bare key, it is
// the certificate that the key signed.
func (r TLSA) anchors(sent []*x509.Certificate) (anchors []anchor) {
	for _, cert := range sent[1:] {
		if r.matches(cert) {
			anchors = append(anchors, anchor{cert: cert})
		}
	}
	switch {
	case r.Matching != exactly:
	case r.Selector == wholeCert:
		if cert, err := x509.ParseCertificate(r.Data); err == nil {
			anchors = append(anchors, anchor{cert: cert})
		}
	case anchors == nil:
		key, err := x509.ParsePKIXPublicKey(r.Data)
		if err != nil {
			return nil
		}
		authority := &x509.Certificate{PublicKey: key}
		for _, cert := range sent {
			if authority.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil {
				anchors = append(anchors, anchor{cert: cert})
			}
		}
	}
	return anchors
}

// fitting is the first name that a certificate is valid for; if there is none the first.
func fitting(leaf *x509.Certificate, names []string) string {
	for _, name := range names {
		if leaf.VerifyHostname(name) == nil {
			return name
		}
	}
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// verifyTLSA returns the record that makes the server's certificate trusted for name, or what is wrong.
func (c *Config) verifyTLSA(sent []*x509.Certificate, name string) (*Judged, []problem) {
	d := c.server.DANE
	leaf := sent[0]
	own := TLSA{Usage: daneEE, Selector: publicKey, Matching: sha256Digest}.of(leaf)
	switch {
	case d == nil:
		return nil, []problem{{says: ErrNoTLSA.Error() + " to be had", err: ErrNoTLSA, hint: hintNoDANE}}
	case !d.Secure:
		why := d.Insecure
		if why == "" {
			why = "the answer on the TLSA records of " + quote.Escape(d.Owner) + " is not signed"
		}
		return nil, []problem{{says: why + ", or was not validated", err: ErrInsecureTLSA,
			hint: "the domain's zone has to be signed by DNSSEC, and the resolver has to validate; " + hintNoDANE}}
	case len(d.Records) == 0:
		return nil, []problem{{says: "there are no TLSA records of " + quote.Escape(d.Owner), err: ErrNoTLSA,
			hint: fmt.Sprintf("one that would match is: %s. IN TLSA %s; %s", quote.Escape(d.Owner), own, hintNoDANE)}}
	}
	judged := c.judgeTLSA(d, sent, c.names(d, name))
	if i := slices.IndexFunc(judged, func(j Judged) bool { return j.Trusts }); i >= 0 {
		return &judged[i], nil
	}
	for _, j := range judged {
		if j.problems != nil {
			return nil, mentioning(j, d)
		}
	}
	return nil, []problem{d.mismatch(judged, leaf, own)}
}

// mentioning are the problems of a record's certificate, of which the last one names the record.
func mentioning(j Judged, d *DANE) []problem {
	problems := slices.Clone(j.problems)
	last := &problems[len(problems)-1]
	last.says += fmt.Sprintf("; the TLSA record %s of %s wants a chain that is in order", j.TLSA, quote.Escape(d.Owner))
	return problems
}

// mismatch tells which records there are, and what the server sent instead.
func (d *DANE) mismatch(judged []Judged, leaf *x509.Certificate, own TLSA) problem {
	var records []string
	usable := false
	for _, j := range judged {
		text := j.String()
		switch {
		case j.Unusable != "":
			text += " (" + j.Unusable + ")"
		case j.Usage == daneEE || j.Usage == pkixEE:
			usable = true
			text += " (the server's is " + j.of(leaf).String() + ")"
		default:
			usable = true
			text += " (no authority's of the chain)"
		}
		records = append(records, text)
	}
	if len(records) > maxNames {
		records = append(records[:maxNames], fmt.Sprintf("and %d more", len(judged)-maxNames))
	}
	list := "TLSA records of " + quote.Escape(d.Owner) + ": " + strings.Join(records, ", ")
	if !usable {
		return problem{says: "none can be used of the " + list, err: ErrUnusableTLSA, hint: hintNoDANE}
	}
	return problem{
		cert: leaf, err: ErrOtherTLSA, says: "matches none of the " + list,
		hint: fmt.Sprintf("somebody may be in the way; if its operator says that this is the server's key, the record for it is: %s. IN TLSA %s",
			quote.Escape(d.Owner), own),
	}
}
