package realserver

import (
	"strings"
	"testing"
)

// TestOldTLS speaks to servers as they were: refused by default, with a hint that names the option
// with which they are spoken to.
func TestOldTLS(t *testing.T) {
	openssl := func(options string) func(*testing.T) *Server {
		return func(t *testing.T) *Server { return OpenSSL(t, strings.Fields(options)...) }
	}
	gnutls := func(priority string) func(*testing.T) *Server {
		return func(t *testing.T) *Server { return GnuTLS(t, priority) }
	}
	for _, test := range []struct {
		name   string
		server func(*testing.T) *Server
		agreed string // what -v says
	}{
		{"TLS 1.0", openssl("-tls1 -cipher ECDHE-RSA-AES128-SHA:@SECLEVEL=0"), "TLS 1.0, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "},
		{"TLS 1.1", openssl("-tls1_1 -cipher ECDHE-RSA-AES128-SHA:@SECLEVEL=0"), "TLS 1.1, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "},
		{"RSA", openssl("-tls1_2 -cipher AES128-GCM-SHA256"), "TLS 1.2, TLS_RSA_WITH_AES_128_GCM_SHA256, RSA key exchange"},
		{"RSA and TLS 1.0", openssl("-tls1 -cipher AES128-SHA:@SECLEVEL=0"), "TLS 1.0, TLS_RSA_WITH_AES_128_CBC_SHA, RSA key exchange"},
		{"SHA-1", openssl("-tls1_2 -sigalgs RSA+SHA1 -cipher ECDHE-RSA-AES128-SHA:@SECLEVEL=0"), "TLS 1.2, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "},
		{"3DES", gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.0:-CIPHER-ALL:+3DES-CBC:-KX-ALL:+RSA"), "TLS 1.0, TLS_RSA_WITH_3DES_EDE_CBC_SHA, RSA key exchange"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := test.server(t)
			const request, answer = "GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200"
			trusting := []string{"--x509cafile", s.CAFile(), s.target("tls")}
			tlsup(t, request, trusting...).must(t, 5, "", ": handshake: ", "tlsup: hint: ", "--legacy")
			tlsup(t, request, append(trusting, "--legacy", "-v")...).must(t, 0, answer, "warning: --legacy", test.agreed)
		})
	}
}
