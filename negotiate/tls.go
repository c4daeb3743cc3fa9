package negotiate

// TLS from the first byte, whatever is spoken inside. The port is HTTPS's, as with
// every tool of this kind.
var implicitTLS = &Protocol{
	Name:    "tls",
	Family:  General,
	Title:   "TLS from the first byte",
	Port:    443,
	Specs:   []string{"RFC 8446"},
	Note:    "Who begins is up to what is spoken inside: all that the server sends reaches the user.",
	Servers: []string{"OpenSSL", "GnuTLS"},
}

var _ = register(implicitTLS)
