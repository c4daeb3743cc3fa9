package testserver

import (
	"io"
	"testing"

	"tlsup/negotiate"
)

// TestNUTClear says things in the clear that are not the way to TLS.
func TestNUTClear(t *testing.T) {
	_, conn := dial(t, "nut")
	conversePackets(t, conn,
		"C: VER\n", "S: Network UPS Tools, in the process\n",
		"C: USERNAME demo\n", "S: OK\n", "C: USERNAME demo\n", "S: ERR ALREADY-SET-USERNAME\n",
		"C: PASSWORD\n", "S: ERR INVALID-ARGUMENT\n", "C: PASSWORD demo\n", "S: OK\n",
		"C: LOGIN office\n", "S: ERR ACCESS-DENIED\n",
		"C: starttls\n", "S: ERR UNKNOWN-COMMAND\n",
		"C: \n\nLOGOUT\n", "S: OK Goodbye\n", "close")
}

// TestNUTInside holds sessions inside TLS.
func TestNUTInside(t *testing.T) {
	for name, dialogue := range map[string][]string{
		"session": {
			"C: USERNAME demo\nPASSWORD demo\nATTACH office\n", "S: OK\nOK\nOK\n",
			"C: LIST UPS\r\n", "S: BEGIN LIST UPS\nUPS office \"below the desk\"\nEND LIST UPS\n",
			"C: GET VAR office ups.status\n", "S: VAR office ups.status \"OL\"\n",
			"C: LIST VAR\n", "S: ERR INVALID-ARGUMENT\n",
			"C: PROTVER\n", "S: 1.3\n",
			"C: DETACH\n", "S: OK Goodbye\n", "close",
		},
		"nobody":         {"C: LOGIN office\n", "S: ERR ACCESS-DENIED\n", "C: LOGOUT\n", "S: OK Goodbye\n", "close"},
		"wrong password": {"C: USERNAME demo\nPASSWORD bad\nLOGIN office\n", "S: OK\nOK\nERR ACCESS-DENIED\n"},
		"TLS once more":  {"C: STARTTLS\n", "S: ERR ALREADY-SSL-MODE\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find("nut"))
			conversePackets(t, session, dialogue...)
		})
	}
}

// TestNUTCleartextBehindRequest checks that what comes in the clear behind STARTTLS ends the
// connection.
func TestNUTCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "nut")
	conversePackets(t, conn, "C: STARTTLS\nLOGOUT\n", "S: OK STARTTLS\n")
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}
