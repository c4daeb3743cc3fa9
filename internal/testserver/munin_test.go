package testserver

import (
	"io"
	"testing"

	"tlsup/negotiate"
)

const muninTestGreeting = "# munin node at mail.example.org\n"

// TestMuninClear says things in the clear that are not the way to TLS.
func TestMuninClear(t *testing.T) {
	_, conn := dial(t, "munin")
	conversePackets(t, conn, "S: "+muninTestGreeting, "C: list\n", "S: # I require TLS. Closing.\n", "close")
}

// TestMuninInside holds a session inside TLS.
func TestMuninInside(t *testing.T) {
	session, _, greeting := open(t, negotiate.Find("munin"))
	if greeting != muninTestGreeting {
		t.Errorf("a client is shown %q", greeting)
	}
	conversePackets(t, session,
		"C: STARTTLS\n", "S: # Unknown command. Try cap, list, nodes, config, fetch, version or quit\n",
		"C: cap multigraph\n", "S: cap\n",
		"C: nodes\n", "S: mail.example.org\n.\n",
		"C: LIST\n", "S: load\n",
		"C: config load\n", "S: graph_title Load average\nload.label load\n.\n",
		"C: fetch load\n", "S: load.value 0.07\n.\n",
		"C: fetch disk\n", "S: # Unknown service\n.\n",
		"C: .\n", "close")
}

// TestMuninCleartextBehindRequest checks that what comes in the clear behind STARTTLS ends the
// connection.
func TestMuninCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "munin")
	conversePackets(t, conn, "S: "+muninTestGreeting, "C: starttls\nlist\n", "S: TLS OK\n")
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}
