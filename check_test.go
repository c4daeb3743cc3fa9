package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"tlsup/internal/jsontest"
	"tlsup/internal/report"
	"tlsup/internal/testserver"
	"tlsup/negotiate"
)

// TestCheckProtocols checks a server for each protocol, and holds what comes out against the schema.
func TestCheckProtocols(t *testing.T) {
	schema := jsontest.Compile(t, report.Schema)
	for _, p := range negotiate.All() {
		t.Run(p.Name, func(t *testing.T) {
			scheme := p
			if p == negotiate.Auto() {
				scheme = negotiate.Default()
			}
			server, err := testserver.Start(scheme.Name, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			ca := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(ca, server.CA.PEM(), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"check", "--json", "--timeline", "--x509cafile", ca}
			switch scheme.Names {
			case negotiate.OwnName:
				args = append(args, "--starttls-name", "client.example.org")
			case negotiate.ServiceDomain:
				args = append(args, "--starttls-name", "example.org")
			}
			out := quietly(t, append(args, p.Name+"://"+server.Addr.String())...)
			schema.Lines(t, out, 1)
			var r report.Report
			if err := json.Unmarshal([]byte(out), &r); err != nil {
				t.Fatal(err)
			}
			start := "upgrade"
			if scheme.Upgrade == nil {
				start = "first byte"
			}
			if r.Protocol != scheme.Name || r.Start != start || !r.Verification.Trusted {
				t.Error(out)
			}
		})
	}
}
