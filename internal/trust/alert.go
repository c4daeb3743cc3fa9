package trust

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

const (
	hintClientCert = "give the server a certificate that it accepts: --x509certfile FILE --x509keyfile FILE"
	hintOffer      = "server and client may have no version, cipher suite, group or kind of key in common: " + allLegacy + "--ciphers and --groups name others"
	allLegacy      = "--legacy allows what old servers need, --tls-min 1.0 old versions alone, "
	hintOld        = "the server knows only versions of TLS that are not allowed here: --legacy or --tls-min 1.0 allows old ones, --tls-max the new ones again"
	hintSHA1       = "the server may have no other signatures than those with SHA-1, which --legacy allows"
	hintFault      = "this is a fault of the server, or of something between: see the server's log"
)

// Alerts that are looked for: handshake_failure, protocol_version, internal_error.
const (
	alertFailure  tls.AlertError = 40
	alertVersion  tls.AlertError = 70
	alertInternal tls.AlertError = 80
)

// alertHints say what an alert of a server means and what to try: those of TLS 1.3 (RFC 8446, 6.2),
// of earlier versions (RFC 5246, 7.2.2; RFC 2246) and of extensions. close_notify, 0, is the end of the
// connection, which has words of its own.
func alertHints() map[tls.AlertError]string {
	return map[tls.AlertError]string{
		10:  "unexpected_message: the server met something that it did not expect; " + hintFault,
		20:  "bad_record_mac: what the server got was changed on the way, or it counts otherwise; " + hintFault,
		21:  "decryption_failed: the server could not decrypt what it got; " + hintFault,
		22:  "record_overflow: the server met a record that is too long for it; " + hintFault,
		30:  "decompression_failure: nothing was compressed; " + hintFault,
		40:  hintOffer + "; or the server wants a certificate: --x509certfile FILE --x509keyfile FILE",
		41:  "no_certificate: the server wants a certificate; " + hintClientCert,
		42:  "the server does not accept the client's certificate; " + hintClientCert,
		43:  "the server does not support certificates like the client's; " + hintClientCert,
		44:  "the client's certificate was revoked; " + hintClientCert,
		45:  "the client's certificate has expired, the server says; " + hintClientCert,
		46:  "the server does not accept the client's certificate; " + hintClientCert,
		47:  "illegal_parameter: the server does not like something in the offer, --groups and --tls-max narrow it; else " + hintFault,
		48:  "the server does not know the authority of the client's certificate; " + hintClientCert,
		49:  "the server knows the client's certificate, and denies it access; " + hintClientCert,
		50:  "decode_error: the server can't read a message, some can't if it is large: --groups X25519 makes the first one smaller; else " + hintFault,
		51:  "decrypt_error: a signature or the end of the handshake is wrong to the server; if a certificate was sent, its key may be of a kind that the server can't use; else " + hintFault,
		60:  "export_restriction: the server wants cryptography of the 1990s, which is not to be had here",
		70:  hintOld,
		71:  "the server wants stronger cryptography than was offered: leave out --ciphers, --groups, --legacy and --tls-max",
		80:  "internal_error: " + hintFault,
		86:  "the server can do a newer version of TLS than --tls-max allows",
		90:  "user_canceled: somebody at the server gave the handshake up; try again",
		100: "no_renegotiation: the server takes the handshake for a second one on the connection; " + hintFault,
		109: "the server misses something in the offer: leave out --sni-hostname and --groups",
		110: "unsupported_extension: the server got an extension that it did not ask for; " + hintFault,
		111: "certificate_unobtainable: the server could not fetch the client's certificate; " + hintClientCert,
		112: "the server does not know the name that it was asked for: --sni-hostname NAME sends another",
		113: "bad_certificate_status_response: an OCSP response was wrong to the server; " + hintFault,
		114: "bad_certificate_hash_value: the client's certificate is not the one that the server expected; " + hintClientCert,
		115: "unknown_psk_identity: the server wants a pre-shared key, which is not to be had here; or it forgot a session: leave out --session",
		116: "the server wants a certificate; " + hintClientCert,
		120: "the server speaks none of the protocols that were offered: --alpn NAME offers another",
		121: "ech_required: the server wants Encrypted Client Hello: --ech CONFIG, with the configuration from its HTTPS record in the DNS",
	}
}

// HandshakeHint is the function of that name, without what the settings allow already, and with what
// makes them narrow.
func (c *Config) HandshakeHint(err error) string {
	hint := HandshakeHint(err)
	if offered, _ := c.OfferedECH(); offered && IsVersion(err) {
		return "the server does not know TLS 1.3, which Encrypted Client Hello needs: without --ech its name is sent in the clear"
	}
	if c.wanted != "" && IsVersion(err) {
		return "the server knows no version of TLS as new as " + c.wanted + ": a lower --tls-min allows an older one"
	}
	if c.old {
		hint = strings.NewReplacer(allLegacy, "", "--legacy or ", "", hintSHA1, "").Replace(hint)
	}
	switch code, _ := alertOf(err); {
	case code == alertFailure && c.narrowed != nil:
		hint = "the offer may be too narrow, leave out " + strings.Join(c.narrowed, " or ") + "; else " + hint
	case code == alertInternal && c.shared.MaxVersion < tls.VersionTLS12:
		hint = "OpenSSL says so where its security level rules out the old versions: leave out --tls-max; else " + hint
	}
	return hint
}

// ClosedHint is for a server that closes the connection in the handshake without an alert, as some do at
// an offer that is newer than they are, or larger than they expect.
func (c *Config) ClosedHint() string {
	hint := "an old server may do so at what it does not know: " + allLegacy + "--tls-max 1.2 and --groups X25519 make the offer smaller; or it has enough connections"
	if c.old {
		hint = strings.Replace(hint, allLegacy, "", 1)
	}
	return hint
}

// HandshakeHint says what an alert from the server means, or what crypto/tls does not accept, and what to
// try, for the error of a handshake, or of a read behind it: with TLS 1.3 a server refuses a client's
// certificate only then. It returns "" if nothing is known.
func HandshakeHint(err error) string {
	if code, ok := alertOf(err); ok {
		return alertHints()[code]
	}
	if err == nil {
		return ""
	}
	for _, own := range ownHints {
		if strings.HasPrefix(err.Error(), own.text) {
			return own.hint
		}
	}
	if strings.Contains(err.Error(), shortKey) {
		return "the server's RSA key is so short that it can be broken: GODEBUG=rsa1024min=0 in the environment allows it"
	}
	return ""
}

// tooOld is what crypto/tls says, without a type, when the server answers with a version
// below Config.MinVersion in place of an alert.
const tooOld = "tls: server selected unsupported protocol version"

// shortKey is what crypto/rsa says of keys under 1024 bits.
const shortKey = "-bit keys are insecure"

// ownHints are for what crypto/tls itself objects to, without a type: in a certificate, and in an old server's
// answers, which does not look at what was offered.
var ownHints = []struct{ text, hint string }{
	{tooOld, hintOld},
	{"tls: server chose an unconfigured cipher suite", "the server chose a cipher suite that was not offered: " + allLegacy + "--ciphers names others"},
	{"tls: certificate used with invalid signature algorithm", hintSHA1},
	{"tls: server selected unoffered curve", "the server chose a group that was not offered: --groups names others"},
	{"tls: server selected unsupported curve", "the server chose a group that is not to be had here, or an explicit curve: " + allLegacy + "as the key exchange by RSA, which needs none"},
	{"tls: server selected unsupported group", "the server chose a group that was not offered: --groups names others"},
	{"tls: downgrade attempt detected", "the server could do a newer version of TLS than it answered with: somebody on the way may have changed the offer, or something there is broken"},
	{"tls: handshake message of length", hintSend + " fewer or smaller certificates: those of its chain alone"},
	{"tls: server sent certificate containing RSA key larger than", hintReissue + ", with a shorter key"},
	{"tls: failed to parse certificate", hintReissue + ": this one, or one of its chain, cannot be read here, which --insecure does not change"},
}

// IsVersion reports whether a handshake failed since the server knows no version of TLS that was
// offered.
func IsVersion(err error) bool {
	code, ok := alertOf(err)
	return ok && code == alertVersion || err != nil && strings.HasPrefix(err.Error(), tooOld)
}

// RefusesClient reports whether an error is the server's alert that it does not accept the
// client's certificate, or wants one.
func RefusesClient(err error) bool {
	code, ok := alertOf(err)
	return ok && strings.HasSuffix(alertHints()[code], hintClientCert)
}

// WantsRenegotiation reports whether an error of a session is that the server begins another handshake in
// it (RFC 5246, 7.4.1.1), which crypto/tls does not do.
func WantsRenegotiation(err error) bool {
	const noRenegotiation = tls.AlertError(100)
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "local error" && op.Err.Error() == noRenegotiation.Error()
}

// alertOf returns the code of an alert that came from the server. crypto/tls wraps a type
// of its own that only [net.OpError] shows; tls.AlertError has the same texts.
func alertOf(err error) (tls.AlertError, bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	for code := range 256 {
		if alert := tls.AlertError(code); alert.Error() == op.Err.Error() {
			return alert, true
		}
	}
	return 0, false
}

// Alert returns the code of an alert that the server sent, if that is what ended a handshake or a
// session.
func Alert(err error) (code uint8, ok bool) {
	alert, ok := alertOf(err)
	return uint8(alert), ok
}
