package negotiate

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
)

// IRC, STARTTLS (IRCv3's tls extension, deprecated in favour of TLS from the first byte):
//
//	C: CAP LS 302
//	S: :irc.example.org NOTICE * :*** Looking up your hostname...
//	S: :irc.example.org CAP * LS :multi-prefix tls
//	C: STARTTLS
//	S: :irc.example.org 670 * :STARTTLS successful, go ahead with TLS handshake
//	   <TLS>
//	C: CAP END
//
// CAP LS makes the server hold back the registration, and CAP END lets it go on: a client
// that knows nothing of capabilities would wait for ever. NOTICE and PING may come at any
// time before the go-ahead.
var irc = &Protocol{
	Name:      "irc",
	Family:    Chat,
	Title:     "chat",
	Port:      6667,
	Specs:     []string{"IRCv3 tls", "IRCv3 capability negotiation"},
	Servers:   []string{"InspIRCd"},
	Implicit:  "ircs",
	Lines:     true,
	Recognise: func(b []byte) bool { return ircGreeting.get().Match(b) },
	Upgrade:   upgradeIRC,
	Ends:      ircEnds,
	Inside:    func(c *Conn, _ *Options) error { return c.WriteLine("CAP END") },
	Remarks: []Remark{
		{"C: CAP LS", "a server too old to know it says so, and is asked for STARTTLS all the same"},
		{"S: :mail.example.org NOTICE", "such lines may come at any time, and PING, which is answered"},
		{"S: :mail.example.org CAP * LS", "the offer is the word tls; without it there is no session"},
		{"C: STARTTLS", "nothing may follow it in the clear, on either side; NICK and USER are for you to say inside TLS"},
		{"S: :mail.example.org 670", "the go-ahead: the next byte belongs to the TLS handshake"},
		{"C: CAP END", "lets go the registration, which CAP LS holds back"},
	},
	Note: "Inside TLS the server waits for NICK and USER. Say CAP LS 302 before them if you want capabilities. " +
		"Few networks still offer this upgrade; most have a port for TLS from the first byte. " +
		"A tunnel takes sts out of the server's capabilities: a client that takes the line for one in the clear would connect to another port.",
}

var ircs = &Protocol{
	Name:    "ircs",
	Family:  Chat,
	Title:   "chat in TLS from the first byte",
	Port:    6697,
	ALPN:    []string{"irc"},
	Specs:   []string{"RFC 7194"},
	Servers: []string{"InspIRCd"},
	Sibling: "irc",
	Lines:   true,
	Note:    "The client begins, with NICK and USER, and CAP LS 302 before them if it wants capabilities. Notices that the server sends meanwhile reach the user.",
	Ends:    ircEnds,
}

var _ = register(irc, ircs)

// ircError matches the numerics of errors (RFC 2812, 5.2).
var ircError = lazy(`^[45][0-9][0-9]$`)

// ircGreeting matches what servers say before a client has said anything.
var ircGreeting = lazy(`^(:\S+ )?(NOTICE (AUTH|\*) :|020 \* :|ERROR :Closing Link)`)

func upgradeIRC(c *Conn, _ *Options) error {
	err := (&ircClient{c: c}).upgrade()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// ngIRCd does not answer STARTTLS before the registration at all.
		err = Hinted(err, "a server without this upgrade may say nothing at all; TLS from the first byte is ircs, port 6697")
	}
	return err
}

// An ircClient is the client's side of an upgrade.
type ircClient struct {
	c     *Conn
	pings int // answered
}

func (i *ircClient) upgrade() error {
	i.c.Step(Capabilities)
	if err := i.c.WriteLine("CAP LS 302"); err != nil {
		return err
	}
	if err := i.capabilities(); err != nil {
		return err
	}

	i.c.Step(Upgrade)
	if err := i.c.WriteLine("STARTTLS"); err != nil {
		return err
	}
	answer, err := i.read()
	switch {
	case err != nil:
		return err
	case answer.command == "670":
		return nil
	case answer.command == "691" || answer.command == "FAIL" || ircError.get().MatchString(answer.command):
		return Refused(answer.line)
	}
	return Unexpected(answer.line)
}

// capabilities reads the list that CAP LS asked for, and returns an error unless tls is in
// it.
func (i *ircClient) capabilities() error {
	offered := false
	for {
		answer, err := i.read()
		switch {
		case err != nil:
			return err
		case answer.command == "421" || answer.command == "451":
			return nil // older than capabilities: its answer to STARTTLS decides
		case answer.command == "410":
			return Refused(answer.line)
		case answer.command != "CAP" || len(answer.params) < 3 || !strings.EqualFold(answer.params[1], "LS"):
			return Unexpected(answer.line)
		}
		// An asterisk before the list says that it goes on.
		more := len(answer.params) > 3 && answer.params[2] == "*"
		list := answer.params[len(answer.params)-1]
		offered = offered || slices.ContainsFunc(strings.Fields(list), func(capability string) bool {
			name, _, _ := strings.Cut(capability, "=")
			return name == "tls"
		})
		switch {
		case more:
		case offered:
			return nil
		default:
			return Hinted(fmt.Errorf("%w, the capability tls", NotOffered("STARTTLS")),
				"most networks have TLS from the first byte in its place: ircs, port 6697")
		}
	}
}

// An ircMessage is a line of the server.
type ircMessage struct {
	line    string
	command string // in upper case
	params  []string
}

// How many PINGs are answered, and how long their cookies may be, in bytes.
const (
	ircMaxPings  = 3
	ircMaxCookie = 200
)

// read reads the next message that is an answer: it answers PING and skips what servers
// say by themselves.
func (i *ircClient) read() (ircMessage, error) {
	for {
		line, err := i.c.ReadLine()
		if err != nil {
			return ircMessage{}, err
		}
		m := parseIRC(line)
		switch m.command {
		case "NOTICE", "020", "439": // the numerics ask to wait
		case "ERROR":
			return ircMessage{}, Refused(line)
		case "PING":
			if err := i.pong(m); err != nil {
				return ircMessage{}, err
			}
		default:
			return m, nil
		}
	}
}

// pong answers a PING with its own cookie.
func (i *ircClient) pong(ping ircMessage) error {
	if i.pings++; i.pings > ircMaxPings || len(ping.params) == 0 {
		return Unexpected(ping.line)
	}
	cookie := ping.params[len(ping.params)-1]
	if len(cookie) > ircMaxCookie || strings.ContainsAny(cookie, "\r\x00") {
		return Unexpected(ping.line)
	}
	return i.c.WriteLine("PONG :" + cookie)
}

// parseIRC splits a message: "@tags :source COMMAND param param :the last". What is none
// has no command.
func parseIRC(line string) ircMessage {
	m := ircMessage{line: line}
	rest := line
	if strings.HasPrefix(rest, "@") {
		_, rest, _ = strings.Cut(rest, " ")
		rest = strings.TrimLeft(rest, " ")
	}
	if strings.HasPrefix(rest, ":") {
		_, rest, _ = strings.Cut(rest, " ")
		rest = strings.TrimLeft(rest, " ")
	}
	rest, last, trailing := strings.Cut(rest, " :")
	words := strings.Fields(rest)
	if len(words) == 0 {
		return m
	}
	m.command, m.params = strings.ToUpper(words[0]), words[1:]
	if trailing {
		m.params = append(m.params, last)
	}
	return m
}

// ircEnds are the two ends of a session in which the server's capabilities do not send the client away.
func ircEnds(_ *Local, client, server net.Conn) (net.Conn, net.Conn) {
	return client, &ircServer{Conn: server}
}

// ircMaxHeld is how much of a line is held, in bytes: tags are 8191 at most, and the rest 512 (IRCv3
// message tags). More than that is no list of capabilities.
const ircMaxHeld = 16 << 10

// ircServer is the server's end: it takes out of lists of capabilities what a client without TLS
// would follow to another port (IRCv3 sts: a client on a line in the clear connects again, with TLS).
type ircServer struct {
	net.Conn
	line    []byte // the beginning of a line
	passing bool   // this line is passed on as it comes
	in, out []byte // what is read into; read and not yet returned
	err     error  // what follows out
}

// Read returns what the server says, by whole lines.
func (s *ircServer) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		switch {
		case s.err != nil:
			return 0, s.err
		case s.in == nil:
			s.in = make([]byte, 4096)
		}
		var n int
		n, s.err = s.Conn.Read(s.in)
		s.out = s.pass(s.out[:0], s.in[:n])
		if s.err != nil {
			s.out, s.line = append(s.out, s.line...), nil
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

// pass appends to out what the client is shown of data.
func (s *ircServer) pass(out, data []byte) []byte {
	for len(data) > 0 {
		n := bytes.IndexByte(data, '\n') + 1
		whole := n > 0
		if !whole {
			n = len(data)
		}
		if s.line = append(s.line, data[:n]...); s.passing || len(s.line) > ircMaxHeld {
			out, s.line, s.passing = append(out, s.line...), s.line[:0], !whole
		} else if whole {
			out, s.line = append(out, ircWithout(string(s.line))...), s.line[:0]
		}
		data = data[n:]
	}
	return out
}

// ircWithout is a line of the server, without what would send a client away.
func ircWithout(line string) string {
	text := strings.TrimRight(line, " \r\n")
	m := parseIRC(text)
	if m.command != "CAP" || len(m.params) < 3 || !strings.EqualFold(m.params[1], "LS") && !strings.EqualFold(m.params[1], "NEW") {
		return line
	}
	list := m.params[len(m.params)-1]
	words := strings.Fields(list)
	kept := slices.DeleteFunc(slices.Clone(words), func(capability string) bool {
		name, _, _ := strings.Cut(capability, "=")
		return name == "sts" || name == "tls"
	})
	before, ok := strings.CutSuffix(text, list)
	if len(kept) == len(words) || !ok {
		return line
	}
	return strings.TrimSuffix(before, ":") + ":" + strings.Join(kept, " ") + "\r\n"
}

// CloseWrite ends the writing side.
func (s *ircServer) CloseWrite() error { return closeWrite(s.Conn) }
