package realserver

import (
	"strings"
	"testing"

	"tlsup/internal/testserver"
)

// testImplicit says through the program what our own server is told, and meets what may go wrong.
func testImplicit(t *testing.T, s *Server, scheme, end string, answers ...string) {
	t.Helper()
	said := strings.Join(testserver.Talk(scheme), end) + end
	got := tlsup(t, said, "-v", "--x509cafile", s.CAFile(), s.target(scheme))
	got.must(t, 0, answers[0], "verified for 127.0.0.1")
	for _, answer := range answers[1:] {
		got.must(t, 0, answer, "")
	}
	tlsup(t, "", s.target(scheme)).must(t, 6, "", s.Addr(scheme)+": verify: ", "throwaway authority")
}

func TestMosquitto(t *testing.T) {
	t.Parallel()
	testImplicit(t, Mosquitto(t), "mqtts", "", "\x20", "\xd0\x00") // CONNACK, PINGRESP
}

func TestRedis(t *testing.T) {
	t.Parallel()
	testImplicit(t, Redis(t), "rediss", "\r\n", "+PONG\r\n", "$5\r\nhello\r\n", "+OK\r\n")
}

func TestUnbound(t *testing.T) {
	t.Parallel()
	testImplicit(t, Unbound(t), "dot", "", "\xc0\x00\x02\x19")
}
