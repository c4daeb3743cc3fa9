package trust

import (
	"context"
	"crypto/tls"
)

// hintNone is for a server that asked for a certificate and then gave the handshake up: what they could
// have in common was agreed on before.
const hintNone = "the server asked for a certificate, and there was none to give: --x509certfile FILE --x509keyfile FILE"

type seenKey struct{}

// seen is what came up in a handshake.
type seen struct {
	requested, refused bool  // the server asked for a client's certificate, and there was none
	verdict            error // on the server's certificate
}

// Watching returns a context for a handshake, of which Requested, Refused and Distrusted then tell.
func Watching(ctx context.Context) context.Context {
	return context.WithValue(ctx, seenKey{}, new(seen))
}

func seenIn(ctx context.Context) *seen {
	if s, ok := ctx.Value(seenKey{}).(*seen); ok {
		return s
	}
	return new(seen)
}

// Distrusted returns what was wrong with the server's certificate in a handshake with settings of
// Client's, nil for nothing. If the context has ended meanwhile, the handshake's error is that alone.
func Distrusted(ctx context.Context) error { return seenIn(ctx).verdict }

// Requested reports whether the server asked, in a handshake with a context of Watching's, for a
// client's certificate. In a session that is resumed it does not.
func Requested(ctx context.Context) bool { return seenIn(ctx).requested }

// Refused reports whether it asked, and there was none to give.
func Refused(ctx context.Context) bool { return seenIn(ctx).refused }

// giveNone is a client's answer that has no certificate.
func giveNone(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	s := seenIn(info.Context())
	s.requested, s.refused = true, true
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
