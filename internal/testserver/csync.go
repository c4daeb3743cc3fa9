package testserver

import (
	"encoding/base64"
	"io"
	"strings"
)

func csyncServers(servers map[string]protocol) {
	servers["csync"] = protocol{
		upgrade: csyncLoop,
		session: csyncLoop,
		talk: []string{
			"AUTHENTICATE PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+User+"\x00"+Password)),
			"NOOP",
			"GET MAILBOXES (user.demo)",
			"EXIT",
		},
	}
}

// csyncLoop sends the banner and answers commands, in the clear until STARTTLS, or inside TLS
// until EXIT (Cyrus' imap/sync_server.c). There is one mailbox, and nothing in it.
func csyncLoop(c *conn) error {
	clear, known := !c.inTLS(), false
	banner := []string{"* STARTTLS", "* COMPRESS DEFLATE"}
	if !clear {
		banner = []string{"* SASL PLAIN"}
	}
	if err := c.send(append(banner, "* SIEVE-MAILBOX", "* OK "+Host+" Cyrus sync server testserver")...); err != nil {
		return err
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		verb, arguments, _ := strings.Cut(line, " ")
		switch verb = strings.ToUpper(verb); {
		case verb == "":
			err = c.send("BAD Null command")
		case verb == "EXIT":
			if err := c.send("OK Finished"); err != nil || !clear {
				return err
			}
			return io.EOF
		case verb == "NOOP":
			err = c.send("OK Noop completed")
		case verb == "STARTTLS" && clear:
			return c.send("OK Begin TLS negotiation now")
		case verb == "STARTTLS":
			err = c.send("BAD Already did a successful Starttls")
		case verb == "AUTHENTICATE" && known:
			err = c.send("BAD Already authenticated")
		case verb == "AUTHENTICATE":
			if known = !clear && mupdateLogin(arguments); known {
				err = c.send("OK Success (tls protection)")
			} else {
				err = c.send("NO not so, or not in the clear")
			}
		case !known:
			err = c.send("NO Please authenticate first")
		case verb == "GET" && arguments == "MAILBOXES (user.demo)":
			err = c.send("* MAILBOX %(UNIQUEID 1 MBOXNAME user.demo LAST_UID 0 PARTITION default ACL \"demo lrswipcda\" RECORD ())", "OK success")
		case verb == "GET":
			err = c.send("OK success")
		default:
			err = c.send("BAD IMAP_PROTOCOL_ERROR Unrecognized command")
		}
		if err != nil {
			return err
		}
	}
}
