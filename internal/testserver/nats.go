package testserver

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// natsMaxPayload is how long a message may be, in bytes.
const natsMaxPayload = 1 << 20

func natsServers(servers map[string]protocol) {
	servers["nats"] = protocol{
		upgrade: natsInfo,
		session: natsSession,
		talk: []string{
			`CONNECT {"verbose":true,"user":"` + User + `","pass":"` + Password + `"}`,
			"PING",
			"SUB greetings.* 1",
			"PUB greetings.all 5\r\nhello",
			"QUIT", // no operation of the protocol's: there is none that ends a session
		},
	}
}

// natsInfo says INFO, behind which the client has to start TLS (NATS documentation, "Client
// Protocol").
func natsInfo(c *conn) error {
	info, err := json.Marshal(map[string]any{
		"server_id": "NDEMO", "server_name": "demo", "version": "2.9.10", "go": "go1.19.8", "proto": 1, "headers": false,
		"host": "127.0.0.1", "port": 4222, "auth_required": true, "tls_required": true, "max_payload": natsMaxPayload, "client_id": 1,
	})
	if err != nil {
		return err
	}
	return c.send("INFO " + string(info) + " ")
}

// natsSubscription is what a client has subscribed to.
type natsSubscription struct{ subject, id string }

// natsSession answers operations. A message comes back to the client that published it if it
// has subscribed to the subject.
func natsSession(c *conn) error {
	var subscriptions []natsSubscription
	connected, verbose := false, true
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		words := strings.Fields(line)
		if len(words) == 0 {
			return natsFail(c, "Unknown Protocol Operation")
		}
		switch operation, arguments := strings.ToUpper(words[0]), words[1:]; {
		case operation == "CONNECT":
			if verbose, err = natsConnect(line[len("CONNECT"):]); err != nil {
				return natsFail(c, err.Error())
			}
			connected = true
		case operation == "PING" && len(arguments) == 0:
			if err := c.send("PONG"); err != nil {
				return err
			}
			continue
		case operation == "PONG" && len(arguments) == 0:
			continue
		case !connected:
			return natsFail(c, "Authorization Violation")
		case operation == "SUB" && (len(arguments) == 2 || len(arguments) == 3):
			subscriptions = append(subscriptions, natsSubscription{arguments[0], arguments[len(arguments)-1]})
		case operation == "UNSUB" && len(arguments) == 1:
			var left []natsSubscription
			for _, s := range subscriptions {
				if s.id != arguments[0] {
					left = append(left, s)
				}
			}
			subscriptions = left
		case operation == "PUB" && (len(arguments) == 2 || len(arguments) == 3):
			payload, err := natsPayload(c, arguments[len(arguments)-1])
			if err != nil {
				return natsFail(c, err.Error())
			}
			if verbose {
				if err := c.send("+OK"); err != nil {
					return err
				}
			}
			if err := natsDeliver(c, subscriptions, arguments, payload); err != nil {
				return err
			}
			continue
		default:
			return natsFail(c, "Unknown Protocol Operation")
		}
		if verbose {
			if err := c.send("+OK"); err != nil {
				return err
			}
		}
	}
}

// A natsFault is an error in the server's own words.
type natsFault string

func (f natsFault) Error() string { return string(f) }

// natsConnect checks the options of CONNECT, and tells whether the client wants to hear "+OK".
func natsConnect(object string) (verbose bool, err error) {
	options := struct {
		Verbose    bool
		User, Pass string
	}{Verbose: true}
	switch {
	case json.Unmarshal([]byte(strings.TrimSpace(object)), &options) != nil:
		return false, natsFault("Parser Error")
	case options.User != User || options.Pass != Password:
		return false, natsFault("Authorization Violation")
	}
	return options.Verbose, nil
}

// natsPayload reads a message of that length, and the line end behind it.
func natsPayload(c *conn, length string) (string, error) {
	n, err := strconv.ParseUint(length, 10, 32)
	switch {
	case err != nil:
		return "", natsFault("Parser Error")
	case n > natsMaxPayload:
		return "", natsFault("Maximum Payload Violation")
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, b); err != nil || string(b[n:]) != "\r\n" {
		return "", natsFault("Parser Error")
	}
	return string(b[:n]), nil
}

// natsDeliver sends a message to those who have subscribed. The arguments of PUB are the
// subject, one to answer to if there is one, and the length.
func natsDeliver(c *conn, subscriptions []natsSubscription, arguments []string, payload string) error {
	for _, s := range subscriptions {
		if !natsMatches(s.subject, arguments[0]) {
			continue
		}
		words := append([]string{"MSG", arguments[0], s.id}, arguments[1:]...)
		if err := c.send(strings.Join(words, " "), payload); err != nil {
			return err
		}
	}
	return nil
}

// natsMatches reports whether a subscription's subject, in which "*" stands for one token and
// ">" for those that follow, is that of a message.
func natsMatches(pattern, subject string) bool {
	tokens := strings.Split(subject, ".")
	for i, p := range strings.Split(pattern, ".") {
		switch {
		case i >= len(tokens):
			return false
		case p == ">":
			return true
		case p != "*" && p != tokens[i]:
			return false
		}
	}
	return strings.Count(pattern, ".") == strings.Count(subject, ".")
}

// natsFail says why the session ends here.
func natsFail(c *conn, why string) error { return c.send(fmt.Sprintf("-ERR '%s'", why)) }
