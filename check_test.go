package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"tlsup/internal/testserver"
	"tlsup/negotiate"
)

// TestCheckProtocols checks a server for each protocol, and holds what comes out against the schema.
func TestCheckProtocols(t *testing.T) {
	schema := reportSchema(t)
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
			got, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(got); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			r := got.(map[string]any)
			start := "upgrade"
			if scheme.Upgrade == nil {
				start = "first byte"
			}
			if r["protocol"] != scheme.Name || r["start"] != start || r["verification"].(map[string]any)["trusted"] != true {
				t.Error(out)
			}
		})
	}
}
