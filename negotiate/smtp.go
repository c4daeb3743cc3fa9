package negotiate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// SMTP, STARTTLS (RFC 3207):
//
//	S: 220 mail.example.org ESMTP
//	C: EHLO client.example.org
//	S: 250-mail.example.org
//	S: 250 STARTTLS
//	C: STARTTLS
//	S: 220 2.0.0 Ready to start TLS
//	   <TLS>
//
// Inside TLS the server is silent and the client says EHLO again.
var smtp = &Protocol{
	Name:      "smtp",
	Family:    Mail,
	Title:     "mail between servers",
	MX:        true,
	Port:      25,
	Specs:     []string{"RFC 3207", "RFC 5321"},
	Servers:   []string{"Postfix"},
	Implicit:  "smtps",
	Lines:     true,
	Names:     OwnName,
	Recognise: greetsLikeSMTP("SMTP"),
	Greets:    true,
	Upgrade:   upgradeSMTP("EHLO"),
	Remarks:   smtpRemarks,
	Note:      smtpNote,
}

var submission = &Protocol{
	Name:     "submission",
	Family:   Mail,
	Title:    "mail from a user's program to the first server",
	Port:     587,
	Specs:    []string{"RFC 3207", "RFC 6409"},
	Servers:  []string{"Postfix"},
	Implicit: "smtps",
	Lines:    true,
	Names:    OwnName,
	Greets:   true,
	Upgrade:  upgradeSMTP("EHLO"),
	Remarks:  smtpRemarks,
	Note:     smtpNote,
}

var smtps = &Protocol{
	Name:    "smtps",
	Aliases: []string{"submissions"},
	Family:  Mail,
	Title:   "submission in TLS from the first byte",
	Port:    465,
	Specs:   []string{"RFC 8314"},
	Servers: []string{"Postfix"},
	Sibling: "submission",
	Lines:   true,
	Note:    greetsInside,
}

var _ = register(smtp, submission, smtps)

var smtpRemarks = []Remark{
	{"S: 220", "the greeting, of one line or several; 554 or 421 refuses"},
	{"C: EHLO", "our own name: --starttls-name, else the machine's, else its address"},
	{"S: 250-STARTTLS", "the offer; without it there is no session"},
	{"C: STARTTLS", "nothing may follow it in the clear, on either side"},
	{"S: 220 2.0.0", "the go-ahead: the next byte belongs to the TLS handshake"},
}

const smtpNote = "Inside TLS the server is silent: say EHLO again, what it offered before no longer counts."

// greetsLikeSMTP returns a function that recognises a 220 greeting which names the
// protocol, or names none, and a 554 that names it: Postfix, from 3.9 on, answers
// "554 5.5.0 Error: SMTP protocol synchronization" to a ClientHello.
func greetsLikeSMTP(protocol string) func([]byte) bool {
	return func(b []byte) bool {
		upper := bytes.ToUpper(b)
		if !bytes.HasPrefix(upper, []byte("220")) {
			return bytes.HasPrefix(upper, []byte("554")) && bytes.Contains(upper, []byte(" "+protocol+" "))
		}
		if bytes.Contains(upper, []byte("LMTP")) {
			return protocol == "LMTP"
		}
		return protocol == "SMTP" && !bytes.Contains(upper, []byte("FTP")) && !bytes.Contains(upper, []byte("FILEZILLA"))
	}
}

// upgradeSMTP returns the upgrade of SMTP and LMTP, which differ in one word.
func upgradeSMTP(hello string) func(*Conn, *Options) error {
	return func(c *Conn, o *Options) error {
		greeting, err := readReply(c)
		if err != nil {
			return err
		}
		if err := greeting.expect("220"); err != nil {
			return err
		}

		c.Step(Capabilities)
		if err := c.WriteLine(hello + " " + helloName(c, o)); err != nil {
			return err
		}
		capabilities, err := readReply(c)
		if err != nil {
			return err
		}
		if capabilities.code == "500" || capabilities.code == "502" {
			return fmt.Errorf("%w, it does not know %s: %w", NotOffered("STARTTLS"), hello, Refused(capabilities.String()))
		}
		if err := capabilities.expect("250"); err != nil {
			return err
		}
		// The first line is the server's name, the others start with a keyword.
		if !slices.ContainsFunc(capabilities.lines[1:], func(line string) bool {
			keyword, _, _ := strings.Cut(line, " ")
			return strings.EqualFold(keyword, "STARTTLS")
		}) {
			return NotOffered("STARTTLS")
		}

		c.Step(Upgrade)
		if err := c.WriteLine("STARTTLS"); err != nil {
			return err
		}
		answer, err := readReply(c)
		if err != nil {
			return err
		}
		if err := answer.expect("220"); err != nil {
			return err
		}
		c.Greeting = fmt.Appendf(nil, "220 %s %s\r\n", greetingHost(o), map[string]string{"EHLO": "ESMTP", "LHLO": "LMTP"}[hello])
		return nil
	}
}

// reply is an SMTP reply (RFC 5321, 4.2): one code, and the text of each line.
type reply struct {
	code  string
	lines []string
}

func (r reply) String() string { return r.code + " " + strings.Join(r.lines, " ") }

// expect returns an error unless the reply has that code.
func (r reply) expect(code string) error {
	switch {
	case r.code == code:
		return nil
	case r.code[0] == '4' || r.code[0] == '5':
		return Refused(r.String())
	}
	return Unexpected(r.String())
}

// readReply reads a reply: lines "code-text", the last "code text" or the code alone.
func readReply(c *Conn) (reply, error) {
	var r reply
	for {
		line, err := c.ReadLine()
		if err != nil {
			return reply{}, err
		}
		if len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
			return reply{}, Unexpected(line)
		}
		if r.code == "" {
			r.code = line[:3]
		}
		more := len(line) > 3 && line[3] == '-'
		if line[:3] != r.code || len(line) > 3 && !more && line[3] != ' ' {
			return reply{}, Unexpected(line)
		}
		r.lines = append(r.lines, line[min(4, len(line)):])
		if !more {
			return r, nil
		}
	}
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
