package testserver

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

func mupdateServers(servers map[string]protocol) {
	servers["mupdate"] = protocol{
		upgrade: mupdateLoop,
		session: mupdateLoop,
		talk: []string{
			`b1 AUTHENTICATE "PLAIN" "` + base64.StdEncoding.EncodeToString([]byte("\x00"+User+"\x00"+Password)) + `"`,
			`b2 FIND "user.demo"`,
			"b3 NOOP",
			"b4 LOGOUT",
		},
	}
}

// mupdateLoop sends the banner and answers commands, in the clear until STARTTLS, or inside
// TLS until LOGOUT (RFC 3656). There is one mailbox, and it stays where it is.
func mupdateLoop(c *conn) error {
	clear, known := !c.inTLS(), false
	mechanisms := []string{"* AUTH", "* STARTTLS"}
	if !clear {
		mechanisms = []string{"* AUTH PLAIN"}
	}
	if err := c.send(append(mechanisms, fmt.Sprintf(`* OK MUPDATE %q "testserver" "1" "(master)"`, Host))...); err != nil {
		return err
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		tag, command, _ := strings.Cut(line, " ")
		verb, arguments, _ := strings.Cut(command, " ")
		switch verb = strings.ToUpper(verb); {
		case tag == "" || verb == "":
			err = c.send(`* BAD "Need Command"`)
		case verb == "LOGOUT":
			if err := c.send(tag + ` BYE "User Logged Out"`); err != nil || !clear {
				return err
			}
			return io.EOF
		case verb == "STARTTLS" && clear:
			return c.send(tag + ` OK "Begin TLS negotiation now"`)
		case verb == "STARTTLS":
			err = c.send(tag + ` NO "TLS is there"`)
		case verb == "AUTHENTICATE" && known:
			err = c.send(tag + ` NO "once is enough"`)
		case verb == "AUTHENTICATE":
			known = !clear && mupdateLogin(arguments)
			if known {
				err = c.send(tag + ` OK "Authenticated"`)
			} else {
				err = c.send(tag + ` NO "not so, or not in the clear"`)
			}
		case !known:
			err = c.send(tag + ` NO "Please authenticate first"`)
		case verb == "NOOP":
			err = c.send(tag + ` OK "NOOP Complete"`)
		case verb == "FIND" && arguments == `"user.demo"` || verb == "LIST":
			err = c.send(tag+` MAILBOX "user.demo" "`+Host+`!default" "demo lrswipcda"`, tag+` OK "Search Complete"`)
		case verb == "FIND":
			err = c.send(tag + ` OK "Search Complete"`)
		default:
			err = c.send(tag + ` BAD "Unrecognized command"`)
		}
		if err != nil {
			return err
		}
	}
}

// mupdateLogin reports whether the arguments of AUTHENTICATE are right: the mechanism PLAIN
// (RFC 4616) and its message.
func mupdateLogin(arguments string) bool {
	mechanism, message, _ := strings.Cut(strings.ReplaceAll(arguments, `"`, ""), " ")
	plain, err := base64.StdEncoding.DecodeString(message)
	return err == nil && strings.EqualFold(mechanism, "PLAIN") && string(plain) == "\x00"+User+"\x00"+Password
}
