package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlsup/internal/testserver"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// TestPackets: the server hangs up unless each packet is in a TLS record of its own, whatever
// the pieces in which it was written here.
func TestPackets(t *testing.T) {
	for _, scheme := range []string{"mssql", "tds8"} {
		target, o := startServer(t, scheme)
		o.Name = ""
		all := strings.Join(testserver.Talk(scheme), "")
		for _, pieces := range [][]string{{all}, strings.Split(all, ""), {all[:60], all[60:]}} {
			session, err := Open(context.Background(), target, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, piece := range pieces {
				if _, err := io.WriteString(session, piece); err != nil {
					t.Fatal(err)
				}
			}
			answer, err := io.ReadAll(session)
			if bye := "b\x00y\x00e\x00"; err != nil || !strings.Contains(string(answer), bye) {
				t.Errorf("%s: %d bytes of answers, %v", scheme, len(answer), err)
			}
			session.Close()
		}
		// The end of the input sends what there is, be it a packet or not: the server hangs up.
		session, err := Open(context.Background(), target, o)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(session, all[:60])
		if err := session.CloseWrite(); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadAll(session); err == nil {
			t.Errorf("%s: the server did not see the beginning of a packet", scheme)
		}
		session.Close()
	}
}

// TestVersions: a protocol that can't carry TLS 1.3 is not offered it, even if the server would
// take it, and one that is for TLS 1.3 offers nothing older. An option that wants it otherwise is named.
func TestVersions(t *testing.T) {
	for _, test := range []struct {
		scheme, min, max string
		want             uint16 // 0: an error
		err              string
	}{
		{"mssql", "", "", tls.VersionTLS12, ""},
		{"mssql", "1.3", "", 0, "--tls-min 1.3: mssql allows TLS 1.2 at most"},
		{"nfs", "", "", tls.VersionTLS13, ""},
		{"nfs", "1.0", "", tls.VersionTLS13, ""},
		{"nfs", "", "1.2", 0, "--tls-max 1.2: nfs is for TLS 1.3 and newer"},
	} {
		target, o := startWith(t, test.scheme, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS13 },
			trust.Settings{TLSMin: test.min, TLSMax: test.max})
		if err := o.CheckTrust(target.Protocol); (err != nil) != (test.err != "") || err != nil && err.Error() != test.err {
			t.Errorf("error %v before anything is opened, want %q", err, test.err)
		}
		session, err := Open(context.Background(), target, o)
		if test.err != "" {
			var failed *Error
			if !errors.As(err, &failed) || failed.Step != Handshake || !strings.HasSuffix(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if v := session.TLS.ConnectionState().Version; v != test.want {
			t.Errorf("%s: version %x", test.scheme, v)
		}
		session.Close()
	}
}

// TestOldServer: the hint does not send anybody to --tls-min, which would not help.
func TestOldServer(t *testing.T) {
	target, o := startWith(t, "nfs", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, trust.Settings{})
	_, err := Open(context.Background(), target, o)
	var failed *Error
	if !errors.As(err, &failed) || failed.Step != Handshake || failed.Hint != "nfs is for TLS 1.3 and newer: the server has to allow it" {
		t.Errorf("error %v, %+v", err, failed)
	}
}

// startWith starts a server with changed settings, and returns the way to it.
func startWith(t *testing.T, scheme string, change func(*tls.Config), settings trust.Settings) (Target, *Options) {
	t.Helper()
	s, err := testserver.Start(scheme, change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.CA.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	settings.CAFiles = []string{ca}
	config, err := trust.Load(settings)
	if err != nil {
		t.Fatal(err)
	}
	return Target{Protocol: negotiate.Find(scheme), Host: "localhost", Port: s.Addr.Port}, &Options{Network: "tcp4", Trust: config}
}
