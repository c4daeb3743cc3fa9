package testserver

import (
	"io"
	"testing"

	"tlsup/negotiate"
)

const mupdateTestBanner = "S: * AUTH\r\n* STARTTLS\r\n* OK MUPDATE \"mail.example.org\" \"testserver\" \"1\" \"(master)\"\r\n"

// TestMUPDATEClear says things in the clear that are not the way to TLS.
func TestMUPDATEClear(t *testing.T) {
	_, conn := dial(t, "mupdate")
	conversePackets(t, conn, mupdateTestBanner,
		"C: a LIST\r\n", "S: a NO \"Please authenticate first\"\r\n",
		"C: b AUTHENTICATE \"PLAIN\" \"AGRlbW8AZGVtbw==\"\r\n", "S: b NO \"not so, or not in the clear\"\r\n",
		"C: \r\n", "S: * BAD \"Need Command\"\r\n",
		"C: c logout\r\n", "S: c BYE \"User Logged Out\"\r\n", "close")
}

// TestMUPDATEInside holds a session inside TLS.
func TestMUPDATEInside(t *testing.T) {
	session, _, greeting := open(t, negotiate.Find("mupdate"))
	if greeting != "" {
		t.Errorf("a client is shown %q, but the server greets again", greeting)
	}
	conversePackets(t, session,
		"S: * AUTH PLAIN\r\n* OK MUPDATE \"mail.example.org\" \"testserver\" \"1\" \"(master)\"\r\n",
		"C: a STARTTLS\r\n", "S: a NO \"TLS is there\"\r\n",
		"C: b NOOP\r\n", "S: b NO \"Please authenticate first\"\r\n",
		"C: c AUTHENTICATE \"PLAIN\" \"AGRlbW8Ad3Jvbmc=\"\r\n", "S: c NO \"not so, or not in the clear\"\r\n",
		"C: d AUTHENTICATE PLAIN AGRlbW8AZGVtbw==\r\n", "S: d OK \"Authenticated\"\r\n",
		"C: e AUTHENTICATE PLAIN AGRlbW8AZGVtbw==\r\n", "S: e NO \"once is enough\"\r\n",
		"C: f FIND \"user.nobody\"\r\n", "S: f OK \"Search Complete\"\r\n",
		"C: g LIST\r\n", "S: g MAILBOX \"user.demo\" \"mail.example.org!default\" \"demo lrswipcda\"\r\ng OK \"Search Complete\"\r\n",
		"C: h SELECT \"INBOX\"\r\n", "S: h BAD \"Unrecognized command\"\r\n",
		"C: i LOGOUT\r\n", "S: i BYE \"User Logged Out\"\r\n", "close")
}

// TestMUPDATECleartextBehindRequest checks that what comes in the clear behind STARTTLS ends
// the connection.
func TestMUPDATECleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "mupdate")
	conversePackets(t, conn, mupdateTestBanner, "C: a STARTTLS\r\nb LOGOUT\r\n", "S: a OK \"Begin TLS negotiation now\"\r\n")
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}
