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

// TestMaxVersion: a protocol that can't carry TLS 1.3 is not offered it, even if the server
// would take it, and an option that wants it is named.
func TestMaxVersion(t *testing.T) {
	s, err := testserver.Start("mssql", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS13 })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.CA.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ scheme, min, want string }{
		{"mssql", "", ""},
		{"mssql", "1.3", "--tls-min 1.3: mssql allows TLS 1.2 at most"},
	} {
		config, err := trust.Load(trust.Settings{CAFiles: []string{ca}, TLSMin: test.min})
		if err != nil {
			t.Fatal(err)
		}
		o := &Options{Network: "tcp4", Trust: config}
		p := negotiate.Find(test.scheme)
		if err := o.CheckTrust(p); (err != nil) != (test.want != "") || err != nil && err.Error() != test.want {
			t.Errorf("error %v before anything is opened, want %q", err, test.want)
		}
		session, err := Open(context.Background(), Target{Protocol: p, Host: "localhost", Port: s.Addr.Port}, o)
		if test.want != "" {
			var failed *Error
			if !errors.As(err, &failed) || failed.Step != Handshake || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if v := session.TLS.ConnectionState().Version; v != tls.VersionTLS12 {
			t.Errorf("version %x", v)
		}
		session.Close()
	}
}
