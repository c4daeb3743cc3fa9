package testserver

import (
	"io"
	"strings"
)

func nntpServers(servers map[string]protocol) {
	inside := protocol{
		session: nntpLoop,
		talk:    []string{"CAPABILITIES", "LIST", "QUIT"},
	}
	servers["nntps"] = inside
	inside.upgrade = nntpLoop
	servers["nntp"] = inside
}

// nntpLoop answers commands in the clear until STARTTLS, or inside TLS until QUIT (RFC 3977,
// 4642). There is one group, without articles.
func nntpLoop(c *conn) error {
	clear := !c.inTLS()
	if clear || c.implicit {
		if err := c.send("201 " + Host + " ready, no posting"); err != nil {
			return err
		}
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		verb, args, _ := strings.Cut(strings.ToUpper(line), " ")
		switch {
		case verb == "QUIT":
			if err := c.send("205 bye"); err != nil || !clear {
				return err
			}
			return io.EOF
		case verb == "CAPABILITIES" && clear:
			err = c.send("101 capabilities:", "VERSION 2", "READER", "LIST ACTIVE", "STARTTLS", ".")
		case verb == "CAPABILITIES":
			err = c.send("101 capabilities:", "VERSION 2", "READER", "LIST ACTIVE", ".")
		case verb == "STARTTLS" && args != "":
			err = c.send("501 STARTTLS takes no argument")
		case verb == "STARTTLS" && clear:
			return c.send("382 continue with TLS negotiation")
		case verb == "STARTTLS":
			err = c.send("502 TLS is active")
		case clear:
			err = c.send("483 not in the clear, say STARTTLS")
		case verb == "MODE" && args == "READER":
			err = c.send("201 no posting")
		case verb == "LIST" && (args == "" || args == "ACTIVE"):
			err = c.send("215 groups:", "example.test 0 1 n", ".")
		default:
			err = c.send("500 command not known")
		}
		if err != nil {
			return err
		}
	}
}
