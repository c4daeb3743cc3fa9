package testserver

import (
	"io"
	"testing"

	"tlsup/negotiate"
)

const acapTestGreeting = "S: * ACAP (IMPLEMENTATION \"testserver\") (SASL) (STARTTLS)\r\n"

// TestACAPClear says things in the clear that are not the way to TLS.
func TestACAPClear(t *testing.T) {
	_, conn := dial(t, "acap")
	conversePackets(t, conn, acapTestGreeting,
		"C: a NOOP\r\n", "S: a OK \"done\"\r\n",
		"C: b AUTHENTICATE \"PLAIN\" {10+}\r\n\x00demo\x00demo\r\n", "S: b NO \"not in the clear, and not twice\"\r\n",
		"C: \r\n", "S: * BAD \"a tag and a command are wanted\"\r\n",
		"C: c SEARCH \"/\"\r\n", "S: c BAD \"command not known\"\r\n",
		"C: d logout\r\n", "S: * BYE \"logging out\"\r\nd OK \"done\"\r\n", "close")
}

// TestACAPInside holds a session inside TLS.
func TestACAPInside(t *testing.T) {
	session, _, greeting := open(t, negotiate.Find("acap"))
	if greeting != "" {
		t.Errorf("a client is shown %q, but the server greets again", greeting)
	}
	conversePackets(t, session,
		"S: * ACAP (IMPLEMENTATION \"testserver\") (SASL \"PLAIN\")\r\n",
		"C: a STARTTLS\r\n", "S: a BAD \"TLS is active\"\r\n",
		"C: b AUTHENTICATE \"PLAIN\" {11+}\r\n\x00demo\x00wrong\r\n", "S: b NO \"wrong name or password\"\r\n",
		"C: c AUTHENTICATE \"PLAIN\" {9999+}\r\n", "S: c NO \"wrong name or password\"\r\n",
		"C: d authenticate \"PLAIN\" {10+}\r\n\x00demo\x00demo\r\n", "S: d OK \"logged in\"\r\n",
		"C: e AUTHENTICATE \"PLAIN\" {10+}\r\n\x00demo\x00demo\r\n", "S: e NO \"not in the clear, and not twice\"\r\n",
		"C: f LOGOUT\r\n", "S: * BYE \"logging out\"\r\nf OK \"done\"\r\n", "close")
}

// TestACAPCleartextBehindRequest checks that what comes in the clear behind STARTTLS ends the
// connection.
func TestACAPCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "acap")
	conversePackets(t, conn, acapTestGreeting, "C: a STARTTLS\r\nb LOGOUT\r\n", "S: a OK \"Begin TLS negotiation now\"\r\n")
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}
