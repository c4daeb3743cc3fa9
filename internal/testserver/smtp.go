package testserver

import (
	"io"
	"strings"
)

func smtpServers(servers map[string]protocol) {
	talk := []string{"EHLO client.example.org", "NOOP", "QUIT"}
	server := protocol{
		upgrade: func(c *conn) error { return smtpLoop(c, "ESMTP", "EHLO") },
		session: func(c *conn) error { return smtpLoop(c, "ESMTP", "EHLO") },
		talk:    talk,
	}
	servers["smtp"], servers["submission"] = server, server
	servers["auto"] = server // to be recognised: any server that greets will do
	servers["smtps"] = protocol{session: server.session, talk: talk}
	servers["lmtp"] = protocol{
		upgrade: func(c *conn) error { return smtpLoop(c, "LMTP", "LHLO") },
		session: func(c *conn) error { return smtpLoop(c, "LMTP", "LHLO") },
		talk:    []string{"LHLO client.example.org", "NOOP", "QUIT"},
	}
}

// smtpLoop answers commands in the clear until STARTTLS, or inside TLS until QUIT
// (RFC 5321, 3207).
func smtpLoop(c *conn, kind, hello string) error {
	clear := !c.inTLS()
	if clear || c.implicit {
		if err := c.send("220 " + Host + " " + kind + " ready"); err != nil {
			return err
		}
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch {
		case verb == hello && clear:
			err = c.send("250-"+Host, "250-PIPELINING", "250-STARTTLS", "250 8BITMIME")
		case verb == hello:
			err = c.send("250-"+Host, "250-PIPELINING", "250 AUTH PLAIN")
		case verb == "STARTTLS" && clear:
			return c.send("220 2.0.0 Ready to start TLS")
		case verb == "NOOP":
			err = c.send("250 2.0.0 OK")
		case verb == "QUIT":
			if err := c.send("221 2.0.0 Bye"); err != nil || !clear {
				return err
			}
			return io.EOF
		default:
			err = c.send("502 5.5.2 Command not known")
		}
		if err != nil {
			return err
		}
	}
}
