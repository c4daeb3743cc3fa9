package negotiate

import (
	"fmt"
	"strings"
)

// MUPDATE, between the servers of a Cyrus murder, STARTTLS (RFC 3656, 3.8 and 4.10):
//
//	S: * AUTH
//	S: * STARTTLS
//	S: * OK MUPDATE "mupdate.example.org" "Cyrus IMAP" "3.6.1" "(master)"
//	C: a1 STARTTLS
//	S: a1 OK "Begin TLS negotiation now"
//	   <TLS>
//
// NO, BAD and BYE refuse. Inside TLS the server sends its banner again, without STARTTLS.
var mupdate = &Protocol{
	Name:      "mupdate",
	Family:    Mail,
	Title:     "where mailboxes are, between servers (Cyrus MUPDATE)",
	Port:      3905,
	Specs:     []string{"RFC 3656"},
	Servers:   []string{"Cyrus"},
	Lines:     true,
	Recognise: mupdateBanner.Match,
	Greets:    true,
	Upgrade:   upgradeMUPDATE,
	Remarks: []Remark{
		{"S: * AUTH", "the banner begins; lines that are not known are skipped"},
		{"S: * STARTTLS", "the offer; without it there is no session"},
		{"S: * OK MUPDATE", "the end of the banner"},
		{"S: a1 OK", "the go-ahead: the next byte belongs to the TLS handshake"},
	},
	Note: "Inside TLS the server sends its banner again by itself, with the mechanisms that it takes there: it is the beginning of the session.",
}

var _ = register(mupdate)

// mupdateBanner matches how a banner begins.
var mupdateBanner = lazy(`^(?i:\* (AUTH[ \r\n]|OK MUPDATE "))`)

// cyrusHint is for servers that offer no upgrade.
const cyrusHint = "TLS may be off at the server: Cyrus wants tls_server_cert and tls_server_key in imapd.conf, and allowstarttls since version 3.13"

func upgradeMUPDATE(c *Conn, _ *Options) error {
	offered := false
	for done := false; !done; {
		answer, err := readMUPDATE(c)
		switch {
		case err != nil:
			return err
		case answer.tag != "*":
			return Unexpected(answer.line)
		case answer.word == "STARTTLS" && answer.text == "":
			offered = true
		case answer.word == "OK":
			if done = strings.HasPrefix(strings.ToUpper(answer.text), "MUPDATE "); !done {
				return Unexpected(answer.line)
			}
		}
	}
	if !offered {
		return Hinted(NotOffered("STARTTLS"), cyrusHint)
	}

	c.Step(Upgrade)
	if err := c.WriteLine("a1 STARTTLS"); err != nil {
		return err
	}
	answer, err := readMUPDATE(c)
	switch {
	case err != nil:
		return err
	case answer.tag == "a1" && answer.word == "OK":
		return nil
	}
	return Unexpected(answer.line)
}

// readMUPDATE reads a response of one line (RFC 3656, 3, and ACAP's are built alike). One that
// refuses, tagged or not, is an error.
func readMUPDATE(c *Conn) (imapLine, error) {
	line, err := c.ReadLine()
	if err != nil {
		return imapLine{}, err
	}
	tag, rest, _ := strings.Cut(line, " ")
	word, text, _ := strings.Cut(rest, " ")
	word = strings.ToUpper(word)
	switch {
	case tag == "" || word == "":
		return imapLine{}, Unexpected(line)
	case imapLiteral.get().MatchString(line):
		// Its bytes could pass for lines.
		return imapLine{}, fmt.Errorf("%w, which announces a literal", Unexpected(line))
	case (tag == "*" || tag == "a1") && (word == "NO" || word == "BAD" || word == "BYE"):
		return imapLine{}, Refused(line)
	}
	return imapLine{line: line, tag: tag, word: word, text: text}, nil
}
