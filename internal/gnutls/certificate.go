package gnutls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// writeCertificates lists the server's certificates: in a line each, or all that is in them
// (verbose), with PEM behind if that is asked for.
func writeCertificates(w io.Writer, certs []*x509.Certificate, verbose, asPEM bool) {
	fmt.Fprintf(w, "- Certificate type: X.509\n- Got a certificate list of %d certificates.\n", len(certs))
	for i, cert := range certs {
		fmt.Fprintf(w, "- Certificate[%d] info:\n", i)
		switch {
		case verbose:
			fmt.Fprintf(w, " - X.509 Certificate Information:\n")
			writeWhole(w, cert)
			fmt.Fprintln(w)
		default:
			fmt.Fprintf(w, " - %s\n", oneLine(cert))
			if i == 0 {
				writeKeyID(w, cert)
				fmt.Fprintln(w)
			}
		}
		if verbose || asPEM {
			fmt.Fprintf(w, "\n%s\n", EncodePEM(cert))
		}
	}
}

// EncodePEM returns certificates as PEM, one behind the other.
func EncodePEM(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, cert := range certs {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	}
	return b.Bytes()
}

const stamp = "2006-01-02 15:04:05 UTC"

// oneLine is a certificate in one line.
func oneLine(cert *x509.Certificate) string {
	algorithm, bits := keyOf(cert)
	return fmt.Sprintf("subject `%s', issuer `%s', serial 0x%s, %s key %d bits, signed using %s, activated `%s', expires `%s', pin-sha256=\"%s\"",
		distinguished(cert.RawSubject), distinguished(cert.RawIssuer), serial(cert), algorithm, bits, signatureName(cert.SignatureAlgorithm)+broken(cert),
		cert.NotBefore.UTC().Format(stamp), cert.NotAfter.UTC().Format(stamp), pin(cert))
}

func writeKeyID(w io.Writer, cert *x509.Certificate) {
	sum1, sum256 := sha1.Sum(cert.RawSubjectPublicKeyInfo), sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	fmt.Fprintf(w, "\tPublic Key ID:\n\t\tsha1:%x\n\t\tsha256:%x\n\tPublic Key PIN:\n\t\tpin-sha256:%s\n", sum1, sum256, pin(cert))
}

func pin(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// serial is a serial number in the bytes of its DER form.
func serial(cert *x509.Certificate) string {
	b := cert.SerialNumber.Bytes()
	if len(b) == 0 || b[0] >= 0x80 {
		b = append([]byte{0}, b...)
	}
	return hex.EncodeToString(b)
}

// keyOf names a certificate's kind of key, and its length in bits.
func keyOf(cert *x509.Certificate) (algorithm string, bits int) {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return "RSA", key.N.BitLen()
	case *ecdsa.PublicKey:
		return "EC/ECDSA", key.Params().BitSize
	case ed25519.PublicKey:
		return "EdDSA (Ed25519)", 256
	}
	return strings.ToUpper(cert.PublicKeyAlgorithm.String()), 0
}

// signatureName is what GnuTLS calls the signature of a certificate.
func signatureName(a x509.SignatureAlgorithm) string {
	switch a {
	case x509.PureEd25519:
		return "EdDSA-Ed25519"
	case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
		return "RSA-PSS-" + strings.TrimSuffix(a.String(), "-RSAPSS")
	}
	hash, key, ok := strings.Cut(a.String(), "-") // SHA256-RSA, ECDSA-SHA256
	if ok && strings.HasSuffix(key, "RSA") {
		return key + "-" + hash
	}
	return a.String()
}

func broken(cert *x509.Certificate) string {
	switch cert.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
		return " (broken!)"
	}
	return ""
}

// attributeKey is the key of a part of a name (RFC 4519).
func attributeKey(id asn1.ObjectIdentifier) string {
	switch id.String() {
	case "2.5.4.3":
		return "CN"
	case "2.5.4.4":
		return "surName"
	case "2.5.4.5":
		return "serialNumber"
	case "2.5.4.6":
		return "C"
	case "2.5.4.7":
		return "L"
	case "2.5.4.8":
		return "ST"
	case "2.5.4.9":
		return "street"
	case "2.5.4.10":
		return "O"
	case "2.5.4.11":
		return "OU"
	case "2.5.4.12":
		return "title"
	case "2.5.4.17":
		return "postalCode"
	case "2.5.4.42":
		return "givenName"
	case "0.9.2342.19200300.100.1.1":
		return "UID"
	case "0.9.2342.19200300.100.1.25":
		return "DC"
	case "1.2.840.113549.1.9.1":
		return "EMAIL"
	}
	return id.String()
}

// distinguished returns a name as a string (RFC 4514), the last part first. Nothing in it can
// change a terminal's state.
func distinguished(raw []byte) string {
	var name pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &name); err != nil {
		return "#" + hex.EncodeToString(raw)
	}
	var parts []string
	for i := len(name) - 1; i >= 0; i-- {
		var set []string
		for _, attribute := range name[i] {
			set = append(set, attributeKey(attribute.Type)+"="+escapeValue(fmt.Sprint(attribute.Value)))
		}
		parts = append(parts, strings.Join(set, "+"))
	}
	return strings.Join(parts, ",")
}

// escapeValue escapes what has a meaning in a name (RFC 4514, 2.4), and what can't be printed.
func escapeValue(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		last := i+n == len(s)
		switch {
		case r == utf8.RuneError && n == 1, !strconv.IsPrint(r):
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, "\\%02X", c)
			}
		case strings.ContainsRune(`,+"\<>;`, r), r == '#' && i == 0, r == ' ' && (i == 0 || last):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

const dateStamp = "Mon Jan 02 15:04:05 UTC 2006"

// writeWhole writes what is in a certificate, behind its first line.
func writeWhole(w io.Writer, cert *x509.Certificate) {
	fmt.Fprintf(w, "\tVersion: %d\n\tSerial Number (hex): %s\n\tIssuer: %s\n", cert.Version, serial(cert), distinguished(cert.RawIssuer))
	fmt.Fprintf(w, "\tValidity:\n\t\tNot Before: %s\n\t\tNot After: %s\n", date(cert.NotBefore), date(cert.NotAfter))
	fmt.Fprintf(w, "\tSubject: %s\n", distinguished(cert.RawSubject))
	writeKey(w, cert)
	writeExtensions(w, cert)
	fmt.Fprintf(w, "\tSignature Algorithm: %s\n", signatureName(cert.SignatureAlgorithm))
	if broken(cert) != "" {
		fmt.Fprintf(w, "warning: signed using a broken signature algorithm that can be forged.\n")
	}
	fmt.Fprintf(w, "\tSignature:\n")
	writeHex(w, "\t\t", cert.Signature)
	sum1, sum256 := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw)
	fmt.Fprintf(w, "Other Information:\n\tFingerprint:\n\t\tsha1:%x\n\t\tsha256:%x\n", sum1, sum256)
	writeKeyID(w, cert)
}

func date(t time.Time) string { return t.UTC().Format(dateStamp) }

func writeKey(w io.Writer, cert *x509.Certificate) {
	algorithm, bits := keyOf(cert)
	fmt.Fprintf(w, "\tSubject Public Key Algorithm: %s\n", algorithm)
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		fmt.Fprintf(w, "\tAlgorithm Security Level: %s (%d bits)\n\t\tModulus (bits %d):\n", rsaLevel(bits), bits, bits)
		writeHex(w, "\t\t\t", append([]byte{0}, key.N.Bytes()...))
		exponent := big.NewInt(int64(key.E)).Bytes()
		fmt.Fprintf(w, "\t\tExponent (bits %d):\n", 8*len(exponent))
		writeHex(w, "\t\t\t", exponent)
	case *ecdsa.PublicKey:
		fmt.Fprintf(w, "\tAlgorithm Security Level: %s (%d bits)\n\t\tCurve:\tSECP%dR1\n", ecLevel(bits), bits, bits)
		if point, err := key.Bytes(); err == nil {
			half := (len(point) - 1) / 2
			fmt.Fprintf(w, "\t\tX:\n")
			writeNumber(w, "\t\t\t", point[1:1+half])
			fmt.Fprintf(w, "\t\tY:\n")
			writeNumber(w, "\t\t\t", point[1+half:])
		}
	case ed25519.PublicKey:
		fmt.Fprintf(w, "\tAlgorithm Security Level: High (%d bits)\n\t\tCurve:\tEd25519\n\t\tX:\n", bits)
		writeHex(w, "\t\t\t", key)
	}
}

func rsaLevel(bits int) string {
	switch {
	case bits >= 3072:
		return "High"
	case bits >= 2048:
		return "Medium"
	case bits >= 1024:
		return "Low"
	}
	return "Insecure"
}

func ecLevel(bits int) string {
	if bits > 256 {
		return "Ultra"
	}
	return "High"
}

// writeNumber writes a positive number in DER's form.
func writeNumber(w io.Writer, indent string, b []byte) {
	if len(b) > 0 && b[0] >= 0x80 {
		b = append([]byte{0}, b...)
	}
	writeHex(w, indent, b)
}

// writeHex writes sixteen bytes a line.
func writeHex(w io.Writer, indent string, b []byte) {
	for len(b) > 0 {
		n := min(16, len(b))
		var parts []string
		for _, c := range b[:n] {
			parts = append(parts, fmt.Sprintf("%02x", c))
		}
		fmt.Fprintf(w, "%s%s\n", indent, strings.Join(parts, ":"))
		b = b[n:]
	}
}
