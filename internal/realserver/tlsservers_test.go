package realserver

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"tlsup/internal/jsontest"
	"tlsup/internal/report"
)

// A tlsClient speaks to a server of TLS with options, in which $DIR is the server's directory.
type tlsClient struct {
	options string
	status  int
	// words are what is agreed on, as -v says it; and what else is said, or of the error and its hint.
	words []string
	// warns tells that words are of a warning in the pipe.
	warns string
}

const (
	clientCert   = "--x509certfile $DIR/client.pem --x509keyfile $DIR/client.key"
	strangerCert = "--x509certfile $DIR/stranger.pem --x509keyfile $DIR/stranger.key"
	outdatedCert = "--x509certfile $DIR/outdated.pem --x509keyfile $DIR/outdated.key"
	wantsClient  = "-Verify 1 -verify_return_error -CAfile $DIR/ca.pem "
	gnutlsClient = " --require-client-cert --verify-client-cert --x509cafile $DIR/ca.pem"
	hintNone     = "the server asked for a certificate, and there was none to give: --x509certfile FILE --x509keyfile FILE"
	only12       = "NORMAL:-VERS-ALL:+VERS-TLS1.2"
	only13       = "NORMAL:-VERS-ALL:+VERS-TLS1.3"
)

// tlsServers are servers of OpenSSL (options that begin with a hyphen) and GnuTLS (that begin with a
// priority string), and what becomes of those who speak to them. The versions that are refused by
// default are in TestOldTLS.
var tlsServers = []struct {
	name, options string
	clients       []tlsClient
}{
	{"TLS 1.2", "-tls1_2 -groups X25519", []tlsClient{
		{"", 0, []string{"TLS 1.2, TLS_ECDHE_RSA_WITH_AES_", ", X25519, no ALPN"}, ""},
		{"--tls-min 1.3", 5, []string{"protocol version", "the server knows no version of TLS as new as 1.3: a lower --tls-min allows an older one"}, ""},
		{"--ciphers ECDHE-RSA-CHACHA20-POLY1305", 0, []string{"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"}, ""},
		{"--ciphers ECDHE-ECDSA-AES128-GCM-SHA256", 5, []string{"handshake failure", "--ciphers and --groups name others"}, ""},
	}},
	{"TLS 1.3", "-tls1_3 -groups X25519", []tlsClient{
		{"", 0, []string{"TLS 1.3, TLS_AES_", ", X25519, no ALPN"}, ""},
		{"--tls-max 1.2", 5, []string{"protocol version", "--tls-max the new ones again"}, ""},
		{"--groups P-256", 5, []string{"handshake failure", "--ciphers and --groups name others"}, ""},
		{"--groups X25519MLKEM768", 5, []string{"handshake failure", "--ciphers and --groups name others"}, ""},
	}},
	{"TLS 1.0", "-tls1 -cipher ECDHE-RSA-AES128-SHA:@SECLEVEL=0", []tlsClient{
		{"", 5, []string{"protocol version", "--legacy or --tls-min 1.0 allows old ones"}, ""},
		{"--tls-min 1.0", 0, []string{"TLS 1.0, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"}, ""},
	}},
	{"new versions", "-groups X25519", []tlsClient{
		{"--tls-min 1.0 --tls-max 1.1", 5, []string{"internal error", "its security level rules out the old versions: leave out --tls-max; else internal_error: "}, ""},
	}},
	{"all versions", "-cipher ALL:@SECLEVEL=0", []tlsClient{
		{"", 0, []string{"TLS 1.3, "}, ""},
		{"--tls-min 1.1 --tls-max 1.1", 0, []string{"TLS 1.1, "}, ""},
	}},
	{"RSA key exchange", "-tls1_2 -cipher AES128-GCM-SHA256", []tlsClient{
		{"", 5, []string{"handshake failure", "--legacy allows what old servers need"}, ""},
		{"--legacy", 0, []string{"TLS 1.2, TLS_RSA_WITH_AES_128_GCM_SHA256, RSA key exchange"}, "warning: --legacy allows old cryptography"},
		{"--ciphers AES128-GCM-SHA256", 0, []string{"TLS 1.2, TLS_RSA_WITH_AES_128_GCM_SHA256, RSA key exchange"}, ""},
	}},
	{"P-256", "-groups P-256", []tlsClient{
		{"", 0, []string{"TLS 1.3, ", ", P-256, "}, ""},
		{"--tls-max 1.2", 0, []string{"TLS 1.2, ", ", P-256, "}, ""},
		{"--groups X25519 --tls-max 1.2", 5, []string{"handshake failure", "--ciphers and --groups name others"}, ""},
	}},
	{"X448", "-groups X448", []tlsClient{
		{"", 5, []string{"handshake failure", "no version, cipher suite, group or kind of key in common"}, ""},
	}},
	{"finite fields", "-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256", []tlsClient{
		{"", 5, []string{"handshake failure", "no version, cipher suite, group or kind of key in common"}, ""},
	}},
	{"client certificate", wantsClient + "-tls1_3", []tlsClient{
		{"", 5, []string{"certificate required", "the server wants a certificate; give the server a certificate that it accepts: --x509certfile FILE"}, ""},
		{clientCert, 0, []string{"TLS 1.3, "}, ""},
		{strangerCert, 5, []string{"unknown certificate authority", "does not know the authority of the client's certificate"}, ""},
		{outdatedCert, 5, []string{"expired certificate", "the client's certificate has expired, the server says"}, ""},
	}},
	{"client certificate with TLS 1.2", wantsClient + "-tls1_2", []tlsClient{
		{"", 5, []string{"handshake failure", hintNone}, ""},
		{clientCert, 0, []string{"TLS 1.2, "}, ""},
		{strangerCert, 5, []string{"unknown certificate authority", "does not know the authority of the client's certificate"}, ""},
		{outdatedCert, 5, []string{"expired certificate", "the client's certificate has expired, the server says"}, ""},
	}},
	{"staple", "-status_file $DIR/good.ocsp", []tlsClient{{"", 0, nil, ""}, {"--ocsp", 0, nil, ""}}},
	{"staple that revokes", "-status_file $DIR/revoked.ocsp", []tlsClient{
		{"", 6, []string{"certificate CN=mail.example.org was revoked on 2", "(key compromise), says the stapled OCSP response", "get another certificate"}, ""},
		{"--tls-max 1.2", 6, []string{"was revoked on 2"}, ""},
	}},
	{"staple that is old", "-status_file $DIR/old.ocsp", []tlsClient{
		{"", 0, nil, "warning: the stapled OCSP response is ignored: it is out of date since 2"},
	}},
	{"ALPN", "-alpn http/1.1", []tlsClient{
		{"--alpn http/1.1", 0, []string{", ALPN http/1.1"}, ""},
		{"--alpn h2 --alpn http/1.1", 0, []string{", ALPN http/1.1"}, ""},
		{"--alpn imap", 5, []string{"no application protocol", "the server speaks none of the protocols that were offered: --alpn NAME offers another"}, ""},
		{"", 0, []string{", no ALPN"}, ""},
	}},
	{"name", "-servername other.example.org -servername_fatal -cert2 $DIR/cert.pem -key2 $DIR/key.pem", []tlsClient{
		{"--sni-hostname other.example.org", 0, nil, ""},
		{"--sni-hostname mail.example.org", 5, []string{"unrecognized name", "--sni-hostname NAME sends another"}, ""},
	}},

	{"GnuTLS, TLS 1.2", only12, []tlsClient{
		{"", 0, []string{"TLS 1.2, TLS_ECDHE_RSA_WITH_", "no ALPN"}, ""},
		{"--tls-min 1.3", 5, []string{"handshake failure", "no version, cipher suite, group or kind of key in common"}, ""},
	}},
	{"GnuTLS, TLS 1.3", only13 + ":-GROUP-ALL:+GROUP-SECP384R1", []tlsClient{
		{"", 0, []string{"TLS 1.3, ", ", P-384, "}, ""},
		{"--tls-max 1.2", 5, []string{"protocol version", "--tls-max the new ones again"}, ""},
		{"--groups X25519", 5, []string{"--groups"}, ""},
	}},
	{"GnuTLS, 3DES", only12 + ":-CIPHER-ALL:+3DES-CBC:-KX-ALL:+RSA", []tlsClient{
		{"", 5, []string{"handshake failure", "--legacy allows what old servers need"}, ""},
		{"--legacy", 0, []string{"TLS 1.2, TLS_RSA_WITH_3DES_EDE_CBC_SHA, RSA key exchange"}, "warning: --legacy allows old cryptography"},
	}},
	{"GnuTLS, client certificate", only13 + gnutlsClient, []tlsClient{
		{"", 5, []string{"certificate required", "the server wants a certificate; give the server a certificate that it accepts: --x509certfile FILE"}, ""},
		{clientCert, 0, []string{"TLS 1.3, "}, ""},
		{strangerCert, 5, []string{"--x509certfile FILE"}, ""},
	}},
	{"GnuTLS, client certificate with TLS 1.2", only12 + gnutlsClient, []tlsClient{
		{"", 5, []string{"error decoding message", hintNone + "; else decode_error: "}, ""}, // which is odd
		{clientCert, 0, []string{"TLS 1.2, "}, ""},
	}},
	{"GnuTLS, staple", "NORMAL --ocsp-response $DIR/good.ocsp", []tlsClient{{"", 0, nil, ""}}},
	{"GnuTLS, staple that revokes", "NORMAL --ocsp-response $DIR/revoked.ocsp --ignore-ocsp-response-errors", []tlsClient{
		{"", 6, []string{"certificate CN=mail.example.org was revoked on 2"}, ""},
	}},
	{"GnuTLS, ALPN", "NORMAL --alpn http/1.1 --alpn-fatal", []tlsClient{
		{"--alpn http/1.1", 0, []string{", ALPN http/1.1"}, ""},
		{"--alpn imap", 5, []string{"no application protocol", "--alpn NAME offers another"}, ""},
	}},
}

// TestTLSServers speaks to servers in many settings, through the pipe and with check.
func TestTLSServers(t *testing.T) {
	schema := jsontest.Compile(t, report.Schema)
	for _, test := range tlsServers {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			starts := GnuTLS
			if strings.HasPrefix(test.options, "-") {
				starts = OpenSSL
			}
			s := starts(t, strings.Fields(test.options)...)
			for _, client := range test.clients {
				client.pipes(t, s)
				client.checks(t, s, schema)
			}
		})
	}
}

func (c *tlsClient) args(s *Server) []string {
	return append(strings.Fields(strings.ReplaceAll(c.options, "$DIR", s.dir)), "--x509cafile", s.CAFile(), s.target("tls"))
}

func (c *tlsClient) pipes(t *testing.T, s *Server) {
	t.Helper()
	const request, answer = "GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200"
	got := tlsup(t, request, append(c.args(s), "-v")...)
	words := append([]string{c.warns}, c.words...)
	switch c.status {
	case 0:
		got.must(t, 0, answer, append(words, "verified for 127.0.0.1")...)
	case 5:
		got.must(t, 5, "", append(words, ": handshake: ", "\ntlsup: hint: ")...)
	default:
		got.must(t, c.status, "", append(words, ": verify: ", "\ntlsup: hint: ")...)
	}
}

// checks holds a report against the schema, and to the words.
func (c *tlsClient) checks(t *testing.T, s *Server, schema *jsontest.Schema) {
	t.Helper()
	got := tlsup(t, "", append([]string{"check", "--json"}, c.args(s)...)...)
	schema.Lines(t, got.stdout, 1)
	var r report.Report
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil {
		t.Fatal(err)
	}
	var said []string
	switch {
	case r.Error != nil:
		said = []string{r.Error.Reason, *r.Error.Hint}
	case r.TLS != nil:
		group, alpn := "RSA key exchange", "no ALPN"
		if r.TLS.Group != nil {
			group = *r.TLS.Group
		}
		if r.TLS.ALPN != nil {
			alpn = "ALPN " + *r.TLS.ALPN
		}
		said = []string{r.TLS.Version, r.TLS.CipherSuite, group, alpn}
		if sends := strings.Contains(c.options, "--x509certfile"); r.TLS.ClientCertificate.Sent != sends || !r.TLS.ClientCertificate.Requested && sends {
			t.Errorf("%s: the client's certificate: %+v", c.options, r.TLS.ClientCertificate)
		}
	}
	text := strings.Join(said, ", ")
	for _, word := range c.words {
		if !strings.Contains(text, word) {
			t.Errorf("check %s says %q, and not %q", c.options, text, word)
		}
	}
	if got.status != c.status || r.Status != c.status || !strings.Contains(got.stderr, c.warns) || c.warns == "" && got.stderr != "" {
		t.Errorf("check %s: status %d, and %d in the report, not %d; stderr %q", c.options, got.status, r.Status, c.status, got.stderr)
	}
}

// TestReportedStaples has check tell what became of a staple.
func TestReportedStaples(t *testing.T) {
	for file, want := range map[string]string{
		"good.ocsp": "  OCSP       stapled response: good, of 2", "revoked.ocsp": "  OCSP       stapled response: revoked since 2", "old.ocsp": "; it is out of date\n",
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			s := OpenSSL(t, "-status_file", "$DIR/"+file)
			if got := tlsup(t, "", "check", "--x509cafile", s.CAFile(), s.target("tls")); !strings.Contains(got.stdout, want) {
				t.Errorf("no %q in\n%s%s", want, got.stdout, got.stderr)
			}
		})
	}
}

// TestResumption has sessions resumed from run to run, where the server gives tickets.
func TestResumption(t *testing.T) {
	for _, test := range []struct {
		name    string
		server  func(testing.TB, ...string) *Server
		options string
		second  string
	}{
		{"TLS 1.3", OpenSSL, "-tls1_3", "resumed session"},
		{"TLS 1.2", OpenSSL, "-tls1_2", "resumed session"},
		{"TLS 1.3 without tickets", OpenSSL, "-tls1_3 -num_tickets 0", "new session"},
		{"TLS 1.2 without tickets", OpenSSL, "-tls1_2 -no_ticket", "new session"}, // crypto/tls knows no session IDs
		{"GnuTLS, TLS 1.3", GnuTLS, only13, "resumed session"},
		{"GnuTLS, TLS 1.2", GnuTLS, only12, "resumed session"},
		{"GnuTLS without tickets", GnuTLS, only13 + " --noticket", "new session"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := test.server(t, strings.Fields(test.options)...)
			file := filepath.Join(t.TempDir(), "sessions")
			for _, want := range []string{"new session", test.second} {
				got := tlsup(t, "GET / HTTP/1.0\r\n\r\n", "-v", "--session", file, "--x509cafile", s.CAFile(), s.target("tls"))
				got.must(t, 0, "HTTP/1.0 200", want, "verified for 127.0.0.1")
			}
		})
	}
}
