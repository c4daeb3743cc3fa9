package realserver

import (
	"context"
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"tlsup/negotiate"
)

// testPorts speaks to each port in the other port's way: every one ends with an error
// that hints can be drawn from.
func testPorts(t *testing.T, s *Server, host string) {
	for _, scheme := range s.program.schemes {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			if p := find(t, scheme); p.Upgrade == nil {
				testUpgradeOnTLSPort(t, s, scheme, find(t, p.Sibling), host)
			} else {
				testTLSOnUpgradePort(t, s, scheme, host)
			}
		})
	}
}

// testUpgradeOnTLSPort: a server that waits for the ClientHello says nothing, and one
// that got cleartext in its place hangs up, with an alert or without.
func testUpgradeOnTLSPort(t *testing.T, s *Server, scheme string, p *negotiate.Protocol, host string) {
	silence := limit
	if p.Lines { // the server would speak first
		silence = time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), silence)
	defer cancel()
	_, err := negotiate.Client(ctx, dial(t, s, scheme), p, &negotiate.Options{Host: host})
	t.Logf("%s on the port for %s: %v", p.Name, scheme, err)
	var own *negotiate.Error
	if !errors.As(err, &own) || own.Step != negotiate.Greeting || p.Lines != errors.Is(err, negotiate.ErrSilent) {
		t.Errorf("error %v", err)
	}
}

// testTLSOnUpgradePort: the server's greeting, or its complaint about the ClientHello,
// says what it speaks.
func testTLSOnUpgradePort(t *testing.T, s *Server, scheme, host string) {
	conn := dial(t, s, scheme)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	up, err := negotiate.Client(ctx, conn, negotiate.TLS(), &negotiate.Options{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	err = tls.Client(up, &tls.Config{ServerName: host, RootCAs: s.CA.Pool()}).HandshakeContext(ctx)
	t.Logf("TLS on the port for %s: %v", scheme, err)
	var cleartext *negotiate.CleartextError
	if !errors.As(err, &cleartext) || cleartext.Upgraded {
		t.Fatalf("error %v", err)
	}
	if found := negotiate.Recognise(cleartext.Text, find(t, scheme).Port); len(found) == 0 {
		t.Errorf("no protocol is recognised from %q", cleartext.Text)
	}
}
