package testserver

import (
	"io"
	"strings"
)

func imapServers(servers map[string]protocol) {
	inside := protocol{
		session: imapLoop,
		talk:    []string{"b1 CAPABILITY", "b2 LOGIN " + User + " " + Password, "b3 NOOP", "b4 LOGOUT"},
	}
	servers["imaps"] = inside
	inside.upgrade = imapLoop
	servers["imap"] = inside
}

// imapLoop answers commands in the clear until STARTTLS, or inside TLS until LOGOUT
// (RFC 9051). There is no mailbox to select.
func imapLoop(c *conn) error {
	clear := !c.inTLS()
	capabilities := "CAPABILITY IMAP4rev1"
	if clear {
		capabilities += " STARTTLS LOGINDISABLED"
	}
	if clear || c.implicit {
		if err := c.send("* OK [" + capabilities + "] " + Host + " ready"); err != nil {
			return err
		}
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		tag, command, _ := strings.Cut(line, " ")
		verb, args, _ := strings.Cut(command, " ")
		switch verb = strings.ToUpper(verb); {
		case tag == "" || verb == "":
			err = c.send("* BAD a tag and a command are wanted")
		case verb == "CAPABILITY":
			err = c.send("* "+capabilities, tag+" OK done")
		case verb == "NOOP":
			err = c.send(tag + " OK done")
		case verb == "STARTTLS" && clear:
			return c.send(tag + " OK Begin TLS negotiation now")
		case verb == "STARTTLS":
			err = c.send(tag + " BAD TLS is active")
		case (verb == "LOGIN" || verb == "AUTHENTICATE") && clear:
			err = c.send(tag + " NO [PRIVACYREQUIRED] not in the clear")
		case verb == "LOGIN" && strings.ReplaceAll(args, `"`, "") == User+" "+Password:
			err = c.send(tag + " OK logged in")
		case verb == "LOGIN":
			err = c.send(tag + " NO [AUTHENTICATIONFAILED] wrong name or password")
		case verb == "LOGOUT":
			if err := c.send("* BYE logging out", tag+" OK done"); err != nil || !clear {
				return err
			}
			return io.EOF
		default:
			err = c.send(tag + " BAD command not known")
		}
		if err != nil {
			return err
		}
	}
}
