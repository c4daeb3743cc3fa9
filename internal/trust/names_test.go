package trust

import (
	"context"
	"crypto/tls"
	"testing"

	"tlsup/internal/testca"
)

// Names in other scripts are sent and verified as they stand in certificates.
func TestNamesInOtherScripts(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Root"))
	cert := must[tls.Certificate](t)(ca.Issue([]string{"xn--bcher-kva.example"}, nil))
	sni := "B\u00fccher.example"
	c := load(t, Settings{CAFiles: []string{write(t, "root.pem", ca.PEM())}, VerifyName: "b\u00fccher.example", SNI: &sni})
	o := handshake(t, &tls.Config{Certificates: []tls.Certificate{cert}}, c.Client(context.Background(), host, nil))
	if o.clientErr != nil || o.offered.ServerName != "xn--bcher-kva.example" {
		t.Errorf("SNI is %q, error is %v", o.offered.ServerName, o.clientErr)
	}
}
