package negotiate

import (
	"bytes"
	"fmt"
	"strings"
)

// FTP, AUTH TLS (RFC 4217, 4; replies: RFC 959, 4.2):
//
//	S: 220 ftp.example.org FTP server ready
//	C: AUTH TLS
//	S: 234 AUTH TLS ok
//	   <TLS>
//
// Inside TLS the server is silent and the client logs in. Data connections are in the
// clear until the client says PBSZ 0 and PROT P.
var ftp = &Protocol{
	Name:      "ftp",
	Family:    Files,
	Title:     "file transfer, the control connection",
	Port:      21,
	Specs:     []string{"RFC 4217", "RFC 959"},
	Servers:   []string{"ProFTPD", "vsftpd"},
	Implicit:  "ftps",
	Lines:     true,
	Recognise: greetsLikeFTP,
	Greets:    true,
	Upgrade:   upgradeFTP,
	Lead:      leadFTP,
	Ends:      endsFTP,
	Further:   true,
	Remarks: []Remark{
		{"S: 220", "the greeting, of one line or many; 120 asks for patience, 421 refuses"},
		{"C: AUTH TLS", "nothing may follow it in the clear, on either side"},
		{"S: 234", "the go-ahead: the next byte belongs to the TLS handshake"},
	},
	Note: "Inside TLS the server is silent and waits for the login. " + ftpDataNote,
}

var ftps = &Protocol{
	Name:    "ftps",
	Family:  Files,
	Title:   "file transfer in TLS from the first byte, the control connection",
	Port:    990,
	ALPN:    []string{"ftp"},
	Specs:   []string{"RFC 4217"},
	Servers: []string{"vsftpd"},
	Sibling: "ftp",
	Lines:   true,
	Lead:    leadFTP,
	Ends:    endsFTP,
	Further: true,
	Note:    greetsInside + " " + ftpDataNote,
}

var _ = register(ftp, ftps)

const ftpDataNote = "This is the control connection. Files and lists travel on others, which are in the clear " +
	"until you say PBSZ 0 and PROT P. A tunnel says that itself, and carries them too."

// greetsLikeFTP recognises a 220 or 120 that names FTP or a server of it, and one that names
// nothing and does not begin with a domain as SMTP's has to (RFC 5321, 4.2).
func greetsLikeFTP(b []byte) bool {
	line, _, _ := bytes.Cut(bytes.ToUpper(b), []byte("\n"))
	text, ok := bytes.CutPrefix(line, []byte("220"))
	if !ok {
		text, ok = bytes.CutPrefix(line, []byte("120"))
	}
	switch {
	case !ok || len(text) == 0 || text[0] != ' ' && text[0] != '-':
		return false
	case bytes.Contains(text, []byte("FTP")) || bytes.Contains(text, []byte("FILEZILLA")):
		return true
	}
	return !smtpDomain.get().Match(text) && !bytes.Contains(text, []byte("SMTP")) && !bytes.Contains(text, []byte("LMTP"))
}

// smtpDomain matches the text of a greeting that begins with a domain or an address literal.
var smtpDomain = lazy(`^[ -](\[|[0-9A-Z-]+\.[0-9A-Z.-]+)`)

func upgradeFTP(c *Conn, o *Options) error {
	if _, err := greetFTP(c); err != nil {
		return err
	}

	c.Step(Upgrade)
	if err := c.WriteLine("AUTH TLS"); err != nil {
		return err
	}
	answer, err := readFTP(c)
	if err != nil {
		return err
	}
	err = answer.expect("234")
	switch answer.code {
	case "500", "502", "503", "504", "530":
		err = Hinted(err, "the server has no TLS on this port, or it is off; TLS from the first byte would be ftps, port 990")
	case "431":
		err = Hinted(err, "the server lacks something for TLS, its certificate perhaps, or will have it later")
	case "534":
		err = Hinted(err, "the server's settings forbid TLS")
	}
	if err != nil {
		return err
	}
	c.Greeting = fmt.Appendf(nil, "220 %s FTP ready\r\n", greetingHost(o))
	if c.local != nil {
		c.local.state = &ftpStart{greeting: c.Greeting}
	}
	return nil
}

// greetFTP reads the greeting, which may be asked to be waited for. It is returned when it
// refuses, too.
func greetFTP(c *Conn) (reply, error) {
	greeting, err := readFTP(c)
	if err == nil && greeting.code == "120" {
		greeting, err = readFTP(c)
	}
	if err != nil {
		return reply{}, err
	}
	return greeting, greeting.expect("220")
}

// readFTP reads a reply: "code text", or "code-text" and any lines up to "code text".
func readFTP(c *Conn) (reply, error) {
	line, err := c.ReadLine()
	if err != nil {
		return reply{}, err
	}
	more, ok := ftpReplyStart(line)
	if !ok {
		return reply{}, Unexpected(line)
	}
	r := reply{code: line[:3], lines: []string{line[min(4, len(line)):]}}
	if !more {
		return r, nil
	}
	for {
		// A line between may begin with anything, other codes too.
		if line, err = c.ReadLine(); err != nil {
			return reply{}, err
		}
		text, last := strings.CutPrefix(line, r.code+" ")
		if line == r.code {
			text, last = "", true
		}
		r.lines = append(r.lines, text)
		if last {
			return r, nil
		}
	}
}

// ftpReplyStart reports whether a line is the first of a reply, and whether it says that more follow.
func ftpReplyStart(line string) (more, ok bool) {
	if len(line) < 3 || line[0] < '1' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return false, false
	}
	more = len(line) > 3 && line[3] == '-'
	return more, len(line) == 3 || more || line[3] == ' '
}
