package trust

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

const (
	hintClientCert = "give the server a certificate that it accepts: --x509certfile FILE --x509keyfile FILE"
	hintOffer      = "server and client may have no version, cipher suite or group in common: --legacy allows what old servers need, --tls-min 1.0 old versions alone, --ciphers and --groups name others"
	hintOld        = "the server knows only versions of TLS that are not allowed here: --legacy or --tls-min 1.0 allows old ones, --tls-max the new ones again"
)

// alertVersion is the alert protocol_version.
const alertVersion tls.AlertError = 70

// alertHint says what an alert of a server means (RFC 8446, 6.2) and what to try.
func alertHint(code tls.AlertError) string {
	switch code {
	case 40: // handshake_failure
		return hintOffer + "; or the server wants a certificate: --x509certfile FILE --x509keyfile FILE"
	case 42, 46: // bad_certificate, certificate_unknown
		return "the server does not accept the client's certificate; " + hintClientCert
	case 43: // unsupported_certificate
		return "the server does not support certificates like the client's; " + hintClientCert
	case 44: // certificate_revoked
		return "the client's certificate was revoked; " + hintClientCert
	case 45: // certificate_expired
		return "the client's certificate has expired, the server says; " + hintClientCert
	case 48: // unknown_ca
		return "the server does not know the authority of the client's certificate; " + hintClientCert
	case 49: // access_denied
		return "the server knows the client's certificate, and denies it access; " + hintClientCert
	case 116: // certificate_required
		return "the server wants a certificate; " + hintClientCert
	case alertVersion:
		return hintOld
	case 71: // insufficient_security
		return "the server wants stronger cryptography than was offered: leave out --ciphers, --groups and --tls-max"
	case 86: // inappropriate_fallback
		return "the server can do a newer version of TLS than --tls-max allows"
	case 109: // missing_extension
		return "the server misses something in the offer: leave out --sni-hostname and --groups"
	case 112: // unrecognized_name
		return "the server does not know the name that it was asked for: --sni-hostname NAME sends another"
	case 120: // no_application_protocol
		return "the server speaks none of the protocols that were offered: --alpn NAME offers another"
	case 10, 20, 22, 47, 50, 51, 80: // unexpected_message to internal_error: what no offer of ours can cause
		return "this is a fault of the server, or of something between: see the server's log"
	}
	return ""
}

// HandshakeHint says what an alert from the server means and what to try, for the error
// of a handshake, or of a read behind it: with TLS 1.3 a server refuses a client's
// certificate only then. It returns "" if nothing is known.
func HandshakeHint(err error) string {
	if code, ok := alertOf(err); ok {
		return alertHint(code)
	}
	if IsVersion(err) {
		return hintOld
	}
	return ""
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
	code, _ := alertOf(err)
	switch code {
	case 42, 43, 44, 45, 46, 48, 49, 116: // those that alertHint has hintClientCert for
		return true
	}
	return false
}

// tooOld is what crypto/tls says, without a type, when the server answers with a version
// below Config.MinVersion in place of an alert.
const tooOld = "tls: server selected unsupported protocol version"

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
