package gnutls

import (
	"crypto/tls"
	"slices"
	"strings"
)

// FindProtocol returns tlsup's name of a protocol of --starttls-proto, and what counts if no port is given:
// the service whose name stands for it, "" for its number, and the port, "" for the protocol's own.
func FindProtocol(name string) (protocol, service, port string) {
	switch name = strings.ToLower(name); name {
	case "imap", "imap2":
		return "imap", "imap2", ""
	case "postgres", "postgresql":
		return name, "postgresql", ""
	case "ftps": // it is ftp on another port
		return "ftp", "ftps", "990"
	case "https", "smtp", "submission", "pop3", "nntp", "sieve", "ldap", "ftp":
		return name, name, ""
	}
	return name, "", ""
}

// SingleShare returns the groups for which crypto/tls sends one key share: the hybrids come with
// another.
func SingleShare(groups []tls.CurveID) []tls.CurveID {
	return slices.DeleteFunc(slices.Clone(groups), func(id tls.CurveID) bool { return strings.Contains(groupName(id), "MLKEM") })
}
