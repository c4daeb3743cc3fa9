package trust

import (
	"context"
	"crypto/tls"
	"testing"

	"tlsup/internal/testca"
)

// With Inspect the handshake goes on for a report, and the client's certificate is kept from a
// server that is not trusted.
func TestInspect(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Test Root"))
	cert, key, err := testca.EncodePEM(must[tls.Certificate](t)(ca.Issue([]string{"client.example.org"}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	settings := Settings{
		CAFiles:  []string{write(t, "ca.pem", ca.PEM())},
		CertFile: write(t, "cert.pem", cert), KeyFile: write(t, "key.pem", key),
	}
	for _, test := range []struct {
		name     string
		server   string
		max      uint16
		insecure bool
		trusted  bool
		got      int // certificates
	}{
		{"trusted", "mail.example.org", tls.VersionTLS13, false, true, 1},
		{"trusted 1.2", "mail.example.org", tls.VersionTLS12, false, true, 1},
		{"wrong name", "other.example.org", tls.VersionTLS13, false, false, 0},
		{"wrong name 1.2", "other.example.org", tls.VersionTLS12, false, false, 0},
		{"let pass", "other.example.org", tls.VersionTLS13, true, false, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			settings.Insecure = test.insecure
			config := load(t, settings)
			var look Look
			o := handshake(t, &tls.Config{
				Certificates: []tls.Certificate{must[tls.Certificate](t)(ca.Issue([]string{test.server}, nil))},
				ClientAuth:   tls.RequestClientCert, MaxVersion: test.max,
			}, config.Inspect(&look).Client(context.Background(), "mail.example.org", nil))
			if o.clientErr != nil || o.serverErr != nil {
				t.Fatalf("client: %v, server: %v", o.clientErr, o.serverErr)
			}
			if got := len(o.server.PeerCertificates); got != test.got || look.Sent != (test.got > 0) || !look.Asked {
				t.Errorf("the server got %d certificates, look is %+v", got, look)
			}
			verdict := config.Judge(*look.State, look.Name)
			if (verdict.Err == nil) != test.trusted || verdict.Insecure != test.insecure || (len(verdict.Reasons) == 0) != test.trusted {
				t.Errorf("the verdict is %+v", verdict)
			}
			if test.trusted && (len(verdict.Chain) != 2 || verdict.Source != settings.CAFiles[0]) {
				t.Errorf("the chain is %v from %q", verdict.Chain, verdict.Source)
			}
		})
	}
}

func TestOffering(t *testing.T) {
	server, file := newServer(t)
	config := load(t, Settings{CAFiles: []string{file}})
	offer := config.Offering(Offer{Min: tls.VersionTLS12, Max: tls.VersionTLS12, Groups: []tls.CurveID{tls.CurveP384}})
	o := handshake(t, server, offer.Client(context.Background(), "mail.example.org", nil))
	if o.clientErr != nil || o.client.Version != tls.VersionTLS12 || o.client.CurveID != tls.CurveP384 {
		t.Errorf("%v, %s, %s", o.clientErr, tls.VersionName(o.client.Version), o.client.CurveID)
	}
	if o = handshake(t, server, config.Client(context.Background(), "mail.example.org", nil)); o.client.Version != tls.VersionTLS13 {
		t.Errorf("the settings have changed: %s", tls.VersionName(o.client.Version))
	}
}
