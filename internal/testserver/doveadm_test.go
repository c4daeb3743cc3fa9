package testserver

import (
	"testing"

	"tlsup/negotiate"
)

const doveadmTestAnswer = "S: VERSION\tdoveadm-client\t1\t2\n-\n"

// TestDoveadmClear says things in the clear that are not the way to TLS.
func TestDoveadmClear(t *testing.T) {
	for name, packets := range map[string][]string{
		"login":            {"C: VERSION\tdoveadm-server\t1\t2\n", doveadmTestAnswer, "C: PLAIN\tAGRvdmVhZG0AZGVtbw==\n", "S: -\n", "close"},
		"other version":    {"C: VERSION\tdoveadm-server\t2\t0\n", "close"},
		"behind STARTTLS":  {"C: VERSION\tdoveadm-server\t1\t2\n", doveadmTestAnswer, "C: STARTTLS\nPLAIN\tAGRvdmVhZG0AZGVtbw==\n", "close"},
		"STARTTLS at once": {"C: STARTTLS\n", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			_, conn := dial(t, "doveadm")
			conversePackets(t, conn, packets...)
		})
	}
}

// TestDoveadmInside holds sessions inside TLS.
func TestDoveadmInside(t *testing.T) {
	session, _, greeting := open(t, negotiate.Find("doveadm"))
	if greeting != doveadmTestAnswer[3:] {
		t.Errorf("a client is shown %q", greeting)
	}
	conversePackets(t, session,
		"C: PLAIN\tAGRvdmVhZG0AZGVtbw==\n", "S: +\n",
		"C: \tdemo\tmailbox list\n", "S: "+doveadmPacket("INBOX\t\n+\n"),
		"C: \tnobody\tmailbox list\n", "S: "+doveadmPacket("\n-NOUSER\n"),
		"C: \tdemo\tfrob\n", "S: "+doveadmPacket("\n-USAGE\n"),
		"C: nothing\n", "close")
	session, _, _ = open(t, negotiate.Find("doveadm"))
	conversePackets(t, session, "C: PLAIN\tAGRvdmVhZG0Ad3Jvbmc=\n", "S: -\n", "close")
}
