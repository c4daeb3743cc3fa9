package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tlsup/internal/testca"
)

func TestVersions(t *testing.T) {
	for _, test := range []struct {
		min, max string
		server   uint16 // the server's highest
		want     uint16 // 0: no handshake
	}{
		{"", "", tls.VersionTLS13, tls.VersionTLS13},
		{"", "", tls.VersionTLS12, tls.VersionTLS12},
		{"", "", tls.VersionTLS11, 0},
		{"", "1.2", tls.VersionTLS13, tls.VersionTLS12},
		{"1.3", "", tls.VersionTLS12, 0},
		{"1.0", "", tls.VersionTLS10, tls.VersionTLS10},
		{"1.1", "", tls.VersionTLS11, tls.VersionTLS11},
		{"1.1", "", tls.VersionTLS10, 0},
		{"1.0", "1.1", tls.VersionTLS13, tls.VersionTLS11},
	} {
		server, roots := newServer(t)
		server.MinVersion, server.MaxVersion = tls.VersionTLS10, test.server
		c := load(t, Settings{CAFiles: []string{roots}, TLSMin: test.min, TLSMax: test.max})
		o := handshake(t, server, c.Client(context.Background(), host, nil))
		switch {
		case (o.clientErr == nil) != (test.want != 0) || o.client.Version != test.want:
			t.Errorf("%q to %q with a server up to %x: version is %x, error %v; want version %x", test.min, test.max, test.server, o.client.Version, o.clientErr, test.want)
		case test.want == 0:
			checkText(t, HandshakeHint(o.clientErr), "--tls-min 1.0")
		}
	}
}

// TestLimit: a protocol's own limits narrow the versions, and never widen them.
func TestLimit(t *testing.T) {
	const v11, v12, v13 = tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13
	for _, test := range []struct {
		settings Settings
		min, max uint16
		want     uint16 // 0: an error
		err      string
	}{
		{Settings{}, 0, 0, v13, ""},
		{Settings{}, 0, v13, v13, ""},
		{Settings{}, 0, v12, v12, ""},
		{Settings{}, v13, 0, v13, ""},
		{Settings{TLSMin: "1.0", TLSMax: "1.1"}, 0, v12, v11, ""},
		{Settings{TLSMin: "1.0", TLSMax: "1.2"}, v12, 0, v12, ""},
		{Settings{Ciphers: "ECDHE-ECDSA-AES128-SHA", TLSMax: "1.2"}, v12, 0, v12, ""},
		{Settings{Groups: "X25519MLKEM768,X25519"}, 0, v12, v12, ""},
		{Settings{TLSMin: "1.3"}, 0, v12, 0, "--tls-min 1.3: tds allows TLS 1.2 at most"},
		{Settings{Groups: "X25519MLKEM768"}, 0, v12, 0, "--groups names only groups of TLS 1.3: tds allows TLS 1.2 at most"},
		{Settings{TLSMax: "1.2"}, v13, 0, 0, "--tls-max 1.2: tds is for TLS 1.3 and newer"},
		{Settings{Ciphers: "ECDHE-ECDSA-AES128-SHA"}, v13, 0, 0, "--ciphers names only suites before TLS 1.3: tds is for TLS 1.3 and newer"},
	} {
		server, roots := newServer(t)
		server.MinVersion = tls.VersionTLS10
		test.settings.CAFiles = []string{roots}
		c := load(t, test.settings)
		limited, err := c.Limit("tds", test.min, test.max)
		if test.want == 0 {
			if err == nil || err.Error() != test.err {
				t.Errorf("%+v, %x to %x: error %v, want %q", test.settings, test.min, test.max, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if o := handshake(t, server, limited.Client(context.Background(), host, nil)); o.client.Version != test.want {
			t.Errorf("%+v, %x to %x: version is %x, want %x", test.settings, test.min, test.max, o.client.Version, test.want)
		}
		if o := handshake(t, server, c.Client(context.Background(), host, nil)); test.settings.TLSMax == "" && o.client.Version != tls.VersionTLS13 {
			t.Errorf("%+v, %x to %x: the settings themselves were changed", test.settings, test.min, test.max)
		}
		if test.min == 0 {
			continue
		}
		server.MaxVersion = test.min - 1
		if o := handshake(t, server, limited.Client(context.Background(), host, nil)); !IsVersion(o.clientErr) {
			t.Errorf("%+v, %x to %x: from an older server came %v", test.settings, test.min, test.max, o.clientErr)
		}
	}
}

func TestCiphers(t *testing.T) {
	for _, test := range []struct {
		list string
		want []uint16
	}{
		{"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}},
		{"ecdhe-ecdsa-chacha20-poly1305", []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}},
		// RC4 and AES128-SHA256 exist, but are not offered unless they are asked for.
		{"RC4-SHA:AES128-SHA256, ECDHE-ECDSA-AES128-SHA,,RC4-SHA", []uint16{
			tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
		}},
	} {
		server, roots := newServer(t)
		c := load(t, Settings{CAFiles: []string{roots}, Ciphers: test.list, TLSMax: "1.2"})
		o := handshake(t, server, c.Client(context.Background(), host, nil))
		if o.clientErr != nil {
			t.Fatal(o.clientErr)
		}
		offered, want := slices.Sorted(slices.Values(o.offered.CipherSuites)), slices.Sorted(slices.Values(test.want))
		if !slices.Equal(offered, want) {
			t.Errorf("%s: offered are %x, want %x", test.list, offered, want)
		}
		if !slices.Contains(test.want, o.client.CipherSuite) {
			t.Errorf("%s: the suite is %x", test.list, o.client.CipherSuite)
		}
		checkText(t, c.Describe(o.client, host), "TLS 1.2, "+tls.CipherSuiteName(o.client.CipherSuite)+", X25519, ")
	}
}

// OpenSSL's names, as "openssl ciphers -stdname" has them.
func TestOpenSSLNames(t *testing.T) {
	want := map[string]string{
		"TLS_RSA_WITH_RC4_128_SHA":                      "RC4-SHA",
		"TLS_RSA_WITH_3DES_EDE_CBC_SHA":                 "DES-CBC3-SHA",
		"TLS_RSA_WITH_AES_128_CBC_SHA":                  "AES128-SHA",
		"TLS_RSA_WITH_AES_256_CBC_SHA":                  "AES256-SHA",
		"TLS_RSA_WITH_AES_128_CBC_SHA256":               "AES128-SHA256",
		"TLS_RSA_WITH_AES_128_GCM_SHA256":               "AES128-GCM-SHA256",
		"TLS_RSA_WITH_AES_256_GCM_SHA384":               "AES256-GCM-SHA384",
		"TLS_ECDHE_ECDSA_WITH_RC4_128_SHA":              "ECDHE-ECDSA-RC4-SHA",
		"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA":          "ECDHE-ECDSA-AES128-SHA",
		"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA":          "ECDHE-ECDSA-AES256-SHA",
		"TLS_ECDHE_RSA_WITH_RC4_128_SHA":                "ECDHE-RSA-RC4-SHA",
		"TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA":           "ECDHE-RSA-DES-CBC3-SHA",
		"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA":            "ECDHE-RSA-AES128-SHA",
		"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA":            "ECDHE-RSA-AES256-SHA",
		"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256":       "ECDHE-ECDSA-AES128-SHA256",
		"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256":         "ECDHE-RSA-AES128-SHA256",
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256":         "ECDHE-RSA-AES128-GCM-SHA256",
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256":       "ECDHE-ECDSA-AES128-GCM-SHA256",
		"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384":         "ECDHE-RSA-AES256-GCM-SHA384",
		"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384":       "ECDHE-ECDSA-AES256-GCM-SHA384",
		"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256":   "ECDHE-RSA-CHACHA20-POLY1305",
		"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
		"TLS_AES_128_GCM_SHA256":                        "TLS_AES_128_GCM_SHA256",
		"TLS_AES_256_GCM_SHA384":                        "TLS_AES_256_GCM_SHA384",
		"TLS_CHACHA20_POLY1305_SHA256":                  "TLS_CHACHA20_POLY1305_SHA256",
	}
	for _, suite := range allSuites() {
		if got := opensslName(suite.Name); got != want[suite.Name] {
			t.Errorf("%s is %q, want %q", suite.Name, got, want[suite.Name])
		}
	}
}

func TestGroups(t *testing.T) {
	for _, test := range []struct {
		list string
		max  string
		want tls.CurveID
		name string
	}{
		{"", "", tls.X25519MLKEM768, "X25519MLKEM768"},
		{"x25519", "", tls.X25519, "X25519"},
		{"P-256", "", tls.CurveP256, "P-256"},
		{"prime256v1", "1.2", tls.CurveP256, "P-256"},
		{"SECP384R1", "", tls.CurveP384, "P-384"},
		{"p521", "", tls.CurveP521, "P-521"},
		{"secp256r1mlkem768", "", tls.SecP256r1MLKEM768, "SecP256r1MLKEM768"},
		{"SecP384r1MLKEM1024 : P-521", "", tls.SecP384r1MLKEM1024, "SecP384r1MLKEM1024"},
		{"X25519MLKEM768:P-384", "1.2", tls.CurveP384, "P-384"},
	} {
		server, roots := newServer(t)
		c := load(t, Settings{CAFiles: []string{roots}, Groups: test.list, TLSMax: test.max})
		o := handshake(t, server, c.Client(context.Background(), host, nil))
		if o.clientErr != nil || o.client.CurveID != test.want {
			t.Errorf("%s: the group is %v, error %v; want %v", test.list, o.client.CurveID, o.clientErr, test.want)
		}
		checkText(t, c.Describe(o.client, host), ", "+test.name+", no ALPN")
	}
}

func TestRSAKeyExchange(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Test Root"))
	key := parseKey(findKey(read(t, "pkcs1.key")).Bytes)
	cert := must[tls.Certificate](t)(ca.IssueFor(key, []string{host}, nil))
	server := &tls.Config{Certificates: []tls.Certificate{cert}, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}
	c := load(t, Settings{CAFiles: []string{write(t, "root.pem", ca.PEM())}, Ciphers: "AES128-GCM-SHA256", TLSMax: "1.2"})
	o := handshake(t, server, c.Client(context.Background(), host, nil))
	if o.clientErr != nil {
		t.Fatal(o.clientErr)
	}
	checkText(t, c.Describe(o.client, host), "TLS 1.2, TLS_RSA_WITH_AES_128_GCM_SHA256, RSA key exchange, ")
}

func TestSNI(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, test := range []struct {
		sni        *string
		verifyName string
		host       string
		want       string
	}{
		{nil, "", host, host},
		{nil, "", host + ".", host},
		{nil, "", "127.0.0.1", ""},
		{nil, host, "192.0.2.1", host},
		{text("other.example.org"), "", host, "other.example.org"},
		{text("other.example.org"), "", "127.0.0.1", "other.example.org"},
		{text(""), "", host, ""},
	} {
		server, roots := newServer(t)
		c := load(t, Settings{CAFiles: []string{roots}, SNI: test.sni, VerifyName: test.verifyName})
		o := handshake(t, server, c.Client(context.Background(), test.host, nil))
		if o.clientErr != nil {
			t.Errorf("%+v: %v", test, o.clientErr)
		}
		if o.offered.ServerName != test.want {
			t.Errorf("server saw %q, want %q", o.offered.ServerName, test.want)
		}
		verified := test.host
		if test.verifyName != "" {
			verified = test.verifyName
		}
		checkText(t, c.Describe(o.client, test.host), "verified for "+strings.TrimSuffix(verified, "."))
	}
}

func TestALPN(t *testing.T) {
	for _, test := range []struct {
		user, protocol, want []string
		agreed               string
	}{
		{nil, nil, nil, "no ALPN"},
		{nil, []string{"imap"}, []string{"imap"}, "ALPN imap"},
		{[]string{"pop3", "imap"}, []string{"smtp"}, []string{"pop3", "imap"}, "ALPN imap"},
		{[]string{""}, []string{"imap"}, nil, "no ALPN"},
	} {
		server, roots := newServer(t)
		server.NextProtos = []string{"imap"}
		c := load(t, Settings{CAFiles: []string{roots}, ALPN: test.user})
		o := handshake(t, server, c.Client(context.Background(), host, test.protocol))
		if o.clientErr != nil || !slices.Equal(o.offered.SupportedProtos, test.want) {
			t.Errorf("server saw %q, error %v; want %q", o.offered.SupportedProtos, o.clientErr, test.want)
		}
		checkText(t, c.Describe(o.client, host), ", "+test.agreed+", ")
	}
	server, roots := newServer(t)
	server.NextProtos = []string{"imap"}
	err := handshake(t, server, load(t, Settings{CAFiles: []string{roots}}).Client(context.Background(), host, []string{"smtp"})).clientErr
	checkText(t, HandshakeHint(err), "--alpn")
}

// Connections share a Config, and none sees the other's settings.
func TestClientIsOfOneConnection(t *testing.T) {
	c := load(t, Settings{})
	one, other := c.Client(context.Background(), "one.example.org", []string{"imap"}), c.Client(context.Background(), "other.example.org", nil)
	if one.ServerName != "one.example.org" || other.ServerName != "other.example.org" || other.NextProtos != nil {
		t.Errorf("settings are %q %q and %q %q", one.ServerName, one.NextProtos, other.ServerName, other.NextProtos)
	}
}

func TestCADirectory(t *testing.T) {
	server, roots := newServer(t)
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"README":     []byte("not a certificate"),
		"empty.pem":  nil,
		"4a6481c9.0": must[[]byte](t)(os.ReadFile(roots)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	other := must[*testca.CA](t)(testca.New("Other Root"))
	c := load(t, Settings{CAFiles: []string{write(t, "other.pem", other.PEM()), dir}})
	o := handshake(t, server, c.Client(context.Background(), host, nil))
	if o.clientErr != nil {
		t.Fatal(o.clientErr)
	}
	checkText(t, c.Describe(o.client, host), "trust anchor CN=Test Root from "+filepath.Join(dir, "4a6481c9.0"))
}

// A certificate that x509 does not read does not take the others of a bundle with it.
func TestCABundleWithABadOne(t *testing.T) {
	server, roots := newServer(t)
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30, 0}})
	bundle = append(bundle, must[[]byte](t)(os.ReadFile(roots))...)
	c := load(t, Settings{CAFiles: []string{write(t, "bundle.pem", bundle)}})
	if err := handshake(t, server, c.Client(context.Background(), host, nil)).clientErr; err != nil {
		t.Fatal(err)
	}
}

func TestClientCertificate(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Client Root"))
	inter := must[*testca.CA](t)(ca.Intermediate("Client Intermediate", nil))
	own := must[tls.Certificate](t)(inter.Issue([]string{"client.example.org"}, nil))
	cert, key, err := testca.EncodePEM(own)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		auth   tls.ClientAuthType
		cas    *x509.CertPool
		ok     bool
		chains int
	}{
		{"wanted", tls.RequireAndVerifyClientCert, ca.Pool(), true, 1},
		{"not wanted", tls.NoClientCert, nil, true, 0},
		// The server names authorities, and ours is not among them: it is sent even so.
		{"of another authority", tls.RequireAndVerifyClientCert, must[*testca.CA](t)(testca.New("Other Root")).Pool(), false, 0},
	} {
		for _, version := range []string{"1.2", "1.3"} {
			t.Run(test.name+" "+version, func(t *testing.T) {
				server, roots := newServer(t)
				server.ClientAuth, server.ClientCAs = test.auth, test.cas
				both := write(t, "both.pem", append(slices.Clone(key), cert...))
				c := load(t, Settings{CAFiles: []string{roots}, CertFile: both, KeyFile: both, TLSMax: version})
				o := handshake(t, server, c.Client(context.Background(), host, nil))
				if (o.clientErr == nil) != test.ok || len(o.server.VerifiedChains) != test.chains {
					t.Fatalf("errors are %v and %v, chains %d", o.clientErr, o.serverErr, len(o.server.VerifiedChains))
				}
				if test.chains > 0 && len(o.server.PeerCertificates) != 2 {
					t.Errorf("server saw %d certificates, want the intermediate too", len(o.server.PeerCertificates))
				}
				if !test.ok {
					checkText(t, HandshakeHint(o.clientErr), "authority of the client's certificate", "--x509certfile")
				}
			})
		}
	}
}

func TestClientCertificateMissing(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		server, roots := newServer(t)
		server.ClientAuth = tls.RequireAnyClientCert
		c := load(t, Settings{CAFiles: []string{roots}, TLSMax: version})
		err := handshake(t, server, c.Client(context.Background(), host, nil)).clientErr
		checkText(t, HandshakeHint(err), "--x509certfile FILE --x509keyfile FILE")
	}
}

func TestHandshakeHint(t *testing.T) {
	for _, err := range []error{nil, errors.New("something else"), tls.AlertError(40), os.ErrDeadlineExceeded} {
		if hint := HandshakeHint(err); hint != "" {
			t.Errorf("hint for %v is %q, want none", err, hint)
		}
	}
	server, roots := newServer(t)
	server.CipherSuites, server.MaxVersion = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, tls.VersionTLS12
	c := load(t, Settings{CAFiles: []string{roots}, Ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384"})
	err := handshake(t, server, c.Client(context.Background(), host, nil)).clientErr
	checkText(t, HandshakeHint(err), "--ciphers", "--groups", "--x509certfile")
	checkText(t, c.HandshakeHint(err), "the offer may be too narrow, leave out --ciphers; else ", "--x509certfile")
	const closeNotify = 0
	for code := range 256 {
		alert := tls.AlertError(code)
		hint := alertHints()[alert]
		if known := !strings.HasPrefix(alert.Error(), "tls: alert("); (known || code == 41 || code == 60) && code != closeNotify && hint == "" {
			t.Errorf("there are no words for %v", alert)
		}
		checkText(t, hint)
		if got := HandshakeHint(fmt.Errorf("read: %w", &net.OpError{Op: "remote error", Err: alert})); got != hint {
			t.Errorf("hint for alert %d is %q, want %q", code, got, hint)
		}
	}
}

// An old server answers an offer with its own version; a Go server would send an alert.
func TestHandshakeHintOldServer(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		defer server.Close()
		server.Read(make([]byte, 16<<10))                               // the ClientHello
		hello := append([]byte{2, 0, 0, 38, 3, 1}, make([]byte, 36)...) // ServerHello (RFC 2246, 7.4.1.3)
		server.Write(append([]byte{22, 3, 1, 0, byte(len(hello))}, hello...))
		io.Copy(io.Discard, server)
	}()
	err := tls.Client(client, load(t, Settings{}).Client(context.Background(), host, nil)).Handshake()
	if err == nil {
		t.Fatal("the handshake succeeded")
	}
	checkText(t, HandshakeHint(err), "--tls-min 1.0")
}
