package gnutls

// A DANERecord is what became of a TLSA record.
type DANERecord struct {
	Authority bool // it is about an authority, not about the server's own certificate
	Usable    bool
	Matches   bool
}

// DANELine is what is said of a certificate by the server's TLSA records, and whether it is trusted by
// them.
func DANELine(records []DANERecord) (line string, trusted bool) {
	var authority, own bool
	for _, r := range records {
		if r.Matches {
			return "- DANE: Certificate matches. ", true
		}
		authority = authority || r.Usable && r.Authority
		own = own || r.Usable && !r.Authority
	}
	if !authority && !own {
		return "*** DANE verification error: The requested data are not available.", false
	}
	line = "- DANE: Verification failed. "
	if authority {
		line += "CA constrains were violated. "
	}
	if own {
		line += "The certificate differs. "
	}
	return line, false
}
