package realserver

import (
	"fmt"
	"os/exec"
	"testing"
)

// Redis starts a Redis server. Settings are lines of its configuration.
func Redis(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, redis, settings)
}

var redis = program{
	name:      "Redis",
	binary:    "redis-server",
	schemes:   []string{"rediss"},
	configure: configureRedis,
}

const redisConf = `
bind 127.0.0.1
port 0
tls-port %d
tls-cert-file %[2]s/cert.pem
tls-key-file %[2]s/key.pem
tls-ca-cert-file %[2]s/ca.pem
tls-auth-clients no
dir %[2]s
save ""
%[3]s
`

func configureRedis(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	err := s.write("redis.conf", fmt.Sprintf(redisConf, s.Ports["rediss"], s.dir, lines(settings)))
	return exec.Command(binary, s.path("redis.conf")), err
}
