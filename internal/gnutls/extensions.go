package gnutls

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"strings"
)

// keyUsages are the uses of a key (RFC 5280, 4.2.1.3), in the order of their bits.
var keyUsages = []struct {
	bit  x509.KeyUsage
	text string
}{
	{x509.KeyUsageDigitalSignature, "Digital signature."},
	{x509.KeyUsageContentCommitment, "Non repudiation."},
	{x509.KeyUsageKeyEncipherment, "Key encipherment."},
	{x509.KeyUsageDataEncipherment, "Data encipherment."},
	{x509.KeyUsageKeyAgreement, "Key agreement."},
	{x509.KeyUsageCertSign, "Certificate signing."},
	{x509.KeyUsageCRLSign, "CRL signing."},
	{x509.KeyUsageEncipherOnly, "Key encipher only."},
	{x509.KeyUsageDecipherOnly, "Key decipher only."},
}

// purpose names what a certificate may be used for (RFC 5280, 4.2.1.12).
func purpose(u x509.ExtKeyUsage) string {
	switch u {
	case x509.ExtKeyUsageServerAuth:
		return "TLS WWW Server."
	case x509.ExtKeyUsageClientAuth:
		return "TLS WWW Client."
	case x509.ExtKeyUsageCodeSigning:
		return "Code signing."
	case x509.ExtKeyUsageEmailProtection:
		return "Email protection."
	case x509.ExtKeyUsageTimeStamping:
		return "Time stamping."
	case x509.ExtKeyUsageOCSPSigning:
		return "OCSP signing."
	case x509.ExtKeyUsageAny:
		return "Any purpose."
	}
	return u.OID().String()
}

// writeExtensions writes the extensions in a certificate's order.
func writeExtensions(w io.Writer, cert *x509.Certificate) {
	if len(cert.Extensions) == 0 {
		return
	}
	fmt.Fprintf(w, "\tExtensions:\n")
	for _, e := range cert.Extensions {
		title, lines := extension(cert, e)
		critical := "not critical"
		if e.Critical {
			critical = "critical"
		}
		fmt.Fprintf(w, "\t\t%s (%s):\n", title, critical)
		for _, line := range lines {
			fmt.Fprintf(w, "\t\t\t%s\n", line)
		}
	}
}

// extension returns the title of an extension and the lines that it says.
func extension(cert *x509.Certificate, e pkix.Extension) (title string, lines []string) {
	switch e.Id.String() {
	case "2.5.29.14":
		return "Subject Key Identifier", []string{fmt.Sprintf("%x", cert.SubjectKeyId)}
	case "2.5.29.15":
		for _, usage := range keyUsages {
			if cert.KeyUsage&usage.bit != 0 {
				lines = append(lines, usage.text)
			}
		}
		return "Key Usage", lines
	case "2.5.29.17":
		return "Subject Alternative Name", alternativeNames(cert)
	case "2.5.29.19":
		lines = append(lines, "Certificate Authority (CA): "+strings.ToUpper(fmt.Sprint(cert.IsCA)))
		if cert.MaxPathLen > 0 || cert.MaxPathLenZero {
			lines = append(lines, fmt.Sprintf("Path Length Constraint: %d", cert.MaxPathLen))
		}
		return "Basic Constraints", lines
	case "2.5.29.31":
		for _, uri := range cert.CRLDistributionPoints {
			lines = append(lines, "URI: "+escapeValue(uri))
		}
		return "CRL Distribution points", lines
	case "2.5.29.32":
		for _, id := range cert.PolicyIdentifiers {
			lines = append(lines, id.String())
		}
		return "Certificate Policies", lines
	case "2.5.29.35":
		return "Authority Key Identifier", []string{fmt.Sprintf("%x", cert.AuthorityKeyId)}
	case "2.5.29.37":
		for _, usage := range cert.ExtKeyUsage {
			lines = append(lines, purpose(usage))
		}
		for _, id := range cert.UnknownExtKeyUsage {
			lines = append(lines, id.String())
		}
		return "Key Purpose", lines
	case "1.3.6.1.5.5.7.1.1":
		for _, uri := range cert.OCSPServer {
			lines = append(lines, "Access Method: 1.3.6.1.5.5.7.48.1 (id-ad-ocsp)", "Access Location URI: "+escapeValue(uri))
		}
		for _, uri := range cert.IssuingCertificateURL {
			lines = append(lines, "Access Method: 1.3.6.1.5.5.7.48.2 (id-ad-caIssuers)", "Access Location URI: "+escapeValue(uri))
		}
		return "Authority Information Access", lines
	}
	return "Unknown extension " + e.Id.String(), []string{fmt.Sprintf("Hexdump: %x", e.Value)}
}

// alternativeNames are the names in a certificate (RFC 5280, 4.2.1.6).
func alternativeNames(cert *x509.Certificate) (lines []string) {
	for _, name := range cert.DNSNames {
		lines = append(lines, "DNSname: "+escapeValue(name))
	}
	for _, ip := range cert.IPAddresses {
		lines = append(lines, "IPAddress: "+ip.String())
	}
	for _, address := range cert.EmailAddresses {
		lines = append(lines, "RFC822Name: "+escapeValue(address))
	}
	for _, uri := range cert.URIs {
		lines = append(lines, "URI: "+escapeValue(uri.String()))
	}
	return lines
}
