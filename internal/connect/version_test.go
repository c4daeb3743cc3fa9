package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlsup/internal/testserver"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

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
