package realserver

import (
	"io"
	"strings"
	"testing"

	"tlsup/internal/testserver"
	"tlsup/negotiate"
)

// readTPKT reads a packet (RFC 1006, 6).
func readTPKT(t *testing.T, r io.Reader) string {
	t.Helper()
	header := make([]byte, 4)
	if _, err := io.ReadFull(r, header); err != nil {
		t.Fatal(err)
	}
	rest := make([]byte, int(header[2])<<8+int(header[3])-4)
	if _, err := io.ReadFull(r, rest); err != nil {
		t.Fatal(err)
	}
	return string(header) + string(rest)
}

func TestXrdp(t *testing.T) {
	t.Parallel()
	s := Xrdp(t, "security_layer=tls")
	t.Run("session", func(t *testing.T) {
		rdp := open(t, s, "rdp", Host)
		talk := testserver.Talk("rdp")
		rdp.say(talk[0]) // MCS Connect-Initial
		answer := readTPKT(t, rdp.r)
		// Connect-Response is successful, and repeats what was asked for.
		if !strings.Contains(answer, "\x0a\x01\x00") || !strings.Contains(answer, "\x01\x0c\x0c\x00\x04\x00\x08\x00\x03\x00\x00\x00") {
			t.Errorf("Connect-Initial is answered with %q", answer)
		}
		rdp.say(talk[1]) // Erect Domain Request
		rdp.say(talk[2]) // Attach User Request
		if answer := readTPKT(t, rdp.r); !strings.HasPrefix(answer, "\x03\x00\x00\x0b\x02\xf0\x80\x2e\x00") {
			t.Errorf("Attach User Request is answered with %q", answer)
		}
	})
	t.Run("program", func(t *testing.T) {
		tlsup(t, "", s.target("rdp")).must(t, 6, "", s.Addr("rdp")+": verify: ", "throwaway authority")
		tlsup(t, "", "tls://"+s.Addr("rdp")).must(t, 5, "", s.Addr("rdp")+": handshake: ")
	})
}

// TestXrdpNegotiates has both kinds of security.
func TestXrdpNegotiates(t *testing.T) {
	t.Parallel()
	s := Xrdp(t, "security_layer=negotiate")
	rdp := open(t, s, "rdp", Host)
	rdp.say(testserver.Talk("rdp")[0])
	readTPKT(t, rdp.r)
}

func TestXrdpWithoutTLS(t *testing.T) {
	t.Parallel()
	s := Xrdp(t, "security_layer=rdp")
	mustRefuse(t, s, "rdp", Host, negotiate.ErrNotOffered, negotiate.Upgrade)
	tlsup(t, "", s.target("rdp")).must(t, 4, "", s.Addr("rdp")+": upgrade: server does not offer TLS, it chose Standard RDP Security", "hint: ", "security_layer")
}
