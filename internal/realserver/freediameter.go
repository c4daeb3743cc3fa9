package realserver

import (
	"fmt"
	"os/exec"
	"testing"

	"tlsup/internal/testca"
)

// FreeDiameter starts freeDiameter's daemon, a relay. Settings are lines of its list of peers;
// without any, those of Domain may upgrade. They need a certificate, of which there is one in
// the files client.pem and client-key.pem. It can't be told to listen on loopback alone.
func FreeDiameter(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, freeDiameter, settings)
}

var freeDiameter = program{
	name:      "freeDiameter",
	binary:    "freeDiameterd",
	schemes:   []string{"diameter", "diameters"},
	ready:     "daemon initialized",
	configure: configureFreeDiameter,
}

const freeDiameterConf = `
Identity = "` + Host + `";
Realm = "` + Domain + `";
Port = %[2]d;
SecPort = %[3]d;
No_SCTP;
No_IPv6;
TLS_Cred = "%[1]s/cert.pem", "%[1]s/key.pem";
TLS_CA = "%[1]s/ca.pem";
LoadExtension = "acl_wl.fdx" : "%[1]s/peers";
`

func configureFreeDiameter(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	if len(settings) == 0 {
		settings = []string{"ALLOW_OLD_TLS *." + Domain}
	}
	pair, err := s.CA.Issue([]string{"client." + Domain}, nil)
	if err != nil {
		return nil, err
	}
	cert, key, err := testca.EncodePEM(pair)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string]string{
		"freeDiameter.conf": fmt.Sprintf(freeDiameterConf, s.dir, s.Ports["diameter"], s.Ports["diameters"]),
		"peers":             lines(settings),
		"client.pem":        string(cert),
		"client-key.pem":    string(key),
	} {
		if err := s.write(name, content); err != nil {
			return nil, err
		}
	}
	return exec.Command(binary, "-c", s.path("freeDiameter.conf")), nil
}
