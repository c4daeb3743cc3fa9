package negotiate

// TLS from the first byte, whatever is spoken inside. The port is HTTPS's, as with
// every tool of this kind.
var implicitTLS = register(&Protocol{
	Name:    "tls",
	Family:  General,
	Title:   "TLS from the first byte",
	Port:    443,
	Specs:   []string{"RFC 8446"},
	Servers: []string{"OpenSSL", "GnuTLS"},
})
