package testserver

import (
	"io"
	"strings"
)

func sieveServers(servers map[string]protocol) {
	servers["sieve"] = protocol{
		upgrade: sieveLoop,
		session: sieveLoop,
		talk:    []string{"CAPABILITY", `AUTHENTICATE "PLAIN" "AGRlbW8AZGVtbw=="`, "LISTSCRIPTS", "LOGOUT"},
	}
}

// sieveLoop answers commands in the clear until STARTTLS, or inside TLS until LOGOUT
// (RFC 5804). It says its capabilities first, in either. There is one script.
func sieveLoop(c *conn) error {
	clear, in := !c.inTLS(), false
	capabilities := []string{`"IMPLEMENTATION" "tlsup"`, `"SIEVE" "fileinto"`, `"VERSION" "1.0"`}
	if clear {
		capabilities = append(capabilities, `"SASL" ""`, `"STARTTLS"`)
	} else {
		capabilities = append(capabilities, `"SASL" "PLAIN"`)
	}
	if err := c.send(append(capabilities, `OK "`+Host+` ready"`)...); err != nil {
		return err
	}
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		verb, args, _ := strings.Cut(line, " ")
		switch verb = strings.ToUpper(verb); {
		case verb == "LOGOUT":
			if err := c.send(`OK "bye"`); err != nil || !clear {
				return err
			}
			return io.EOF
		case verb == "CAPABILITY":
			err = c.send(append(capabilities, "OK")...)
		case verb == "NOOP":
			err = c.send("OK")
		case verb == "STARTTLS" && clear:
			return c.send(`OK "Begin TLS negotiation now."`)
		case verb == "STARTTLS":
			err = c.send(`NO "TLS is active"`)
		case verb == "AUTHENTICATE" && clear:
			err = c.send(`NO (ENCRYPT-NEEDED) "not in the clear"`)
		case verb == "AUTHENTICATE" && !in && args == `"PLAIN" "AGRlbW8AZGVtbw=="`: // NUL demo NUL demo
			in = true
			err = c.send(`OK "logged in"`)
		case verb == "AUTHENTICATE":
			err = c.send(`NO "wrong name or password"`)
		case verb == "LISTSCRIPTS" && in:
			err = c.send(`"holiday" ACTIVE`, "OK")
		default:
			err = c.send(`NO "command not known, or not before a login"`)
		}
		if err != nil {
			return err
		}
	}
}
