package negotiate

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ManageSieve, STARTTLS (RFC 5804, 2.2):
//
//	S: "IMPLEMENTATION" "Example1"
//	S: "SASL" ""
//	S: "SIEVE" "fileinto vacation"
//	S: "STARTTLS"
//	S: "VERSION" "1.0"
//	S: OK "ready"
//	C: STARTTLS
//	S: OK "Begin TLS negotiation now."
//	   <TLS>
//
// Inside TLS the server says its capabilities again by itself. Strings may be quoted or
// literals: {5} and a line end, then five bytes.
var sieve = &Protocol{
	Name:      "sieve",
	Aliases:   []string{"managesieve"},
	Family:    Mail,
	Title:     "mail filters on the server (ManageSieve)",
	Port:      4190,
	ALPN:      []string{"managesieve"},
	Specs:     []string{"RFC 5804"},
	Servers:   []string{"Cyrus", "Pigeonhole"},
	Lines:     true,
	Recognise: func(b []byte) bool { return sieveGreeting.get().Match(b) },
	Greets:    true,
	Upgrade:   upgradeSieve,
	Remarks: []Remark{
		{`S: "IMPLEMENTATION"`, "the greeting is a list of capabilities"},
		{`S: "STARTTLS"`, "the offer; without it there is no session"},
		{"S: OK \"mail", "the end of the list; BYE refuses"},
		{"C: STARTTLS", "nothing may follow it in the clear, on either side"},
		{"S: OK \"Begin", "the go-ahead: the next byte belongs to the TLS handshake"},
	},
	Note: "Inside TLS the server says its capabilities again, by itself, up to OK: they are the session's first lines. " +
		"What it offered before no longer counts.",
}

var _ = register(sieve)

// sieveGreeting matches a line with one of the capabilities that servers have (RFC 5804, 1.7), or
// with which they end the session (1.3): Dovecot complains so of what it did not expect.
var sieveGreeting = lazy(`(?i)^BYE (\([^)]*\) )?"|^"(IMPLEMENTATION|SIEVE|SASL|STARTTLS|NOTIFY|LANGUAGE|VERSION|MAXREDIRECTS|RENAME|UNAUTHENTICATE|OWNER)"[ \r\n]`)

func upgradeSieve(c *Conn, _ *Options) error {
	offered := false
	for {
		r, err := readSieve(c)
		if err != nil {
			return err
		}
		if r.status != "" {
			break
		}
		offered = offered || r.capability == "STARTTLS"
	}
	if !offered {
		c.Step(Capabilities)
		return NotOffered("STARTTLS")
	}

	c.Step(Upgrade)
	if err := c.WriteLine("STARTTLS"); err != nil {
		return err
	}
	r, err := readSieve(c)
	if err == nil && r.status == "" {
		err = Unexpected(r.text)
	}
	return err
}

// A sieveResponse is a line with a capability, or one that ends a response.
type sieveResponse struct {
	text       string // all of it
	status     string // OK, or "" for a capability
	capability string // its name, in upper case
}

// readSieve reads a line, with the literals in it. NO and BYE are errors at any time.
func readSieve(c *Conn) (sieveResponse, error) {
	r := sieveParser{c: c}
	if err := r.more(); err != nil {
		return sieveResponse{}, err
	}
	var tokens []sieveToken
	for {
		token, err := r.next()
		if err != nil {
			return sieveResponse{}, err
		}
		if token.kind == sieveEnd {
			break
		}
		tokens = append(tokens, token)
	}
	if len(tokens) == 0 {
		return sieveResponse{}, Unexpected(string(r.text))
	}
	response := sieveResponse{text: string(r.text)}
	switch first := tokens[0]; {
	case first.kind == sieveString && sieveShape(tokens, "s", "ss"):
		response.capability = strings.ToUpper(first.text)
		return response, nil
	case first.kind == sieveAtom && sieveShape(tokens, "a", "as", "a(", "a(s"):
		switch strings.ToUpper(first.text) {
		case "OK":
			response.status = "OK"
			return response, nil
		case "NO", "BYE":
			return sieveResponse{}, Refused(string(r.text))
		}
	}
	return sieveResponse{}, Unexpected(string(r.text))
}

// A sieveKind is what a token is: its letter in a shape.
type sieveKind byte

const (
	sieveEnd    sieveKind = 0
	sieveAtom   sieveKind = 'a'
	sieveString sieveKind = 's'
	sieveCode   sieveKind = '(' // a response code with all that is in its parentheses
)

type sieveToken struct {
	kind sieveKind
	text string
}

// sieveShape reports whether tokens are of the kinds that one of the shapes says.
func sieveShape(tokens []sieveToken, shapes ...string) bool {
	var shape strings.Builder
	for _, token := range tokens {
		shape.WriteByte(byte(token.kind))
	}
	for _, s := range shapes {
		if s == shape.String() {
			return true
		}
	}
	return false
}

// A sieveParser reads the tokens of one line, which goes on behind a literal.
type sieveParser struct {
	c    *Conn
	line string // what is left
	text []byte // all that was read
}

// more reads a line.
func (p *sieveParser) more() error {
	line, err := p.c.ReadLine()
	if err != nil {
		return err
	}
	p.line = line
	p.text = append(p.text, line...)
	return nil
}

// sieveQuoted and sieveLiteral match strings (RFC 5804, 4): a literal's bytes are in what follows.
var (
	sieveQuoted  = lazy(`^"((?:[^"\\]|\\["\\])*)"`)
	sieveLiteral = lazy(`^\{([0-9]+)\+?\}$`)
	sieveWord    = lazy(`^[0-9A-Za-z/_-]+`)
)

// next returns the line's next token.
func (p *sieveParser) next() (sieveToken, error) {
	p.line = strings.TrimLeft(p.line, " ")
	switch {
	case p.line == "":
		return sieveToken{}, nil
	case p.line[0] == '(':
		return p.code()
	case p.line[0] == '{':
		return p.literal()
	}
	if m := sieveQuoted.get().FindStringSubmatch(p.line); m != nil {
		p.line = p.line[len(m[0]):]
		return sieveToken{sieveString, m[1]}, nil
	}
	if word := sieveWord.get().FindString(p.line); word != "" {
		p.line = p.line[len(word):]
		return sieveToken{sieveAtom, word}, nil
	}
	return sieveToken{}, Unexpected(string(p.text))
}

// literal reads a string whose bytes are counted, up to the line that follows them.
func (p *sieveParser) literal() (sieveToken, error) {
	m := sieveLiteral.get().FindStringSubmatch(p.line)
	if m == nil {
		return sieveToken{}, Unexpected(string(p.text))
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n > MaxBytes {
		return sieveToken{}, fmt.Errorf("%w: a literal of %s bytes", ErrTooLong, m[1])
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.c, b); err != nil {
		return sieveToken{}, err
	}
	p.text = append(append(p.text, "\r\n"...), b...)
	return sieveToken{sieveString, string(b)}, p.more()
}

// code reads a response code to its closing parenthesis.
func (p *sieveParser) code() (sieveToken, error) {
	p.line = p.line[1:]
	for {
		p.line = strings.TrimLeft(p.line, " ")
		if strings.HasPrefix(p.line, ")") {
			p.line = p.line[1:]
			return sieveToken{kind: sieveCode}, nil
		}
		if p.line == "" || p.line[0] == '(' {
			return sieveToken{}, Unexpected(string(p.text))
		}
		if _, err := p.next(); err != nil {
			return sieveToken{}, err
		}
	}
}
