package testserver

import (
	"io"
	"testing"

	"tlsup/negotiate"
)

// TestSyncplayClear says things in the clear that are not the way to TLS.
func TestSyncplayClear(t *testing.T) {
	for name, dialogue := range map[string][]string{
		"hello":    {`C: {"Hello": {"username": "demo", "room": {"name": "cinema"}, "version": "1.6.9"}}` + "\r\n", `S: {"Error":{"message":"TLS is wanted"}}` + "\r\n", "close"},
		"not JSON": {"C: hello\r\n", `S: {"Error":{"message":"Not a json encoded string hello"}}` + "\r\n", "close"},
		"other wish": {
			"C: \r\n", `C: {"TLS": {"startTLS": "true"}}` + "\r\n", `C: {"TLS": []}` + "\r\n",
			`C: {"TLS": {"startTLS": "send"}}` + "\r\n", `S: {"TLS":{"startTLS":"true"}}` + "\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "syncplay")
			conversePackets(t, conn, dialogue...)
		})
	}
}

// TestSyncplayInside holds sessions inside TLS.
func TestSyncplayInside(t *testing.T) {
	const (
		hello  = `C: {"Hello": {"username": "demo", "room": {"name": "cinema"}, "version": "1.6.9"}}` + "\r\n"
		hallo  = `S: {"Hello":{"motd":"","realversion":"1.6.9","room":{"name":"cinema"},"username":"demo","version":"1.6.9"}}` + "\r\n"
		paused = `S: {"State":{"playstate":{"doSeek":false,"paused":true,"position":0,"setBy":null}}}` + "\r\n"
	)
	for name, dialogue := range map[string][]string{
		"chat": {
			hello, hallo, paused, `C: {"Set": {"ready": {"isReady": true}}}` + "\r\n", `C: {"Chat": "hi"}` + "\r\n", `S: {"Chat":{"message":"hi","username":"demo"}}` + "\r\n",
			`C: {"List": null}` + "\r\n", `S: {"List":{"cinema":{"demo":{"file":{},"position":0}}}}` + "\r\n",
			`C: {"Chat": 1}` + "\r\n", `S: {"Error":{"message":"Not a text"}}` + "\r\n", "close",
		},
		"TLS once more": {`C: {"TLS": {"startTLS": "send"}}` + "\r\n", `S: {"TLS":{"startTLS":"false"}}` + "\r\n", hello, hallo},
		"nobody":        {`C: {"List": null}` + "\r\n", `S: {"Error":{"message":"You must be known to server before sending this command"}}` + "\r\n", "close"},
		"half a hello":  {`C: {"Hello": {"username": "demo"}}` + "\r\n", `S: {"Error":{"message":"Not enough Hello arguments"}}` + "\r\n", "close"},
		"unknown":       {`C: {"Quit": null}` + "\r\n", `S: {"Error":{"message":"Unknown command Quit"}}` + "\r\n", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find("syncplay"))
			conversePackets(t, session, dialogue...)
		})
	}
}

// TestSyncplayCleartextBehindRequest checks that what comes in the clear behind the request
// ends the connection.
func TestSyncplayCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "syncplay")
	conversePackets(t, conn, `C: {"TLS": {"startTLS": "send"}}`+"\r\n"+`{"Hello": {}}`+"\r\n", `S: {"TLS":{"startTLS":"true"}}`+"\r\n")
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}
