package testserver

import (
	"fmt"
	"io"
	"strings"
)

// Servers of lines and of XML that have TLS from the first byte alone.
func implicitServers(servers map[string]protocol) {
	servers["gemini"] = protocol{session: geminiSession, talk: []string{"gemini://" + Host + "/"}}
	servers["rediss"] = protocol{session: redisSession, talk: []string{"PING", "ECHO hello", "QUIT"}}
	servers["sips"] = protocol{
		alpn:    []string{"sip/2"},
		session: func(c *conn) error { return requests(c, "SIP/2.0", "Via", "From", "To", "Call-ID", "CSeq") },
		talk: []string{strings.Join([]string{
			"OPTIONS sips:" + Host + " SIP/2.0", "Via: SIP/2.0/TLS client.example.org;branch=z9hG4bK1", "From: <sips:demo@example.org>;tag=1",
			"To: <sips:" + Host + ">", "Call-ID: 1@client.example.org", "CSeq: 1 OPTIONS", "Max-Forwards: 70", "Content-Length: 0", "",
		}, "\r\n")},
	}
	servers["rtsps"] = protocol{
		session: func(c *conn) error { return requests(c, "RTSP/2.0", "CSeq") },
		talk:    []string{"OPTIONS rtsps://" + Host + "/ RTSP/2.0\r\nCSeq: 1\r\n"},
	}
	servers["netconf-tls"] = protocol{
		session: netconfSession,
		talk: []string{
			netconfHello("") + netconfEnd,
			`<rpc message-id="1" xmlns="` + netconfXML + `"><close-session/></rpc>` + netconfEnd,
		},
	}
}

// geminiSession answers one request (Gemini protocol, "Requests" and "Responses").
func geminiSession(c *conn) error {
	url, err := c.readLine()
	switch {
	case err != nil:
		return err
	case !strings.HasPrefix(url, "gemini://"):
		return c.send("59 a URL of gemini: is wanted")
	}
	return c.send("20 text/gemini", "# hello")
}

// redisSession answers commands in one line each (Redis serialization protocol, "Inline commands").
func redisSession(c *conn) error {
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		command, argument, _ := strings.Cut(line, " ")
		switch strings.ToUpper(command) {
		case "":
		case "PING":
			err = c.send("+PONG")
		case "ECHO":
			err = c.send(fmt.Sprintf("$%d", len(argument)), argument)
		case "QUIT":
			return c.send("+OK")
		default:
			err = c.send("-ERR unknown command")
		}
		if err != nil {
			return err
		}
	}
}

// requests answers OPTIONS as SIP (RFC 3261, 11.2) and RTSP (RFC 7826, 13.1) do, with the fields
// of the request that the answer has to repeat.
func requests(c *conn, version string, repeat ...string) error {
	for {
		method, fields, err := httpRequest(c, version)
		if err != nil {
			return err
		}
		status := "200 OK"
		switch method {
		case "OPTIONS":
		case "":
			status = "400 Bad Request"
		default:
			status = "501 Not Implemented"
		}
		answer := []string{version + " " + status}
		for _, name := range repeat {
			answer = append(answer, name+": "+fields[strings.ToLower(name)])
			if name == "To" {
				answer[len(answer)-1] += ";tag=demo"
			}
		}
		if err := c.send(append(answer, "Content-Length: 0", "")...); err != nil {
			return err
		}
	}
}

// netconfEnd follows each message of NETCONF's version 1.0 (RFC 6242, 4.3).
const (
	netconfEnd = "]]>]]>"
	netconfXML = "urn:ietf:params:xml:ns:netconf:base:1.0"
)

// netconfHello is the first message of either side; the server's has the number of the session.
func netconfHello(session string) string {
	return `<hello xmlns="` + netconfXML + `"><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability></capabilities>` + session + `</hello>`
}

// netconfSession ends when it is asked to, and knows nothing else (RFC 6241, 7.8 and appendix A).
func netconfSession(c *conn) error {
	if err := c.send(netconfHello("<session-id>1</session-id>") + netconfEnd); err != nil {
		return err
	}
	greeted := false
	for {
		message, err := readUntil(c, netconfEnd)
		if err != nil {
			return err
		}
		switch {
		case !greeted && strings.Contains(message, "<hello"):
			greeted = true
		case greeted && strings.Contains(message, "<close-session/>"):
			return c.send(`<rpc-reply message-id="1" xmlns="` + netconfXML + `"><ok/></rpc-reply>` + netconfEnd)
		default:
			return io.EOF // no message of the protocol's
		}
	}
}

// readUntil reads up to the text, and at most 4096 bytes.
func readUntil(c *conn, end string) (string, error) {
	var read []byte
	for !strings.HasSuffix(string(read), end) {
		b, err := c.r.ReadByte()
		if err != nil {
			return "", err
		}
		if read = append(read, b); len(read) > 4096 {
			return "", fmt.Errorf("no %s", end)
		}
	}
	return string(read), nil
}
