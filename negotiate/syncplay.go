package negotiate

import (
	"encoding/json"
	"io"
)

// Syncplay, startTLS, as its own client and server have it. Each line is an object of JSON:
//
//	C: {"TLS": {"startTLS": "send"}}
//	S: {"TLS": {"startTLS": "true"}}
//	   <TLS>
//
// "false" in place of "true" refuses, and "Error" in place of "TLS". Inside TLS the client
// says "Hello".
var syncplay = &Protocol{
	Name:    "syncplay",
	Family:  Chat,
	Title:   "watching films together (Syncplay)",
	Port:    8999,
	Specs:   []string{"Syncplay protocol"},
	Servers: []string{"Syncplay"},
	Lines:   true,
	Upgrade: upgradeSyncplay,
	Lead:    leadSyncplay,
	Remarks: []Remark{
		{`C: {"TLS"`, "the client speaks first; each line is an object of JSON"},
		{`S: {"TLS"`, `the go-ahead, if startTLS is "true"; "false" refuses, an Error too`},
	},
	Note: "Inside TLS the server is silent until the client has said Hello, and tells then, again and again, where the film is. " +
		"Syncplay's own client goes on in the clear when startTLS is refused; tlsup does not. " +
		"In a tunnel that is what its client is told, and it goes on to the session.",
}

var _ = register(syncplay)

func upgradeSyncplay(c *Conn, _ *Options) error {
	c.Step(Upgrade)
	if _, err := io.WriteString(c, `{"TLS": {"startTLS": "send"}}`+"\r\n"); err != nil {
		return err
	}
	line, err := c.ReadLine()
	if err != nil {
		return err
	}
	kind, body := syncplayMessage(line)
	switch {
	case kind == "TLS" && body["startTLS"] == "true":
		return nil
	case kind == "TLS" && body["startTLS"] == "false":
		return Hinted(Refused(line), "TLS is off at the server: --tls names the directory with its cert.pem, privkey.pem and chain.pem")
	case kind == "Error" && body["message"] != "":
		return Refused(body["message"])
	}
	return Unexpected(line)
}

// syncplayMessage takes a line apart into the name of its only message and the texts in it.
// Names of keys count as they are written, other than for structs.
func syncplayMessage(line string) (kind string, body map[string]string) {
	var messages map[string]map[string]string
	if json.Unmarshal([]byte(line), &messages) != nil || len(messages) != 1 {
		return "", nil
	}
	for kind, body = range messages {
	}
	return kind, body
}

// leadSyncplay refuses the client's own startTLS, which may be the first that it says: inside TLS the
// server would take it up.
func leadSyncplay(l *Local, _ *Conn) error {
	for {
		at := l.client.at
		line, err := l.client.ReadLine()
		if err != nil {
			return err
		}
		if kind, body := syncplayMessage(line); kind != "TLS" || body["startTLS"] != "send" {
			l.client.at = at // it is the server's
			return nil
		}
		if err := l.client.WriteLine(`{"TLS": {"startTLS": "false"}}`); err != nil {
			return err
		}
	}
}
