package testserver

import (
	"io"
	"strings"
)

func ftpServers(servers map[string]protocol) {
	inside := protocol{
		session: ftpLoop,
		talk:    []string{"USER " + User, "PASS " + Password, "PWD", "QUIT"},
	}
	servers["ftps"] = inside
	inside.upgrade = ftpLoop
	servers["ftp"] = inside
}

// ftpLoop answers commands in the clear until AUTH TLS, or inside TLS until QUIT (RFC 959,
// 4217). There are no data connections.
func ftpLoop(c *conn) error {
	clear := !c.inTLS()
	if clear || c.implicit {
		if err := c.send("220-"+Host+" FTP server", "Files for everybody,", "220 once they have logged in"); err != nil {
			return err
		}
	}
	user, in := "", false
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		verb, args, _ := strings.Cut(line, " ")
		switch verb = strings.ToUpper(verb); {
		case verb == "QUIT":
			if err := c.send("221 Goodbye"); err != nil || !clear {
				return err
			}
			return io.EOF
		case verb == "FEAT":
			err = c.send("211-Features:", " AUTH TLS", " PBSZ", " PROT", "211 End")
		case verb == "NOOP":
			err = c.send("200 fine")
		case verb == "AUTH" && clear && strings.EqualFold(args, "TLS"):
			return c.send("234 AUTH TLS OK")
		case verb == "AUTH" && clear:
			err = c.send("504 TLS is what there is")
		case clear:
			err = c.send("530 not in the clear, say AUTH TLS")
		case verb == "AUTH":
			err = c.send("503 TLS is active")
		case verb == "PBSZ" && args == "0":
			err = c.send("200 PBSZ=0")
		case verb == "PROT" && strings.EqualFold(args, "P"):
			err = c.send("200 data connections are private")
		case verb == "PBSZ" || verb == "PROT":
			err = c.send("536 PBSZ 0 and PROT P are what there is")
		case verb == "USER":
			user, in = args, false
			err = c.send("331 now the password")
		case verb == "PASS" && user == User && args == Password:
			in = true
			err = c.send("230 logged in")
		case verb == "PASS":
			err = c.send("530 wrong name or password")
		case verb == "PWD" && in:
			err = c.send(`257 "/" is the directory`)
		case verb == "PWD":
			err = c.send("530 not logged in")
		default:
			err = c.send("502 command not implemented")
		}
		if err != nil {
			return err
		}
	}
}
