package gnutls

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"reflect"
	"strings"
	"time"

	"tlsup/internal/trust"
)

// A Block is what is said about a handshake. Its parts come at several moments, and are shown
// together: whoever waits for one line of it must not meet the others in what follows.
type Block struct {
	Verbose, PrintCert bool

	asked bytes.Buffer // on the server's request for a certificate
	certs bytes.Buffer // on the server's certificates
}

// Certificates tells of the server's certificates, unless the session is a resumed one.
func (b *Block) Certificates(cs tls.ConnectionState) {
	if !cs.DidResume {
		writeCertificates(&b.certs, cs.PeerCertificates, b.Verbose, b.PrintCert)
	}
}

// Status tells whether they are trusted, and if not, with all reasons in errs why.
// now is the moment for which they were judged.
func (b *Block) Status(trusted bool, errs []error, now time.Time) {
	if trusted {
		fmt.Fprintf(&b.certs, "- Status: The certificate is trusted. \n")
		return
	}
	fmt.Fprintf(&b.certs, "- Status: The certificate is NOT trusted. %s\n*** PKI verification of server certificate failed...\n", statusWords(errs, now))
}

// Note adds a line behind what was told of the certificates. It has to be fit to be shown.
func (b *Block) Note(format string, args ...any) { fmt.Fprintf(&b.certs, format+"\n", args...) }

// LocalTime is a time as the C library has it.
func LocalTime(t time.Time) string { return t.Local().Format(time.ANSIC) }

// Asked tells that the server asked for a certificate, and how many it got.
func (b *Block) Asked(info *tls.CertificateRequestInfo, sent int) {
	if b.Verbose {
		if len(info.AcceptableCAs) == 0 {
			fmt.Fprintf(&b.asked, "- Server did not send us any trusted authorities names.\n")
		} else {
			fmt.Fprintf(&b.asked, "- Server's trusted authorities:\n")
		}
		for i, raw := range info.AcceptableCAs {
			fmt.Fprintf(&b.asked, "   [%d]: %s\n", i, distinguished(raw))
		}
	}
	fmt.Fprintf(&b.asked, "- Successfully sent %d certificate(s) to server.\n", sent)
	if info.Version == tls.VersionTLS13 { // before, the request comes behind the certificates
		fmt.Fprintf(&b.asked, "- Server has requested a certificate.\n")
	}
}

// Flush returns what there is to be shown by now, of a handshake that failed or in front of a question.
func (b *Block) Flush() []byte {
	text := append(bytes.Clone(b.asked.Bytes()), b.certs.Bytes()...)
	b.asked.Reset()
	b.certs.Reset()
	return text
}

// Done returns what is to be shown of a handshake that succeeded. id is the session's, as the
// server gave it.
func (b *Block) Done(conn *tls.Conn, id []byte) []byte {
	cs := conn.ConnectionState()
	var w bytes.Buffer
	if cs.Version == tls.VersionTLS13 {
		w.Write(b.asked.Bytes())
		w.Write(b.certs.Bytes())
	} else {
		w.Write(b.certs.Bytes())
		w.Write(b.asked.Bytes())
	}
	suite := describe(cs.CipherSuite)
	fmt.Fprintf(&w, "- Description: %s\n", description(cs, suite))
	fmt.Fprintf(&w, "- Session ID: %s\n", strings.TrimSuffix(strings.ToUpper(spaced(id)), ":"))
	if b.Verbose {
		writeDetails(&w, cs, suite)
	}
	fmt.Fprintf(&w, "- Compression: NULL\n") // older versions have it, and old clients wait for it
	fmt.Fprintf(&w, "- Options:%s\n", options(conn, cs))
	if cs.NegotiatedProtocol != "" {
		fmt.Fprintf(&w, "- Application protocol: %s\n", escapeValue(cs.NegotiatedProtocol))
	}
	if b.Verbose {
		writeBindings(&w, cs)
	}
	return w.Bytes()
}

func spaced(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		fmt.Fprintf(&s, "%02x:", c)
	}
	return s.String()
}

// description is a session in one line.
func description(cs tls.ConnectionState, s suite) string {
	parts := []string{versionName(cs.Version) + "-X.509"}
	switch {
	case cs.CurveID != 0 && s.exchange != "":
		parts = append(parts, "ECDHE-"+groupName(cs.CurveID))
	case cs.CurveID != 0 && strings.Contains(groupName(cs.CurveID), "MLKEM"):
		parts = append(parts, groupName(cs.CurveID))
	case cs.CurveID != 0:
		parts = append(parts, "ECDHE-"+groupName(cs.CurveID))
	default:
		parts = append(parts, "RSA")
	}
	if name := serverSignature(cs); name != "" {
		parts = append(parts, name)
	}
	parts = append(parts, s.cipher)
	if s.mac != "AEAD" {
		parts = append(parts, s.mac)
	}
	return "(" + strings.Join(parts, ")-(") + ")"
}

// options are the extensions that were agreed on.
func options(conn *tls.Conn, cs tls.ConnectionState) string {
	text := ""
	if cs.Version < tls.VersionTLS13 {
		if _, err := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err == nil { // RFC 7627 is its condition
			text += " extended master secret,"
		}
		if v := hidden(conn, "secureRenegotiation"); v.Kind() == reflect.Bool && v.Bool() {
			text += " safe renegotiation,"
		}
	}
	if len(cs.OCSPResponse) > 0 {
		text += " OCSP status request,"
	}
	return text
}

// hidden returns a field that crypto/tls does not show: an invalid value if there is none.
// Nothing but words depends on it.
func hidden(v any, field string) reflect.Value {
	value := reflect.ValueOf(v)
	if value.Kind() == reflect.Pointer {
		value = value.Elem()
	}
	return value.FieldByName(field)
}

// serverSignature names the algorithm of the server's signature; "" if that is not known, or
// there was none.
func serverSignature(cs tls.ConnectionState) string {
	v := hidden(cs, "testingOnlyPeerSignatureAlgorithm")
	if v.Kind() != reflect.Uint16 || cs.DidResume {
		return ""
	}
	scheme := tls.SignatureScheme(v.Uint())
	rsaKey := false
	if len(cs.PeerCertificates) > 0 {
		_, rsaKey = cs.PeerCertificates[0].PublicKey.(*rsa.PublicKey)
	}
	switch scheme {
	case tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512:
		return "RSA-PSS-RSAE-" + strings.TrimPrefix(scheme.String(), "PSSWith")
	case tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512:
		hash := scheme.String()[len("ECDSAWithPnnnAnd"):]
		if cs.Version < tls.VersionTLS13 {
			return "ECDSA-" + hash
		}
		return "ECDSA-SECP" + scheme.String()[len("ECDSAWithP"):len("ECDSAWithPnnn")] + "R1-" + hash
	case tls.Ed25519:
		return "EdDSA-Ed25519"
	case tls.PKCS1WithSHA1, tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512:
		if rsaKey {
			return "RSA-" + strings.TrimPrefix(scheme.String(), "PKCS1With")
		}
	}
	return ""
}

// writeDetails writes what is told about a session with -V.
func writeDetails(w *bytes.Buffer, cs tls.ConnectionState, s suite) {
	if cs.CurveID != 0 {
		fmt.Fprintf(w, "- Ephemeral EC Diffie-Hellman parameters\n - Using curve: %s\n - Curve size: %d bits\n", groupName(cs.CurveID), groupBits(cs.CurveID))
	}
	fmt.Fprintf(w, "- Version: %s\n", versionName(cs.Version))
	if s.exchange != "" {
		fmt.Fprintf(w, "- Key Exchange: %s\n", s.exchange)
	}
	if name := serverSignature(cs); name != "" {
		fmt.Fprintf(w, "- Server Signature: %s\n", name)
	}
	fmt.Fprintf(w, "- Cipher: %s\n- MAC: %s\n", s.cipher, s.mac)
}

func groupBits(id tls.CurveID) int {
	switch id {
	case tls.CurveP384, tls.SecP384r1MLKEM1024:
		return 384
	case tls.CurveP521:
		return 521
	}
	return 256
}

// writeBindings writes what binds other protocols to the session (RFC 5929, RFC 9266).
func writeBindings(w *bytes.Buffer, cs tls.ConnectionState) {
	fmt.Fprintf(w, "- Channel bindings\n - 'tls-unique': %s\n", available(cs.TLSUnique))
	if len(cs.PeerCertificates) > 0 {
		fmt.Fprintf(w, " - 'tls-server-end-point': %s\n", available(endPoint(cs.PeerCertificates[0])))
	}
	exporter, _ := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	fmt.Fprintf(w, " - 'tls-exporter': %s\n", available(exporter))
}

func available(binding []byte) string {
	if len(binding) == 0 {
		return "not available"
	}
	return fmt.Sprintf("%x", binding)
}

// endPoint is tls-server-end-point (RFC 5929, 4.1): the certificate's hash by the algorithm of its
// signature, or SHA-256 for older ones.
func endPoint(cert *x509.Certificate) []byte {
	var h hash.Hash
	switch cert.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		h = sha512.New384()
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		h = sha512.New()
	case x509.PureEd25519:
		return nil // it has no hash
	default:
		h = sha256.New()
	}
	h.Write(cert.Raw)
	return h.Sum(nil)
}

// statusWords are the reasons why a certificate is not trusted, in a fixed order, each with a
// blank behind it.
func statusWords(errs []error, now time.Time) string {
	has := func(is func(error) bool) bool {
		for _, err := range errs {
			if is(err) {
				return true
			}
		}
		return false
	}
	invalid := func(reasons ...x509.InvalidReason) func(error) bool {
		return func(err error) bool {
			var e x509.CertificateInvalidError
			if !errors.As(err, &e) {
				return false
			}
			for _, reason := range reasons {
				if e.Reason == reason {
					return true
				}
			}
			return false
		}
	}
	dated := func(early bool) func(error) bool {
		return func(err error) bool {
			var e x509.CertificateInvalidError
			return errors.As(err, &e) && e.Reason == x509.Expired && now.Before(e.Cert.NotBefore) == early
		}
	}
	text := ""
	for _, word := range []struct {
		is   func(error) bool
		text string
	}{
		{func(err error) bool { return errors.Is(err, trust.ErrRevoked) }, "The certificate chain is revoked. "},
		{func(err error) bool { return errors.Is(err, trust.ErrOutdated) }, "The revocation or OCSP data are old and have been superseded. "},
		{func(err error) bool {
			return errors.As(err, new(x509.UnknownAuthorityError)) && !errors.As(err, new(x509.InsecureAlgorithmError))
		}, "The certificate issuer is unknown. "},
		{invalid(x509.NotAuthorizedToSign), "The certificate issuer is not a CA. "},
		{func(err error) bool {
			return errors.As(err, new(x509.InsecureAlgorithmError)) || errors.Is(err, trust.ErrWeak)
		}, "The certificate chain uses insecure algorithm. "},
		{invalid(x509.TooManyIntermediates, x509.CANotAuthorizedForThisName, x509.UnconstrainedName, x509.TooManyConstraints),
			"The certificate chain violates the signer's constraints. "},
		{invalid(x509.IncompatibleUsage, x509.CANotAuthorizedForExtKeyUsage), "The certificate chain does not match the intended purpose. "},
		{dated(true), "The certificate chain uses not yet valid certificate. "},
		{dated(false), "The certificate chain uses expired certificate. "},
		{func(err error) bool { return errors.As(err, new(x509.HostnameError)) }, "The name in the certificate does not match the expected. "},
		{func(err error) bool { return errors.Is(err, trust.ErrNoStaple) },
			"The certificate requires the server to include an OCSP status in its response, but the OCSP status is missing. "},
		{func(err error) bool { return errors.Is(err, trust.ErrBadStaple) }, "The received OCSP status response is invalid. "},
		{func(err error) bool { return errors.As(err, new(x509.UnhandledCriticalExtension)) }, "The certificate contains an unknown critical extension. "},
	} {
		if has(word.is) {
			text += word.text
		}
	}
	return text
}
