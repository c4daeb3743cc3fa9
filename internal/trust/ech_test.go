package trust

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"testing"

	"tlsup/internal/testca"
)

const publicName = "public.example.net"

// An echServer takes Encrypted Client Hello, and clients know of its configuration, or of an old one.
type echServer struct {
	*tls.Config
	ca           *testca.CA
	roots        string
	current, old string // in base64
}

func newECHServer(t *testing.T) *echServer {
	t.Helper()
	s := &echServer{ca: must[*testca.CA](t)(testca.New("Test Root"))}
	key, list, err := testca.ECH(publicName)
	if err != nil {
		t.Fatal(err)
	}
	_, old, err := testca.ECH(publicName)
	if err != nil {
		t.Fatal(err)
	}
	s.Config = &tls.Config{
		Certificates:             []tls.Certificate{s.issue(t, host), s.issue(t, publicName)},
		EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{key},
	}
	s.roots = write(t, "root.pem", s.ca.PEM())
	s.current, s.old = base64.StdEncoding.EncodeToString(list), base64.StdEncoding.EncodeToString(old)
	return s
}

func (s *echServer) issue(t *testing.T, name string) tls.Certificate {
	t.Helper()
	return must[tls.Certificate](t)(s.ca.Issue([]string{name}, nil))
}

// echHandshake is handshake, with the error that the settings make of the client's.
func echHandshake(t *testing.T, server *tls.Config, c *Config) (outcome, error) {
	t.Helper()
	var state tls.ConnectionState
	var failed error
	o := handshakeWith(t, server, c.Client(context.Background(), host, nil), func(conn *tls.Conn, err error) {
		state, failed = conn.ConnectionState(), err
	})
	return o, c.Rejection(state, failed)
}

func TestECHAccepted(t *testing.T) {
	s := newECHServer(t)
	c := load(t, Settings{CAFiles: []string{s.roots}, ECH: s.current})
	o, err := echHandshake(t, s.Config, c)
	if err != nil || !o.client.ECHAccepted || !o.server.ECHAccepted || o.server.ServerName != host {
		t.Fatalf("client %v, accepted %v; the server saw %q, accepted %v", err, o.client.ECHAccepted, o.server.ServerName, o.server.ECHAccepted)
	}
	checkText(t, c.Describe(o.client, host), ", ECH accepted; ", "verified for "+host)

	// The certificate is verified as ever.
	server := s.Config.Clone()
	server.Certificates = server.Certificates[1:]
	if _, err := echHandshake(t, server, c); !errors.As(err, new(*Error)) || errors.As(err, new(*ECHError)) {
		t.Errorf("error is %v", err)
	}
}

func TestECHRejected(t *testing.T) {
	s := newECHServer(t)
	other := must[*testca.CA](t)(testca.New("Another Root"))
	stranger := must[tls.Certificate](t)(other.Issue([]string{publicName}, nil))
	for _, test := range []struct {
		name   string
		change func(*tls.Config)
		s      Settings
		retry  bool
		says   []string
		hint   []string
	}{
		{name: "another configuration", retry: true, says: []string{"rejects Encrypted Client Hello", "names another"}, hint: []string{"--ech " + s.current}},
		{
			name:   "none",
			change: func(c *tls.Config) { c.EncryptedClientHelloKeys = nil },
			says:   []string{"rejects Encrypted Client Hello", "no configuration that it would take"},
			hint:   []string{"without --ech"},
		},
		{
			name:   "a certificate for another name",
			change: func(c *tls.Config) { c.Certificates = c.Certificates[:1] },
			says:   []string{"is not trusted as " + publicName, "is not valid for " + publicName + "; its names are " + host},
			hint:   []string{"HTTPS record", "!--insecure"},
		},
		{
			name:   "a certificate of another authority",
			change: func(c *tls.Config) { c.Certificates = []tls.Certificate{stranger} },
			says:   []string{"is not trusted as " + publicName, "is issued by CN=Another Root"},
			hint:   []string{"!--insecure"},
		},
		{
			name:   "though all is let pass",
			change: func(c *tls.Config) { c.Certificates = []tls.Certificate{stranger} },
			s:      Settings{Insecure: true},
			says:   []string{"is not trusted as " + publicName},
		},
		{
			name:   "though a pin stands for the chain",
			change: func(c *tls.Config) { c.Certificates = []tls.Certificate{stranger} },
			s:      Settings{PinOnly: true, Pins: []string{Pin(stranger.Leaf)}},
			says:   []string{"is not trusted as " + publicName},
		},
		{
			name: "a certificate that was revoked",
			s: Settings{CRLFiles: []string{write(t, "crl", must[[]byte](t)(s.ca.CRL(func(l *x509.RevocationList) {
				l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: s.Certificates[1].Leaf.SerialNumber, RevocationTime: l.ThisUpdate}}
			})))}},
			says: []string{"is not trusted as " + publicName, "revoked"},
			hint: []string{"!--ech AE"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := s.Config.Clone()
			if test.change != nil {
				test.change(server)
			}
			if test.s.ECH = s.old; !test.s.PinOnly {
				test.s.CAFiles = []string{s.roots}
			}
			c := load(t, test.s)
			o, err := echHandshake(t, server, c)
			var rejected *ECHError
			if !errors.As(err, &rejected) || rejected.PublicName != publicName {
				t.Fatalf("error is %v", err)
			}
			if o.offered.ServerName != publicName {
				t.Errorf("the server was asked for %q", o.offered.ServerName)
			}
			checkText(t, rejected.Error(), test.says...)
			checkText(t, rejected.Hint(), test.hint...)

			again := c.Retry(err)
			if (again != nil) != test.retry {
				t.Fatalf("tried again: %v", again != nil)
			}
			if again == nil {
				return
			}
			if o, err := echHandshake(t, server, again); err != nil || !o.client.ECHAccepted {
				t.Errorf("the second time: %v, accepted %v", err, o.client.ECHAccepted)
			}
			if again.Retry(err) != nil {
				t.Error("it would be tried for ever")
			}
		})
	}
}

// A server without TLS 1.3 can't take it.
func TestECHOldServer(t *testing.T) {
	s := newECHServer(t)
	server := &tls.Config{Certificates: s.Certificates, MaxVersion: tls.VersionTLS12}
	c := load(t, Settings{CAFiles: []string{s.roots}, ECH: s.current})
	_, err := echHandshake(t, server, c)
	if !IsVersion(err) {
		t.Fatalf("error is %v", err)
	}
	checkText(t, c.HandshakeHint(err), "TLS 1.3", "without --ech")
}

// Sessions are resumed inside Encrypted Client Hello, and not by those that do without it.
func TestECHResumed(t *testing.T) {
	s := newECHServer(t)
	s.SetSessionTicketKeys([][32]byte{{1}})
	file := write(t, "sessions", nil)
	for _, test := range []struct {
		ech     string
		resumed bool
	}{{s.current, false}, {s.current, true}, {"", false}, {s.current, true}, {"", true}} {
		c := load(t, Settings{CAFiles: []string{s.roots}, ECH: test.ech, SessionFile: file})
		o, err := echHandshake(t, s.Config, c)
		if err != nil || o.client.DidResume != test.resumed || o.client.ECHAccepted != (test.ech != "") {
			t.Errorf("with --ech %q: %v, resumed %v, accepted %v", test.ech, err, o.client.DidResume, o.client.ECHAccepted)
		}
	}
}

func TestECHForms(t *testing.T) {
	s := newECHServer(t)
	raw := must[[]byte](t)(base64.StdEncoding.DecodeString(s.current))
	block := pem.EncodeToMemory(&pem.Block{Type: "ECHCONFIG", Bytes: raw})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	for name, data := range map[string][]byte{
		"PEM": block, "PEM with a key": append(key, block...), "base64": []byte(s.current + "\n"), "bytes": raw,
	} {
		c := load(t, Settings{ECH: write(t, "ech", data)})
		if got := c.shared.EncryptedClientHelloConfigList; !bytes.Equal(got, raw) {
			t.Errorf("%s: %x", name, got)
		}
	}
	unknown := bytes.Clone(raw)
	unknown[3]++ // the version
	missing := t.TempDir() + "/missing"
	for _, test := range []struct {
		s    Settings
		says []string
	}{
		{Settings{ECH: missing}, []string{"--ech ", "no ECHConfigList in base64, nor a file", "no such file"}},
		{Settings{ECH: write(t, "ech", []byte("hello"))}, []string{"--ech ", "the file holds no ECHConfigList"}},
		{Settings{ECH: base64.StdEncoding.EncodeToString(unknown)}, []string{"--ech ", "can't be used", "no valid configs"}},
		{Settings{ECH: base64.StdEncoding.EncodeToString([]byte{0, 1, 0})}, []string{"--ech ", "can't be used", "malformed"}},
		{Settings{ECH: s.current, TLSMax: "1.2"}, []string{"--ech needs TLS 1.3, which --tls-max 1.2 rules out"}},
		{Settings{ECH: s.current, TLSMin: "1.2"}, []string{"--ech needs TLS 1.3: --tls-min 1.2 can't be used with it"}},
	} {
		if _, err := Load(test.s); err == nil {
			t.Errorf("%+v: no error", test.s)
		} else {
			checkText(t, err.Error(), test.says...)
		}
	}
	if _, err := load(t, Settings{ECH: s.current}).Limit("tds", 0, tls.VersionTLS12); err == nil || !strings.HasPrefix(err.Error(), "--ech needs TLS 1.3: tds ") {
		t.Errorf("error is %v", err)
	}
}

// FuzzECH: what is taken for a list can be used, or is refused with words.
func FuzzECH(f *testing.F) {
	_, list, err := testca.ECH(publicName)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(list))
	f.Add(base64.StdEncoding.EncodeToString(list))
	f.Fuzz(func(t *testing.T, data string) {
		path := t.TempDir() + "/ech"
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(Settings{ECH: path}); err != nil {
			checkText(t, err.Error(), "--ech ")
		}
	})
}
