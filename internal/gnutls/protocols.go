package gnutls

import (
	"crypto/tls"
	"slices"
	"strings"
)

// FindProtocol returns tlsup's name of a protocol of --starttls-proto, and the service whose name stands
// for the port if none is given; "" for the protocol's own port as a number.
func FindProtocol(name string) (protocol, service string) {
	switch name = strings.ToLower(name); name {
	case "imap", "imap2":
		return "imap", "imap2"
	case "postgres", "postgresql":
		return name, "postgresql"
	case "ftps": // it is ftp on another port
		return "ftp", "ftps"
	case "https", "smtp", "submission", "pop3", "nntp", "sieve", "ldap", "ftp":
		return name, name
	}
	return name, ""
}

// PortFTPS is that of the service ftps.
const PortFTPS = "990"

// SingleShare returns the groups for which crypto/tls sends one key share: the hybrids come with
// another.
func SingleShare(groups []tls.CurveID) []tls.CurveID {
	return slices.DeleteFunc(slices.Clone(groups), func(id tls.CurveID) bool { return strings.Contains(groupName(id), "MLKEM") })
}
