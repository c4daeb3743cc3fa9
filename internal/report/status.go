package report

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/ocsp"

	"tlsup/internal/trust"
)

// OCSP is a stapled response on the server's certificate (RFC 6960).
type OCSP struct {
	State      string     `json:"state"`   // good, revoked, unknown, or unreadable
	Problem    *string    `json:"problem"` // why it proves nothing; nil: it does
	ThisUpdate *time.Time `json:"this_update"`
	NextUpdate *time.Time `json:"next_update"`
	RevokedAt  *time.Time `json:"revoked_at"`
}

// An SCT is the promise of a log of certificates to show one (RFC 6962). Its signature is not
// checked: that would take a list of the logs.
type SCT struct {
	Source string    `json:"source"` // handshake, certificate or ocsp
	Log    string    `json:"log"`    // its ID in base64
	Time   time.Time `json:"time"`
}

// staple sets the state of a stapled response.
func (r *Report) staple(cs tls.ConnectionState, verified []*x509.Certificate) {
	if len(cs.OCSPResponse) == 0 {
		return
	}
	leaf := cs.PeerCertificates[0]
	issuer := issuerOf(leaf, append(cs.PeerCertificates[1:len(cs.PeerCertificates):len(cs.PeerCertificates)], verified...))
	response, err := ocsp.ParseResponseForCert(cs.OCSPResponse, leaf, issuer)
	if err != nil {
		text := trust.ResponseFault(err)
		r.OCSP = &OCSP{State: "unreadable", Problem: &text}
		return
	}
	r.OCSP = &OCSP{State: "unknown", ThisUpdate: utc(response.ThisUpdate), NextUpdate: utc(response.NextUpdate)}
	switch response.Status {
	case ocsp.Good:
		r.OCSP.State = "good"
	case ocsp.Revoked:
		r.OCSP.State, r.OCSP.RevokedAt = "revoked", utc(response.RevokedAt)
	}
	problem := ""
	switch {
	case issuer == nil:
		problem = "its signature can't be checked without the issuer's certificate"
	case r.Time.Before(response.ThisUpdate):
		problem = "it is not valid yet"
	case !response.NextUpdate.IsZero() && r.Time.After(response.NextUpdate):
		problem = "it is out of date"
	}
	r.OCSP.Problem = optional(problem)
	for _, extension := range response.Extensions {
		if extension.Id.Equal(oidSCTsOCSP) {
			r.sctList("ocsp", extension.Value)
		}
	}
}

// Extensions with a list of SCTs (RFC 6962, 3.3).
var (
	oidSCTs     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
	oidSCTsOCSP = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 5}
)

// scts sets the SCTs of handshake and certificate.
func (r *Report) scts(cs tls.ConnectionState) {
	for _, sct := range cs.SignedCertificateTimestamps {
		r.sct("handshake", sct)
	}
	for _, extension := range cs.PeerCertificates[0].Extensions {
		if extension.Id.Equal(oidSCTs) {
			r.sctList("certificate", extension.Value)
		}
	}
}

// sctList reads the list in an extension. What cannot be read is passed over.
func (r *Report) sctList(source string, value []byte) {
	var list []byte
	if _, err := asn1.Unmarshal(value, &list); err != nil {
		return
	}
	var all cryptobyte.String
	outer := cryptobyte.String(list)
	if !outer.ReadUint16LengthPrefixed(&all) {
		return
	}
	for !all.Empty() {
		var sct cryptobyte.String
		if !all.ReadUint16LengthPrefixed(&sct) {
			return
		}
		r.sct(source, sct)
	}
}

// sct reads one: a version, the log's ID, milliseconds since 1970, and what is not looked at.
func (r *Report) sct(source string, sct []byte) {
	const idLen, head = 32, 1 + 32 + 8
	if len(sct) < head || sct[0] != 0 {
		return
	}
	at := time.UnixMilli(int64(binary.BigEndian.Uint64(sct[1+idLen:]))).UTC()
	if at.Year() < 1970 || at.Year() > 9999 {
		return // no time that can be written
	}
	r.SCTs = append(r.SCTs, SCT{source, base64.StdEncoding.EncodeToString(sct[1 : 1+idLen]), at})
}

// signature finds the algorithm of the server's signature in the handshake, which crypto/tls does
// not tell. Before TLS 1.3 the tap has seen it; then it is encrypted, but all keys other than RSA fit
// one algorithm only (RFC 8446, 4.2.3).
func signature(cs tls.ConnectionState, seen tls.SignatureScheme) (algorithm, note string) {
	key := describeKey(cs.PeerCertificates[0]).Algorithm
	switch {
	case cs.Version == tls.VersionTLS13:
		schemes := map[string]tls.SignatureScheme{
			"ECDSA P-256": tls.ECDSAWithP256AndSHA256, "ECDSA P-384": tls.ECDSAWithP384AndSHA384,
			"ECDSA P-521": tls.ECDSAWithP521AndSHA512, "Ed25519": tls.Ed25519,
		}
		if scheme, ok := schemes[key]; ok {
			return schemeName(scheme), ""
		}
		return "", "RSA-PSS; crypto/tls does not tell with which hash"
	case cs.CipherSuite != 0 && usesRSAExchange(cs.CipherSuite):
		return "", "none: RSA key exchange"
	case seen != 0:
		return schemeName(seen), ""
	case cs.Version < tls.VersionTLS12 && key == "RSA":
		return "", "RSA with MD5 and SHA-1, as in all of " + tls.VersionName(cs.Version)
	case cs.Version < tls.VersionTLS12:
		return schemeName(tls.ECDSAWithSHA1), ""
	}
	return "", "not seen"
}

// schemeNames are the names of signature algorithms (RFC 8446, 4.2.3).
func schemeNames() map[tls.SignatureScheme]string {
	return map[tls.SignatureScheme]string{
		tls.PKCS1WithSHA1: "rsa_pkcs1_sha1", tls.PKCS1WithSHA256: "rsa_pkcs1_sha256", tls.PKCS1WithSHA384: "rsa_pkcs1_sha384",
		tls.PKCS1WithSHA512: "rsa_pkcs1_sha512", tls.PSSWithSHA256: "rsa_pss_rsae_sha256", tls.PSSWithSHA384: "rsa_pss_rsae_sha384",
		tls.PSSWithSHA512: "rsa_pss_rsae_sha512", tls.ECDSAWithSHA1: "ecdsa_sha1", tls.ECDSAWithP256AndSHA256: "ecdsa_secp256r1_sha256",
		tls.ECDSAWithP384AndSHA384: "ecdsa_secp384r1_sha384", tls.ECDSAWithP521AndSHA512: "ecdsa_secp521r1_sha512", tls.Ed25519: "ed25519",
	}
}

func schemeName(scheme tls.SignatureScheme) string {
	if name, ok := schemeNames()[scheme]; ok {
		return name
	}
	return scheme.String()
}

func usesRSAExchange(id uint16) bool {
	const prefix = "TLS_RSA_"
	name := tls.CipherSuiteName(id)
	return len(name) > len(prefix) && name[:len(prefix)] == prefix
}

func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
