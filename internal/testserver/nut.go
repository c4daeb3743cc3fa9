package testserver

import (
	"bufio"
	"io"
	"strings"
)

func nutServers(servers map[string]protocol) {
	servers["nut"] = protocol{
		upgrade: nutLoop,
		session: nutLoop,
		talk:    []string{"VER\n", "USERNAME " + User + "\n", "PASSWORD " + Password + "\n", "LIST UPS\n", "GET VAR office ups.status\n", "LOGOUT\n"},
		packets: &Packets{Split: bufio.ScanLines, Name: func(line []byte) string { return strings.TrimRight(string(line), "\n") }},
	}
}

// nutLoop answers commands in the clear until STARTTLS, or inside TLS until LOGOUT (RFC 9271).
// There is one device, and its power is there. Lines end in LF.
func nutLoop(c *conn) error {
	clear := !c.inTLS()
	user, password := "", ""
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		argument := strings.Join(words[1:], " ")
		switch command := words[0]; {
		case command == "STARTTLS" && clear:
			return nutSend(c, "OK STARTTLS")
		case command == "STARTTLS":
			err = nutSend(c, "ERR ALREADY-SSL-MODE")
		case command == "LOGOUT" || command == "DETACH":
			if err := nutSend(c, "OK Goodbye"); err != nil || !clear {
				return err
			}
			return io.EOF
		case command == "VER":
			err = nutSend(c, "Network UPS Tools, in the process")
		case command == "NETVER" || command == "PROTVER":
			err = nutSend(c, "1.3")
		case (command == "USERNAME" || command == "PASSWORD") && argument == "":
			err = nutSend(c, "ERR INVALID-ARGUMENT")
		case command == "USERNAME" && user == "":
			user = argument
			err = nutSend(c, "OK")
		case command == "PASSWORD" && password == "":
			password = argument
			err = nutSend(c, "OK")
		case command == "USERNAME" || command == "PASSWORD":
			err = nutSend(c, "ERR ALREADY-SET-"+command)
		case command == "LOGIN" || command == "ATTACH":
			if clear || user != User || password != Password {
				err = nutSend(c, "ERR ACCESS-DENIED")
			} else {
				err = nutSend(c, "OK")
			}
		case line == "LIST UPS":
			err = nutSend(c, "BEGIN LIST UPS", `UPS office "below the desk"`, "END LIST UPS")
		case line == "GET VAR office ups.status":
			err = nutSend(c, `VAR office ups.status "OL"`)
		case command == "LIST" || command == "GET":
			err = nutSend(c, "ERR INVALID-ARGUMENT")
		default:
			err = nutSend(c, "ERR UNKNOWN-COMMAND")
		}
		if err != nil {
			return err
		}
	}
}

// nutSend sends lines, each ended by LF.
func nutSend(c *conn, lines ...string) error {
	_, err := io.WriteString(c.Conn, strings.Join(lines, "\n")+"\n")
	return err
}
