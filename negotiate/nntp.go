package negotiate

import (
	"bytes"
	"fmt"
	"slices"
)

// NNTP, STARTTLS (RFC 4642, 2.2):
//
//	S: 200 news.example.org ready
//	C: CAPABILITIES
//	S: 101 Capability list follows
//	S: VERSION 2
//	S: STARTTLS
//	S: .
//	C: STARTTLS
//	S: 382 Continue with TLS negotiation
//	   <TLS>
//
// Inside TLS the server is silent and the client asks for CAPABILITIES again.
var nntp = &Protocol{
	Name:      "nntp",
	Family:    Mail,
	Title:     "news",
	Port:      119,
	Specs:     []string{"RFC 4642", "RFC 3977"},
	Servers:   []string{"Cyrus", "INN"},
	Implicit:  "nntps",
	Lines:     true,
	Recognise: greetsLikeNNTP,
	Greets:    true,
	Upgrade:   upgradeNNTP,
	Remarks: []Remark{
		{"S: 20", "the greeting: 200, or 201 where posting is not allowed; 400 or 502 refuses"},
		{"C: CAPABILITIES", "a server too old to know it answers 500, and is asked for STARTTLS all the same"},
		{"S: STARTTLS", "the offer; without it there is no session"},
		{"S: .", "the end of the list"},
		{"C: STARTTLS", "nothing may follow it in the clear, on either side"},
		{"S: 382", "the go-ahead: the next byte belongs to the TLS handshake"},
	},
	Note: "Inside TLS the server is silent: ask for CAPABILITIES again, what it offered before no longer counts.",
}

var nntps = &Protocol{
	Name:    "nntps",
	Aliases: []string{"snews"},
	Family:  Mail,
	Title:   "news in TLS from the first byte",
	Port:    563,
	ALPN:    []string{"nntp"},
	Specs:   []string{"RFC 8143"},
	Servers: []string{"INN"},
	Sibling: "nntp",
	Lines:   true,
	Note:    greetsInside,
}

var _ = register(nntp, nntps)

// greetsLikeNNTP recognises the two greetings that let a client in (RFC 3977, 5.1.1).
func greetsLikeNNTP(b []byte) bool {
	return len(b) > 3 && (bytes.HasPrefix(b, []byte("200")) || bytes.HasPrefix(b, []byte("201"))) && bytes.IndexByte([]byte(" \r\n"), b[3]) >= 0
}

func upgradeNNTP(c *Conn, _ *Options) error {
	greeting, err := askNNTP(c, "", "200", "201")
	if err != nil {
		return err
	}

	c.Step(Capabilities)
	answer, err := askNNTP(c, "CAPABILITIES", "101", "500", "501", "503")
	if err != nil {
		return err
	}
	if answer[:3] == "101" {
		if err := c.findOffer("STARTTLS"); err != nil {
			return err
		}
	}

	c.Step(Upgrade)
	if _, err := askNNTP(c, "STARTTLS", "382"); err != nil {
		return err
	}
	c.Greeting = fmt.Appendf(nil, "%s ready\r\n", greeting[:3])
	return nil
}

// askNNTP sends a command, if it is not empty, and reads the first line of the answer, which
// has to have one of the codes (RFC 3977, 3.2).
func askNNTP(c *Conn, command string, codes ...string) (string, error) {
	if command != "" {
		if err := c.WriteLine(command); err != nil {
			return "", err
		}
	}
	line, err := c.ReadLine()
	switch {
	case err != nil:
		return "", err
	case len(line) < 3 || !isDigit(line[0]) || !isDigit(line[1]) || !isDigit(line[2]) || len(line) > 3 && line[3] != ' ':
		return "", Unexpected(line)
	case slices.Contains(codes, line[:3]):
		return line, nil
	case line[0] == '4' || line[0] == '5':
		return "", Refused(line)
	}
	return "", Unexpected(line)
}
