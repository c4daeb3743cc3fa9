package gnutls

// A DANERecord is what became of a TLSA record.
type DANERecord struct {
	Authority bool // it is about an authority, not about the server's own certificate
	Usable    bool
	Matches   bool
}

// DANEWords is what is said of a certificate by the server's TLSA records, and whether it is trusted by
// them. Where none could be used, gnutls-cli takes it for trusted.
func DANEWords(records []DANERecord) (text string, trusted bool) {
	var authority, own bool
	for _, r := range records {
		if r.Matches {
			return "Certificate matches. ", true
		}
		authority = authority || r.Usable && r.Authority
		own = own || r.Usable && !r.Authority
	}
	text = "Verification failed. "
	if authority {
		text += "CA constrains were violated. "
	}
	if own {
		text += "The certificate differs. "
	}
	if !authority && !own {
		text += "There were no DANE information. "
	}
	return text, false
}
