package negotiate

import (
	"strings"
)

// MTQP, the Message Tracking Query Protocol, STARTTLS (RFC 3887, 3 and 6):
//
//	S: +OK+/MTQP MTQP server ready
//	S: STARTTLS
//	S: .
//	C: STARTTLS mail.example.org
//	S: +OK Begin TLS negotiation
//	   <TLS>
//
// "+OK+" has lines behind it, up to a dot, "+OK" has none. "-TEMP", "-ERR" and "-BAD" refuse.
// Inside TLS the server greets again.
var mtqp = &Protocol{
	Name:      "mtqp",
	Family:    Mail,
	Title:     "what became of messages (MTQP)",
	Port:      1038,
	Specs:     []string{"RFC 3887"},
	Lines:     true,
	Names:     ServiceDomain,
	Recognise: mtqpGreeting.Match,
	Greets:    true,
	Upgrade:   upgradeMTQP,
	Remarks: []Remark{
		{"S: +OK+/MTQP", "the greeting; the plus behind OK means that options follow"},
		{"S: STARTTLS", "the offer; without it there is no session"},
		{"C: STARTTLS", "with the target's name, or --starttls-name, for which the certificate is checked"},
		{"S: +OK ", "the go-ahead: the next byte belongs to the TLS handshake"},
	},
	Note: "Inside TLS the server greets again by itself, without STARTTLS: it is the beginning of the session.",
}

var _ = register(mtqp)

var (
	// mtqpStatus matches a status response: what it says, and words of information.
	mtqpStatus = lazy(`^(?i:(\+OK\+?|-TEMP|-ERR|-BAD)((?:/[^/ \t]+)*))(?:[ \t].*)?$`)
	// mtqpGreeting matches a positive greeting.
	mtqpGreeting = lazy(`^(?i:\+OK\+?/MTQP)[ \t\r\n/]`)
)

// mtqpHints say what to do about reasons (RFC 3887, 6).
func mtqpHints() map[string]string {
	return map[string]string{
		"/unsupported": "this server knows no TLS",
		"/bad-fqdn":    "the server's certificate is for another name: --starttls-name names it",
	}
}

func upgradeMTQP(c *Conn, o *Options) error {
	line, kind, information, err := readMTQP(c)
	switch {
	case err != nil:
		return err
	case !strings.HasPrefix(information+"/", "/mtqp/"):
		return Unexpected(line)
	}
	offered := false
	for more := kind == "+OK+"; more; {
		option, err := c.ReadLine()
		if err != nil {
			return err
		}
		// A line that begins with white space goes on with the one before.
		name, _, _ := strings.Cut(strings.ReplaceAll(option, "\t", " "), " ")
		offered = offered || strings.EqualFold(name, "STARTTLS")
		more = option != "."
	}
	if !offered {
		return NotOffered("STARTTLS")
	}

	c.Step(Upgrade)
	domain, err := httpHost(o)
	if err != nil {
		return err
	}
	if err := c.WriteLine("STARTTLS " + domain); err != nil {
		return err
	}
	line, kind, _, err = readMTQP(c)
	switch {
	case err != nil:
		return err
	case kind != "+OK": // lines behind it would come before TLS
		return Unexpected(line)
	}
	return nil
}

// readMTQP reads a status response: what it says in upper case, and the information in lower
// case. One that refuses is an error.
func readMTQP(c *Conn) (line, kind, information string, err error) {
	if line, err = c.ReadLine(); err != nil {
		return "", "", "", err
	}
	parts := mtqpStatus.get().FindStringSubmatch(line)
	if parts == nil {
		return "", "", "", Unexpected(line)
	}
	kind, information = strings.ToUpper(parts[1]), strings.ToLower(parts[2])
	if kind[0] == '-' {
		err = Refused(line)
		if hint := mtqpHints()[information]; hint != "" {
			err = Hinted(err, hint)
		}
	}
	return line, kind, information, err
}
