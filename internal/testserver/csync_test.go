package testserver

import (
	"io"
	"testing"

	"tlsup/negotiate"
)

const csyncTestBanner = "S: * STARTTLS\r\n* COMPRESS DEFLATE\r\n* SIEVE-MAILBOX\r\n* OK mail.example.org Cyrus sync server testserver\r\n"

// TestCsyncClear says things in the clear that are not the way to TLS.
func TestCsyncClear(t *testing.T) {
	_, conn := dial(t, "csync")
	conversePackets(t, conn, csyncTestBanner,
		"C: GET MAILBOXES (user.demo)\r\n", "S: NO Please authenticate first\r\n",
		"C: AUTHENTICATE PLAIN AGRlbW8AZGVtbw==\r\n", "S: NO not so, or not in the clear\r\n",
		"C: a1 STARTTLS\r\n", "S: NO Please authenticate first\r\n",
		"C: \r\n", "S: BAD Null command\r\n",
		"C: noop\r\n", "S: OK Noop completed\r\n",
		"C: exit\r\n", "S: OK Finished\r\n", "close")
}

// TestCsyncInside holds a session inside TLS.
func TestCsyncInside(t *testing.T) {
	session, _, greeting := open(t, negotiate.Find("csync"))
	if greeting != "" {
		t.Errorf("a client is shown %q, but the server greets again", greeting)
	}
	conversePackets(t, session,
		"S: * SASL PLAIN\r\n* SIEVE-MAILBOX\r\n* OK mail.example.org Cyrus sync server testserver\r\n",
		"C: STARTTLS\r\n", "S: BAD Already did a successful Starttls\r\n",
		"C: AUTHENTICATE PLAIN AGRlbW8Ad3Jvbmc=\r\n", "S: NO not so, or not in the clear\r\n",
		"C: AUTHENTICATE PLAIN AGRlbW8AZGVtbw==\r\n", "S: OK Success (tls protection)\r\n",
		"C: AUTHENTICATE PLAIN AGRlbW8AZGVtbw==\r\n", "S: BAD Already authenticated\r\n",
		"C: GET MAILBOXES (user.nobody)\r\n", "S: OK success\r\n",
		"C: FROB\r\n", "S: BAD IMAP_PROTOCOL_ERROR Unrecognized command\r\n",
		"C: EXIT\r\n", "S: OK Finished\r\n", "close")
}

// TestCsyncCleartextBehindRequest checks that what comes in the clear behind STARTTLS ends the
// connection.
func TestCsyncCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "csync")
	conversePackets(t, conn, csyncTestBanner, "C: STARTTLS\r\nEXIT\r\n", "S: OK Begin TLS negotiation now\r\n")
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}
