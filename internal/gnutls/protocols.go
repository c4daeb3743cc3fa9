package gnutls

import (
	"crypto/tls"
	"slices"
	"strings"
)

// ProtocolName returns tlsup's name of a protocol of --starttls-proto, which mostly is the same.
func ProtocolName(name string) string {
	if strings.EqualFold(name, "imap2") {
		return "imap"
	}
	return name
}

// SingleShare returns the groups for which crypto/tls sends one key share: the hybrids come with
// another.
func SingleShare(groups []tls.CurveID) []tls.CurveID {
	return slices.DeleteFunc(slices.Clone(groups), func(id tls.CurveID) bool { return strings.Contains(groupName(id), "MLKEM") })
}
