package testserver

import (
	"fmt"
	"io"
	"strings"
)

func ircServers(servers map[string]protocol) {
	inside := protocol{
		session: ircSession,
		talk:    []string{"NICK demo\r\nUSER demo 0 * :demo", "PING hello", "QUIT :bye"},
	}
	servers["ircs"] = inside
	inside.upgrade = ircUpgrade
	servers["irc"] = inside
}

const ircLookup = ":" + Host + " NOTICE * :*** Looking up your hostname..."

// ircSend sends a message of the server's.
func ircSend(c *conn, format string, args ...any) error {
	return c.send(":" + Host + " " + fmt.Sprintf(format, args...))
}

// ircCommand reads a message of the client's: a command in upper case, and the rest of it.
func ircCommand(c *conn) (verb, args string, err error) {
	line, err := c.readLine()
	verb, args, _ = strings.Cut(line, " ")
	return strings.ToUpper(verb), args, err
}

// ircUpgrade answers messages in the clear until STARTTLS (IRCv3's tls extension).
func ircUpgrade(c *conn) error {
	if err := c.send(ircLookup); err != nil {
		return err
	}
	for {
		verb, args, err := ircCommand(c)
		switch {
		case err != nil:
			return err
		case verb == "CAP" && strings.HasPrefix(strings.ToUpper(args), "LS"):
			// From here on the registration is held back until CAP END.
			c.held = true
			err = ircSend(c, "CAP * LS :multi-prefix tls")
		case verb == "CAP" && strings.EqualFold(args, "END"):
			c.held = false
		case verb == "STARTTLS":
			return ircSend(c, "670 * :STARTTLS successful, go ahead with TLS handshake")
		case verb == "QUIT":
			if err := c.send("ERROR :Closing Link"); err != nil {
				return err
			}
			return io.EOF
		default:
			err = ircSend(c, "451 * :not in the clear, say STARTTLS")
		}
		if err != nil {
			return err
		}
	}
}

// ircSession answers messages inside TLS until QUIT: a registration, and PING (RFC 2812).
func ircSession(c *conn) error {
	if c.implicit {
		if err := c.send(ircLookup); err != nil {
			return err
		}
	}
	nick, user, in := "*", "", false
	for {
		verb, args, err := ircCommand(c)
		switch {
		case err != nil:
			return err
		case verb == "QUIT":
			return c.send("ERROR :Closing Link: " + nick + " (Quit)")
		case verb == "CAP" && strings.HasPrefix(strings.ToUpper(args), "LS"):
			c.held = !in
			err = ircSend(c, "CAP %s LS :multi-prefix", nick)
		case verb == "CAP" && strings.EqualFold(args, "END"):
			c.held = false
		case verb == "NICK":
			nick = args
		case verb == "USER" && !in:
			user = args
		case verb == "PING" && in:
			err = ircSend(c, "PONG %s :%s", Host, args)
		case !in:
			err = ircSend(c, "451 %s :You have not registered", nick)
		default:
			err = ircSend(c, "421 %s %s :Unknown command", nick, verb)
		}
		if err == nil && !in && !c.held && nick != "*" && user != "" {
			in = true
			err = ircSend(c, "001 %s :Welcome", nick)
		}
		if err != nil {
			return err
		}
	}
}
