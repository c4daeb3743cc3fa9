package testserver

import (
	"io"
	"slices"
	"strings"
)

func mtqpServers(servers map[string]protocol) {
	servers["mtqp"] = protocol{
		upgrade: mtqpLoop,
		session: mtqpLoop,
		talk:    []string{"COMMENT hello", "TRACK <" + mtqpMessage + "> " + mtqpSecret, "QUIT"},
	}
}

// The only message that can be tracked, and its secret in base64.
const (
	mtqpMessage = "12345-20010101@example.org"
	mtqpSecret  = "YWJjZGVmZ2g="
)

// mtqpLoop greets and answers commands, in the clear until STARTTLS, or inside TLS until QUIT
// (RFC 3887).
func mtqpLoop(c *conn) error {
	clear := !c.inTLS()
	greeting := []string{"+OK/MTQP MTQP server ready"}
	if clear {
		greeting = []string{"+OK+/MTQP MTQP server ready", "STARTTLS required", "."}
	}
	if err := c.send(greeting...); err != nil {
		return err
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		words := append(strings.Fields(line), "")
		switch verb, arguments := strings.ToUpper(words[0]), words[1:]; {
		case verb == "QUIT":
			if err := c.send("+OK bye"); err != nil || !clear {
				return err
			}
			return io.EOF
		case verb == "COMMENT":
			err = c.send("+OK heard")
		case verb == "STARTTLS" && !clear:
			err = c.send("-BAD/tls-in-progress TLS is active")
		case verb == "STARTTLS" && !slices.Contains([]string{Host, "example.org", "localhost", "127.0.0.1"}, arguments[0]):
			err = c.send("-BAD/bad-fqdn this is " + Host)
		case verb == "STARTTLS":
			return c.send("+OK Begin TLS negotiation")
		case verb == "TRACK" && clear:
			err = c.send("-ERR/tls-required not in the clear")
		case verb == "TRACK" && slices.Equal(arguments, []string{"<" + mtqpMessage + ">", mtqpSecret, ""}):
			err = c.send("+OK+ Tracking information follows",
				"Content-Type: multipart/related; boundary=%%%%; type=tracking-status", "",
				"--%%%%", "Content-Type: message/tracking-status", "",
				"Original-Envelope-Id: "+mtqpMessage, "Reporting-MTA: dns; "+Host, "",
				"Final-Recipient: rfc822; demo@example.org", "Action: delivered", "Status: 2.5.0", "",
				"--%%%%--", ".")
		case verb == "TRACK":
			err = c.send("-ERR/noinfo no such message")
		default:
			err = c.send("-BAD command not known")
		}
		if err != nil {
			return err
		}
	}
}
