package testserver

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

func acapServers(servers map[string]protocol) {
	message := "\x00" + User + "\x00" + Password
	servers["acap"] = protocol{
		upgrade: acapLoop,
		session: acapLoop,
		talk:    []string{fmt.Sprintf("b1 AUTHENTICATE \"PLAIN\" {%d+}\r\n%s", len(message), message), "b2 NOOP", "b3 LOGOUT"},
	}
}

// acapMax is how long a literal may be, in bytes.
const acapMax = 1024

// acapLoop greets and answers commands, in the clear until STARTTLS, or inside TLS until
// LOGOUT (RFC 2244, and RFC 2595, 5). There are no settings.
func acapLoop(c *conn) error {
	clear, known := !c.inTLS(), false
	capabilities := `(SASL "PLAIN")`
	if clear {
		capabilities = "(SASL) (STARTTLS)"
	}
	if err := c.send(`* ACAP (IMPLEMENTATION "testserver") ` + capabilities); err != nil {
		return err
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		line, err = acapLiteral(c, line)
		if err != nil {
			return err
		}
		tag, command, _ := strings.Cut(line, " ")
		verb, arguments, _ := strings.Cut(command, " ")
		switch verb = strings.ToUpper(verb); {
		case tag == "" || verb == "":
			err = c.send(`* BAD "a tag and a command are wanted"`)
		case verb == "NOOP":
			err = c.send(tag + ` OK "done"`)
		case verb == "LOGOUT":
			if err := c.send(`* BYE "logging out"`, tag+` OK "done"`); err != nil || !clear {
				return err
			}
			return io.EOF
		case verb == "STARTTLS" && clear:
			return c.send(tag + ` OK "Begin TLS negotiation now"`)
		case verb == "STARTTLS":
			err = c.send(tag + ` BAD "TLS is active"`)
		case verb == "AUTHENTICATE" && (clear || known):
			err = c.send(tag + ` NO "not in the clear, and not twice"`)
		case verb == "AUTHENTICATE":
			if known = arguments == "\"PLAIN\" \x00"+User+"\x00"+Password; known {
				err = c.send(tag + ` OK "logged in"`)
			} else {
				err = c.send(tag + ` NO "wrong name or password"`)
			}
		default:
			err = c.send(tag + ` BAD "command not known"`)
		}
		if err != nil {
			return err
		}
	}
}

// acapLiteral puts a literal that a line ends in, and that is sent without waiting, in its
// place.
func acapLiteral(c *conn, line string) (string, error) {
	start, length, ok := strings.Cut(line, "{")
	n, err := strconv.ParseUint(strings.TrimSuffix(length, "+}"), 10, 16)
	if !ok || !strings.HasSuffix(length, "+}") || err != nil || n > acapMax {
		return line, nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return "", err
	}
	rest, err := c.readLine()
	return start + string(b) + rest, err
}
