package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"unicode/utf8"

	"tlsup/internal/quote"
)

// How much of a certificate's names is shown.
const (
	maxAttributes = 8   // parts of a subject
	maxValue      = 100 // bytes of a name or of a part of a subject, before escaping
	maxNames      = 5   // alternative names
)

// attributes are the usual types (RFC 4519) with the keys that people know.
func attributes() map[string]string {
	return map[string]string{
		"2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street",
		"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.17": "postalCode",
		"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress",
	}
}

// distinguished returns a subject or issuer, common name first, escaped; "" if it is empty.
func distinguished(n pkix.Name) string {
	var parts []string
	for i := len(n.Names) - 1; i >= 0; i-- {
		if len(parts) == maxAttributes {
			parts = append(parts, "...")
			break
		}
		key := n.Names[i].Type.String()
		if short, ok := attributes()[key]; ok {
			key = short
		}
		parts = append(parts, key+"="+value(fmt.Sprint(n.Names[i].Value)))
	}
	return strings.Join(parts, ",")
}

// value escapes and cuts one name, and quotes it if it would not stand out from its
// neighbours.
func value(s string) string {
	s = cut(s, maxValue)
	escaped := quote.Escape(s)
	if s == "" || s != strings.TrimSpace(s) || strings.ContainsAny(s, `,;+="<>`) {
		return `"` + strings.ReplaceAll(escaped, `"`, `\"`) + `"`
	}
	return escaped
}

// cut shortens s to n bytes, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	end := n
	for end > n-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}

// subject says whose certificate it is.
func subject(cert *x509.Certificate) string {
	if name := distinguished(cert.Subject); name != "" {
		return name
	}
	if names := altNames(cert); len(names) > 0 {
		return value(names[0]) // an empty subject is in order then (RFC 5280, 4.2.1.6)
	}
	return fmt.Sprintf("(no subject, serial number %x)", cert.SerialNumber)
}

// issuer says who made a certificate.
func issuer(cert *x509.Certificate) string {
	if name := distinguished(cert.Issuer); name != "" {
		return name
	}
	return "(an issuer without a name)"
}

// altNames are the names that a certificate can be verified for, raw.
func altNames(cert *x509.Certificate) []string {
	var names []string
	names = append(names, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// list joins names, escaped, and cuts a long list.
func list(names []string) string {
	var shown []string
	for i, name := range names {
		if i == maxNames && len(names) > maxNames+1 {
			return strings.Join(shown, ", ") + fmt.Sprintf(" and %d more", len(names)-maxNames)
		}
		shown = append(shown, value(name))
	}
	return strings.Join(shown, ", ")
}
