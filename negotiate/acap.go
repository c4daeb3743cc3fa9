package negotiate

import (
	"strings"
)

// ACAP, the Application Configuration Access Protocol, STARTTLS (RFC 2595, 5; the greeting is
// that of RFC 2244):
//
//	S: * ACAP (IMPLEMENTATION "CommuniGate Pro ACAP") (STARTTLS) (SASL "CRAM-MD5")
//	C: a1 STARTTLS
//	S: a1 OK "Begin TLS negotiation now"
//	   <TLS>
//
// NO, BAD and BYE refuse. Inside TLS the server greets again.
var acap = &Protocol{
	Name:      "acap",
	Family:    Mail,
	Title:     "settings of mail programs (ACAP)",
	Port:      674,
	Specs:     []string{"RFC 2595"},
	Lines:     true,
	Recognise: greetsLikeACAP,
	Greets:    true,
	Upgrade:   upgradeACAP,
	Remarks: []Remark{
		{"S: * ACAP", "the greeting; the offer is (STARTTLS), without it there is no session"},
		{"S: a1 OK", "the go-ahead: the next byte belongs to the TLS handshake"},
	},
	Note: "Inside TLS the server greets again by itself, with the mechanisms that it takes there: it is the beginning of the session.",
}

var _ = register(acap)

var (
	// acapQuoted matches a quoted string, which may hold what looks like a capability.
	acapQuoted = lazy(`"(?:[^"\\]|\\["\\])*"`)
	// acapGreeting matches a greeting whose quoted strings are taken out, in upper case.
	acapGreeting = lazy(`^\* ACAP( \([^()"]+\))* *$`)
)

func greetsLikeACAP(b []byte) bool { return strings.HasPrefix(strings.ToUpper(string(b)), "* ACAP (") }

func upgradeACAP(c *Conn, _ *Options) error {
	greeting, err := readMUPDATE(c)
	if err != nil {
		return err
	}
	capabilities := strings.ToUpper(acapQuoted.get().ReplaceAllString(greeting.line, ""))
	if !acapGreeting.get().MatchString(capabilities) {
		return Unexpected(greeting.line)
	}
	if !strings.Contains(capabilities, " (STARTTLS)") {
		return NotOffered("STARTTLS")
	}

	c.Step(Upgrade)
	if err := c.WriteLine("a1 STARTTLS"); err != nil {
		return err
	}
	for {
		answer, err := readMUPDATE(c)
		switch {
		case err != nil:
			return err
		case answer.tag == "a1" && answer.word == "OK":
			return nil
		case answer.tag != "*" || answer.word != "ALERT":
			return Unexpected(answer.line)
		}
	}
}
