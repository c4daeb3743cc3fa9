package report

import (
	"encoding/hex"
	"strings"

	"tlsup/internal/quote"
	"tlsup/internal/trust"
)

// A DANE is what the DNS has to say of the certificate.
type DANE struct {
	Owner    string  `json:"owner"` // of the records
	Secure   bool    `json:"secure"`
	Insecure *string `json:"insecure"` // what led to them and is not signed; nil: nothing, or they themselves
	Records  []TLSA  `json:"records"`
}

// A TLSA is a TLSA record, and what became of it.
type TLSA struct {
	Usage    int     `json:"usage"`
	Selector int     `json:"selector"`
	Matching int     `json:"matching_type"`
	Data     string  `json:"data"`     // in hex
	Unusable *string `json:"unusable"` // why it counts for nothing; nil if it does
	Matches  bool    `json:"matches"`  // it is the certificate's, or one's of its chain
	Trusts   bool    `json:"trusts"`   // it makes the certificate trusted

	text string
}

// dane sets what the DNS has to say. judged is nil if no certificate came, or the records are not secure.
func (r *Report) dane(d *trust.DANE, judged []trust.Judged) {
	if d == nil {
		return
	}
	r.DANE = &DANE{Owner: quote.Escape(d.Owner), Secure: d.Secure, Insecure: optional(d.Insecure), Records: []TLSA{}}
	for i, record := range d.Records {
		t := TLSA{
			Usage: int(record.Usage), Selector: int(record.Selector), Matching: int(record.Matching),
			Data: hex.EncodeToString(record.Data), text: record.String(),
		}
		if judged != nil {
			t.Unusable, t.Matches, t.Trusts = optional(judged[i].Unusable), judged[i].Matches, judged[i].Trusts
		}
		r.DANE.Records = append(r.DANE.Records, t)
	}
}

// tlsa writes the TLSA records.
func (r *Report) tlsa(p *page) {
	d := r.DANE
	if d == nil {
		return
	}
	text, colour := d.Owner+", validated", green
	switch {
	case d.Insecure != nil:
		text, colour = "not looked up: "+*d.Insecure, red
	case !d.Secure:
		text, colour = d.Owner+", not validated", red
	}
	if len(d.Records) == 0 && d.Insecure == nil {
		text, colour = text+": none", red
	}
	p.row("TLSA", colour, text)
	for _, record := range d.Records {
		state, colour := record.state(r.Verification, d)
		p.row("", colour, strings.TrimSpace(record.text+" "+state))
	}
}

// state says what became of a record.
func (t *TLSA) state(v *Verification, d *DANE) (text, colour string) {
	switch {
	case v == nil || !d.Secure:
		return "", plain
	case t.Unusable != nil:
		return "can't be used: " + *t.Unusable, yellow
	case t.Trusts:
		return "matches", green
	case t.Matches:
		return "matches, but wants a chain that is in order", red
	}
	return "does not match", yellow
}
