package testserver

import (
	"io"
	"testing"

	"tlsup/negotiate"
)

const mtqpTestGreeting = "S: +OK+/MTQP MTQP server ready\r\nSTARTTLS required\r\n.\r\n"

// TestMTQPClear says things in the clear that are not the way to TLS.
func TestMTQPClear(t *testing.T) {
	_, conn := dial(t, "mtqp")
	conversePackets(t, conn, mtqpTestGreeting,
		"C: TRACK <x> y\r\n", "S: -ERR/tls-required not in the clear\r\n",
		"C: STARTTLS www.example.com\r\n", "S: -BAD/bad-fqdn this is mail.example.org\r\n",
		"C: STARTTLS\r\n", "S: -BAD/bad-fqdn this is mail.example.org\r\n",
		"C: \r\n", "S: -BAD command not known\r\n",
		"C: quit\r\n", "S: +OK bye\r\n", "close")
}

// TestMTQPInside holds a session inside TLS.
func TestMTQPInside(t *testing.T) {
	session, _, greeting := open(t, negotiate.Find("mtqp"))
	if greeting != "" {
		t.Errorf("a client is shown %q, but the server greets again", greeting)
	}
	conversePackets(t, session,
		"S: +OK/MTQP MTQP server ready\r\n",
		"C: STARTTLS example.org\r\n", "S: -BAD/tls-in-progress TLS is active\r\n",
		"C: COMMENT a b\r\n", "S: +OK heard\r\n",
		"C: TRACK <x> y\r\n", "S: -ERR/noinfo no such message\r\n",
		"C: track <12345-20010101@example.org> YWJjZGVmZ2g=\r\n", "S: +OK+ Tracking information follows\r\nContent-Type: multipart/related; ",
	)
}

// TestMTQPCleartextBehindRequest checks that what comes in the clear behind STARTTLS ends the
// connection.
func TestMTQPCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "mtqp")
	conversePackets(t, conn, mtqpTestGreeting, "C: STARTTLS mail.example.org\r\nQUIT\r\n", "S: +OK Begin TLS negotiation\r\n")
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}
