package testserver

import (
	"testing"

	"tlsup/negotiate"
)

// TestNATSInside holds sessions inside TLS.
func TestNATSInside(t *testing.T) {
	const connect = "C: CONNECT {\"verbose\":false,\"user\":\"demo\",\"pass\":\"demo\"}\r\n"
	for name, dialogue := range map[string][]string{
		"verbose": {
			"C: connect {\"user\":\"demo\",\"pass\":\"demo\"}\r\n", "S: +OK\r\n", "C: PONG\r\n", "C: ping\r\n", "S: PONG\r\n",
			"C: SUB a.* workers 7\r\n", "S: +OK\r\n", "C: PUB a.b answers 4\r\n\r\nhi\r\n", "S: +OK\r\nMSG a.b 7 answers 4\r\n\r\nhi\r\n",
			"C: UNSUB 7\r\n", "S: +OK\r\n", "C: PUB a.b 0\r\n\r\n", "S: +OK\r\n",
		},
		"quiet": {
			connect, "C: SUB a.> 1\r\n", "C: SUB b 2\r\n", "C: SUB a 3\r\n", "C: SUB a.b.c.d 4\r\n",
			"C: PUB a.b.c 1\r\nx\r\n", "S: MSG a.b.c 1 1\r\nx\r\n", "C: PING\r\n", "S: PONG\r\n",
		},
		"wrong password": {"C: CONNECT {\"user\":\"demo\",\"pass\":\"x\"}\r\n", "S: -ERR 'Authorization Violation'\r\n", "close"},
		"nobody":         {"C: PING\r\n", "S: PONG\r\n", "C: SUB a 1\r\n", "S: -ERR 'Authorization Violation'\r\n", "close"},
		"no JSON":        {"C: CONNECT x\r\n", "S: -ERR 'Parser Error'\r\n", "close"},
		"unknown":        {connect, "C: QUIT\r\n", "S: -ERR 'Unknown Protocol Operation'\r\n", "close"},
		"empty":          {connect, "C: \r\n", "S: -ERR 'Unknown Protocol Operation'\r\n", "close"},
		"too long":       {connect, "C: PUB a 1048577\r\n", "S: -ERR 'Maximum Payload Violation'\r\n", "close"},
		"no length":      {connect, "C: PUB a x\r\n", "S: -ERR 'Parser Error'\r\n", "close"},
		"wrong length":   {connect, "C: PUB a 1\r\nxyz\r\n", "S: -ERR 'Parser Error'\r\n", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find("nats"))
			conversePackets(t, session, dialogue...)
		})
	}
}
