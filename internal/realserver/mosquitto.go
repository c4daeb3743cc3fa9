package realserver

import (
	"fmt"
	"os/exec"
	"testing"
)

// Mosquitto starts a broker of MQTT that lets in everybody. Settings are lines of its configuration.
func Mosquitto(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, mosquitto, settings)
}

var mosquitto = program{
	name:      "Mosquitto",
	binary:    "mosquitto",
	schemes:   []string{"mqtts"},
	configure: configureMosquitto,
}

const mosquittoConf = `
listener %d 127.0.0.1
certfile %[2]s/cert.pem
keyfile %[2]s/key.pem
allow_anonymous true
%[3]s
`

func configureMosquitto(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	err := s.write("mosquitto.conf", fmt.Sprintf(mosquittoConf, s.Ports["mqtts"], s.dir, lines(settings)))
	return exec.Command(binary, "-c", s.path("mosquitto.conf")), err
}
