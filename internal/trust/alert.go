package trust

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

const (
	hintClientCert = "give the server a certificate that it accepts: --x509certfile FILE --x509keyfile FILE"
	hintOffer      = "server and client may have no version, cipher suite or group in common: --tls-min 1.0 allows old versions, --ciphers and --groups name others"
	hintOld        = "the server knows only versions of TLS that are not allowed here: --tls-min 1.0 allows old ones, --tls-max the new ones again"
	hintBroken     = "this is a fault of the server, or of something between: see the server's log"
)

// alerts says what alerts of a server mean (RFC 8446, 6.2) and what to try.
var alerts = map[tls.AlertError]string{
	10:  hintBroken,                                                                                             // unexpected_message
	20:  hintBroken,                                                                                             // bad_record_mac
	22:  hintBroken,                                                                                             // record_overflow
	40:  hintOffer + "; or the server wants a certificate: --x509certfile FILE --x509keyfile FILE",              // handshake_failure
	42:  "the server does not accept the client's certificate as it is; " + hintClientCert,                      // bad_certificate
	43:  "the server does not support certificates like the client's; " + hintClientCert,                        // unsupported_certificate
	44:  "the client's certificate was revoked; " + hintClientCert,                                              // certificate_revoked
	45:  "the client's certificate has expired, the server says; " + hintClientCert,                             // certificate_expired
	46:  "the server does not accept the client's certificate; " + hintClientCert,                               // certificate_unknown
	47:  hintBroken,                                                                                             // illegal_parameter
	48:  "the server does not know the authority of the client's certificate; " + hintClientCert,                // unknown_ca
	49:  "the server knows the client's certificate, and denies it access; " + hintClientCert,                   // access_denied
	50:  hintBroken,                                                                                             // decode_error
	51:  hintBroken,                                                                                             // decrypt_error
	70:  hintOld,                                                                                                // protocol_version
	71:  "the server wants stronger cryptography than was offered: leave out --ciphers, --groups and --tls-max", // insufficient_security
	80:  hintBroken,                                                                                             // internal_error
	86:  "the server can do a newer version of TLS than --tls-max allows",                                       // inappropriate_fallback
	109: "the server misses something in the offer: leave out --sni-hostname and --groups",                      // missing_extension
	112: "the server does not know the name that it was asked for: --sni-hostname NAME sends another",           // unrecognized_name
	116: "the server wants a certificate; " + hintClientCert,                                                    // certificate_required
	120: "the server speaks none of the protocols that were offered: --alpn NAME offers another",                // no_application_protocol
}

// HandshakeHint says what an alert from the server means and what to try, for the error
// of a handshake, or of a read behind it: with TLS 1.3 a server refuses a client's
// certificate only then. It returns "" if nothing is known.
func HandshakeHint(err error) string {
	if code, ok := alertOf(err); ok {
		return alerts[code]
	}
	if err != nil && strings.HasPrefix(err.Error(), tooOld) {
		return hintOld
	}
	return ""
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
