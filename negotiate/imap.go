package negotiate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// IMAP, STARTTLS (RFC 9051, 6.2.1):
//
//	S: * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready
//	C: a1 CAPABILITY
//	S: * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED
//	S: a1 OK done
//	C: a2 STARTTLS
//	S: a2 OK Begin TLS negotiation now
//	   <TLS>
//
// Inside TLS the server is silent and the client asks for CAPABILITY again.
var imap = &Protocol{
	Name:      "imap",
	Family:    Mail,
	Title:     "reading mail on the server",
	Port:      143,
	Specs:     []string{"RFC 9051", "RFC 8314"},
	Servers:   []string{"Cyrus", "Dovecot"},
	Implicit:  "imaps",
	Lines:     true,
	Recognise: greetsLikeIMAP,
	Greets:    true,
	Upgrade:   upgradeIMAP,
	Remarks: []Remark{
		{"S: * OK", "the greeting; PREAUTH or BYE in place of OK ends the run"},
		{"C: a1 CAPABILITY", "asked whatever the greeting says"},
		{"S: * CAPABILITY", "the offer is the word STARTTLS; without it there is no session"},
		{"C: a2 STARTTLS", "nothing may follow it in the clear, on either side"},
		{"S: a2 OK", "the go-ahead: the next byte belongs to the TLS handshake"},
	},
	Note: "Inside TLS the server is silent: ask for CAPABILITY again, what it offered before no longer counts.",
}

var imaps = &Protocol{
	Name:    "imaps",
	Family:  Mail,
	Title:   "IMAP in TLS from the first byte",
	Port:    993,
	ALPN:    []string{"imap"},
	Specs:   []string{"RFC 8314"},
	Servers: []string{"Dovecot"},
	Sibling: "imap",
	Lines:   true,
	Note:    greetsInside,
}

var _ = register(imap, imaps)

// greetsLikeIMAP recognises the three greetings of RFC 9051, 7.1, but not those of
// MUPDATE (RFC 3656), which are built alike.
func greetsLikeIMAP(b []byte) bool {
	words := bytes.SplitN(bytes.ToUpper(b), []byte(" "), 4)
	if len(words) < 3 || string(words[0]) != "*" {
		return false
	}
	switch string(words[1]) {
	case "OK", "PREAUTH", "BYE":
		return !bytes.HasPrefix(words[2], []byte("MUPDATE"))
	}
	return false
}

func upgradeIMAP(c *Conn, o *Options) error {
	greeting, err := readIMAP(c)
	if err != nil {
		return err
	}
	if greeting.tag != "*" || greeting.word != "OK" {
		return Unexpected(greeting.line)
	}

	c.Step(Capabilities)
	offered := false
	if err := commandIMAP(c, "a1", "CAPABILITY", func(data imapLine) {
		offered = offered || data.word == "CAPABILITY" && slices.ContainsFunc(strings.Split(data.text, " "), func(atom string) bool {
			return strings.EqualFold(atom, "STARTTLS")
		})
	}); err != nil {
		return err
	}
	if !offered {
		return NotOffered("STARTTLS")
	}

	c.Step(Upgrade)
	if err := commandIMAP(c, "a2", "STARTTLS", func(imapLine) {}); err != nil {
		return err
	}
	// A word before the host: a bracket right behind OK would open a response code.
	c.Greeting = fmt.Appendf(nil, "* OK IMAP %s ready\r\n", greetingHost(o))
	return nil
}

// commandIMAP sends a command and reads up to its tagged OK. Untagged data goes to the
// function and is not kept.
func commandIMAP(c *Conn, tag, command string, untagged func(imapLine)) error {
	if err := c.WriteLine(tag + " " + command); err != nil {
		return err
	}
	for {
		answer, err := readIMAP(c)
		if err != nil {
			return err
		}
		if answer.tag == "*" {
			untagged(answer)
			continue
		}
		if answer.tag != tag {
			return Unexpected(answer.line)
		}
		switch answer.word {
		case "OK":
			return nil
		case "NO", "BAD":
			return Refused(answer.line)
		}
		return Unexpected(answer.line)
	}
}

// imapLine is a response of the server that consists of one line.
type imapLine struct {
	line string
	tag  string // "*" for untagged data
	word string // what it is, in upper case
	text string // what stands behind the word
}

// imapLiteral matches the end of a line that is followed by a literal (RFC 9051, 4.3).
var imapLiteral = lazy(`\{[0-9]+\+?\}$`)

// readIMAP reads a response. Whatever ends the run at any moment is an error.
func readIMAP(c *Conn) (imapLine, error) {
	line, err := c.ReadLine()
	if err != nil {
		return imapLine{}, err
	}
	tag, rest, _ := strings.Cut(line, " ")
	word, text, _ := strings.Cut(rest, " ")
	word = strings.ToUpper(word)
	switch {
	case tag == "+":
		return imapLine{}, fmt.Errorf("%w, a continuation that nothing asked for", Unexpected(line))
	case tag == "" || word == "":
		return imapLine{}, Unexpected(line)
	case imapLiteral.get().MatchString(line):
		// Its bytes could pass for lines.
		return imapLine{}, fmt.Errorf("%w, which announces a literal", Unexpected(line))
	case tag == "*" && word == "PREAUTH":
		// STARTTLS is not allowed once authenticated: a client has to close (RFC 9051, 7.1.4).
		return imapLine{}, Hinted(
			fmt.Errorf("%w, it claims that the session is authenticated already, as an attack on the way would to prevent TLS", Refused(line)),
			"nothing comes before TLS on the port for TLS from the first byte: imaps, port 993")
	case tag == "*" && word == "BYE":
		return imapLine{}, Refused(line)
	}
	return imapLine{line: line, tag: tag, word: word, text: text}, nil
}
