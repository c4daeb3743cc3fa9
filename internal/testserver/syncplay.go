package testserver

import (
	"encoding/json"
	"errors"
	"io"
)

func syncplayServers(servers map[string]protocol) {
	servers["syncplay"] = protocol{
		upgrade: syncplayLoop,
		session: syncplayLoop,
		talk: []string{
			`{"Hello": {"username": "` + User + `", "room": {"name": "cinema"}, "version": "1.6.9"}}`,
			`{"List": null}`,
			`{"Chat": "hello"}`,
			`{"Quit": null}`, // no message of the protocol's: there is none that ends a session
		},
	}
}

// syncplayClient is what the server knows of a client.
type syncplayClient struct{ name, room string }

// syncplayLoop answers messages in the clear until the one for TLS, or inside TLS until one
// that it does not know. Each line is an object of JSON, of which each key is a message.
func syncplayLoop(c *conn) error {
	var client syncplayClient
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		if line == "" {
			continue
		}
		var messages map[string]json.RawMessage
		if json.Unmarshal([]byte(line), &messages) != nil {
			return syncplayFail(c, "Not a json encoded string "+line)
		}
		for kind, body := range messages {
			answers, secure := client.answer(c, kind, body)
			for _, a := range answers {
				if err := syncplaySend(c, a.kind, a.body); err != nil {
					return err
				}
				if a.kind == "Error" {
					return io.EOF
				}
			}
			if secure {
				return nil
			}
		}
	}
}

// syncplayAnswer is a message of the server's.
type syncplayAnswer struct {
	kind string
	body any
}

// answer returns what is answered to a message, and whether TLS follows.
func (client *syncplayClient) answer(c *conn, kind string, body json.RawMessage) (answers []syncplayAnswer, secure bool) {
	fail := func(why string) ([]syncplayAnswer, bool) {
		return []syncplayAnswer{{"Error", map[string]any{"message": why}}}, false
	}
	switch {
	case kind == "TLS":
		var wish struct {
			StartTLS string `json:"startTLS"`
		}
		if json.Unmarshal(body, &wish) != nil || wish.StartTLS != "send" {
			return nil, false
		}
		if c.inTLS() {
			return []syncplayAnswer{{"TLS", map[string]any{"startTLS": "false"}}}, false
		}
		return []syncplayAnswer{{"TLS", map[string]any{"startTLS": "true"}}}, true
	case !c.inTLS():
		return fail("TLS is wanted")
	case kind == "Hello":
		var hello struct {
			Username string
			Room     struct{ Name string }
			Version  string
		}
		if json.Unmarshal(body, &hello) != nil || hello.Username == "" || hello.Room.Name == "" || hello.Version == "" {
			return fail("Not enough Hello arguments")
		}
		*client = syncplayClient{hello.Username, hello.Room.Name}
		return []syncplayAnswer{
			{"Hello", map[string]any{"username": client.name, "room": map[string]any{"name": client.room}, "version": hello.Version, "realversion": "1.6.9", "motd": ""}},
			{"State", map[string]any{"playstate": map[string]any{"position": 0, "paused": true, "doSeek": false, "setBy": nil}}},
		}, false
	case kind == "Error":
		return nil, false
	case (kind == "List" || kind == "Chat" || kind == "Set" || kind == "State") && client.name == "":
		return fail("You must be known to server before sending this command")
	case kind == "List":
		return []syncplayAnswer{{"List", map[string]any{client.room: map[string]any{client.name: map[string]any{"position": 0, "file": map[string]any{}}}}}}, false
	case kind == "Chat":
		var text string
		if json.Unmarshal(body, &text) != nil {
			return fail("Not a text")
		}
		return []syncplayAnswer{{"Chat", map[string]any{"username": client.name, "message": text}}}, false
	case kind == "Set" || kind == "State":
		return nil, false
	}
	return fail("Unknown command " + kind)
}

func syncplaySend(c *conn, kind string, body any) error {
	line, err := json.Marshal(map[string]any{kind: body})
	if err != nil {
		return err
	}
	return c.send(string(line))
}

// syncplayFail says why the session ends here.
func syncplayFail(c *conn, why string) error {
	return errors.Join(syncplaySend(c, "Error", map[string]any{"message": why}), io.EOF)
}
