package negotiate

import (
	"bytes"
	"errors"
	"strings"
)

// POP3, STLS (RFC 2595, 4; RFC 2449):
//
//	S: +OK POP3 ready <1896.697170952@mail.example.org>
//	C: CAPA
//	S: +OK
//	S: STLS
//	S: .
//	C: STLS
//	S: +OK Begin TLS
//	   <TLS>
//
// Inside TLS the server is silent and the client asks for CAPA again.
var pop3 = &Protocol{
	Name:      "pop3",
	Family:    Mail,
	Title:     "fetching mail",
	Port:      110,
	Specs:     []string{"RFC 2595", "RFC 2449"},
	Servers:   []string{"Cyrus", "Dovecot"},
	Implicit:  "pop3s",
	Lines:     true,
	Recognise: greetsLikePOP3,
	Greets:    true,
	Upgrade:   upgradePOP3,
	Remarks: []Remark{
		{"S: +OK", "the greeting; -ERR refuses"},
		{"C: CAPA", "a server too old to know it answers -ERR, and is asked for STLS all the same"},
		{"S: STLS", "the offer; without it there is no session"},
		{"S: .", "the end of the list"},
		{"C: STLS", "nothing may follow it in the clear, on either side"},
		{"S: +OK Begin", "the go-ahead: the next byte belongs to the TLS handshake"},
	},
	Note: "Inside TLS the server is silent: ask for CAPA again, what it offered before no longer counts. " +
		"A stamp in the greeting, as in <1896.697170952@mail.example.org>, stays good for APOP.",
}

var pop3s = &Protocol{
	Name:    "pop3s",
	Family:  Mail,
	Title:   "POP3 in TLS from the first byte",
	Port:    995,
	ALPN:    []string{"pop3"},
	Specs:   []string{"RFC 8314"},
	Servers: []string{"Dovecot"},
	Sibling: "pop3",
	Lines:   true,
	Note:    greetsInside + " A stamp in it is good for APOP.",
}

var _ = register(pop3, pop3s)

// greetsLikePOP3 recognises a positive greeting; -ERR alone would say too little.
func greetsLikePOP3(b []byte) bool {
	if bytes.HasPrefix(b, []byte("-ERR Input buffer full")) {
		return true // Dovecot, if a ClientHello comes ahead of its greeting
	}
	rest, ok := bytes.CutPrefix(b, []byte("+OK"))
	return ok && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\r' || rest[0] == '\n')
}

func upgradePOP3(c *Conn, o *Options) error {
	greeting, err := readPOP3(c)
	if err != nil {
		return err
	}

	c.Step(Capabilities)
	if err := c.WriteLine("CAPA"); err != nil {
		return err
	}
	_, err = readPOP3(c)
	switch {
	case errors.Is(err, ErrRefused):
		// Older than RFC 2449: its answer to STLS decides.
	case err != nil:
		return err
	default:
		if err := c.findOffer("STLS"); err != nil {
			return err
		}
	}

	c.Step(Upgrade)
	if err := c.WriteLine("STLS"); err != nil {
		return err
	}
	if _, err := readPOP3(c); err != nil {
		return err
	}
	c.Greeting = []byte("+OK ready\r\n")
	if stamp := apopStamp(greeting); stamp != "" {
		c.Greeting = []byte("+OK ready " + stamp + "\r\n")
	}
	return nil
}

// readPOP3 reads a status line (RFC 1939, 3) and returns the text behind +OK.
func readPOP3(c *Conn) (string, error) {
	line, err := c.ReadLine()
	if err != nil {
		return "", err
	}
	switch status, text, _ := strings.Cut(line, " "); status {
	case "+OK":
		return text, nil
	case "-ERR":
		return "", Refused(line)
	}
	return "", Unexpected(line)
}

// maxStamp is how long a stamp may be that is shown to a tunnel's client, in bytes.
const maxStamp = 128

// msgID matches the form of a stamp (RFC 1939, 7): "<local@domain>" in printable ASCII.
var msgID = lazy(`<[!-;=?A-~]+@[!-;=?A-~]+>`)

// apopStamp returns the first stamp in a greeting, or "". The server keeps it through
// TLS, and a client needs it for APOP.
func apopStamp(greeting string) string {
	stamp := msgID.get().FindString(greeting)
	if len(stamp) > maxStamp {
		return ""
	}
	return stamp
}
