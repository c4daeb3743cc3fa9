package trust

import (
	"context"
	"crypto/tls"
)

// hintNone is for a server that asked for a certificate and then gave the handshake up: what they could
// have in common was agreed on before.
const hintNone = "the server asked for a certificate, and there was none to give: --x509certfile FILE --x509keyfile FILE"

type requestKey struct{}

// A request is a server's for a client's certificate.
type request struct{ made, refused bool }

// Watching returns a context for a handshake, of which Requested and Refused then tell.
func Watching(ctx context.Context) context.Context {
	return context.WithValue(ctx, requestKey{}, new(request))
}

func requestIn(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return new(request)
}

// Requested reports whether the server asked, in a handshake with a context of Watching's, for a
// client's certificate. In a session that is resumed it does not.
func Requested(ctx context.Context) bool { return requestIn(ctx).made }

// Refused reports whether it asked, and there was none to give.
func Refused(ctx context.Context) bool { return requestIn(ctx).refused }

// giveNone is a client's answer that has no certificate.
func giveNone(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	*requestIn(info.Context()) = request{made: true, refused: true}
	return new(tls.Certificate), nil
}

// RequestedHint is a hint for a handshake that failed, by an alert or without a word, behind a request
// that was not answered. Servers before TLS 1.3 have no alert of its own for that.
func RequestedHint(err error, hint string) string {
	switch code, ok := alertOf(err); {
	case !ok, code == 40: // closed; handshake_failure (RFC 5246, 7.4.6)
		return hintNone
	case code == 10, code == 50, code == 80: // unexpected_message, decode_error, internal_error
		return hintNone + "; else " + hint
	}
	return hint
}
