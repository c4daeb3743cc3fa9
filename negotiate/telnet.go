package negotiate

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Telnet, START_TLS (draft-altman-telnet-starttls-02; RFC 854 for the commands), where IAC is
// ff, and the option is 46:
//
//	S: ff fd 18            IAC DO TERMINAL-TYPE
//	C: ff fb 2e            IAC WILL START_TLS
//	C: ff fc 18            IAC WONT TERMINAL-TYPE
//	S: ff fd 2e            IAC DO START_TLS
//	C: ff fa 2e 01 ff f0   IAC SB START_TLS FOLLOWS IAC SE
//	S: ff fa 2e 01 ff f0   IAC SB START_TLS FOLLOWS IAC SE
//	   <TLS>
//
// A server may begin with DO, which WILL answers. DONT refuses. All other options are refused,
// so that neither side believes in any when TLS starts, and are negotiated inside TLS. Behind
// its FOLLOWS the client says nothing.
var telnetProtocol = &Protocol{
	Name:      "telnet",
	Family:    Remote,
	Title:     "terminals over the network (Telnet)",
	Port:      23,
	Specs:     []string{"draft-altman-telnet-starttls-02", "RFC 854"},
	Servers:   []string{"Kermit"},
	Implicit:  "telnets",
	Recognise: greetsLikeTelnet,
	Upgrade:   upgradeTelnet,
	Remarks: []Remark{
		{"C: IAC WILL START_TLS", "the offer, unless the server begins with DO: then the answer"},
		{"S: IAC DO START_TLS", "the server wants it; DONT refuses"},
		{"C: IAC WONT", "other options wait until TLS is there"},
		{"C: IAC SB START_TLS FOLLOWS", "what follows is TLS"},
		{"S: IAC SB START_TLS FOLLOWS", "the go-ahead"},
	},
	Note: "Inside TLS both negotiate all options anew, the server without being asked: " + telnetNote,
}

var telnets = &Protocol{
	Name:    "telnets",
	Family:  Remote,
	Title:   "Telnet in TLS from the first byte",
	Port:    992,
	Specs:   []string{"RFC 854"},
	Sibling: "telnet",
	Note:    "The server negotiates its options without being asked: " + telnetNote,
}

var _ = register(telnetProtocol, telnets)

const telnetNote = "its commands reach the user as they come, three bytes from ff on, and a server that is not answered goes on without them. Lines end in CRLF."

// Commands of Telnet (RFC 854).
const (
	telnetSE   = 240
	telnetSB   = 250
	telnetWILL = 251
	telnetWONT = 252
	telnetDO   = 253
	telnetDONT = 254
	telnetIAC  = 255
)

// START_TLS and its subcommand.
const (
	telnetStartTLS = 46
	telnetFollows  = "\x01"
)

// telnetMaxOptions is how many options are refused, at most.
const telnetMaxOptions = 100

// telnetVerb names a command that has an option behind it; "" for others.
func telnetVerb(command byte) string {
	switch command {
	case telnetWILL:
		return "WILL"
	case telnetWONT:
		return "WONT"
	case telnetDO:
		return "DO"
	case telnetDONT:
		return "DONT"
	}
	return ""
}

// telnetOptions names options (IANA's registry of Telnet options).
func telnetOptions() map[byte]string {
	return map[byte]string{
		0: "BINARY", 1: "ECHO", 3: "SUPPRESS-GO-AHEAD", 5: "STATUS", 6: "TIMING-MARK", 24: "TERMINAL-TYPE", 25: "END-OF-RECORD", 31: "NAWS",
		32: "TERMINAL-SPEED", 33: "REMOTE-FLOW-CONTROL", 34: "LINEMODE", 35: "X-DISPLAY-LOCATION", 36: "ENVIRON", 37: "AUTHENTICATION",
		38: "ENCRYPT", 39: "NEW-ENVIRON", 40: "TN3270E", 42: "CHARSET", 44: "COM-PORT", telnetStartTLS: "START_TLS", 47: "KERMIT",
	}
}

// greetsLikeTelnet recognises a command with an option.
func greetsLikeTelnet(b []byte) bool {
	return len(b) >= 3 && b[0] == telnetIAC && telnetVerb(b[1]) != ""
}

func upgradeTelnet(c *Conn, o *Options) error {
	c.Step(Upgrade)
	t := telnet{c: c, refused: map[[2]byte]bool{}}
	// The server's DO may be on its way. WILL and FOLLOWS answer it at once, in one segment: C-Kermit
	// reads ahead, and would take the beginning of TLS for Telnet if FOLLOWS came later.
	spoke, err := c.speaks(autoWait)
	if err == nil && !spoke {
		err = t.offer()
	}
	if err != nil {
		return err
	}
	for {
		command, option, data, err := readTelnet(c)
		switch {
		case err != nil:
			return err
		case command == telnetSB && option == telnetStartTLS:
			if !t.agreed || data != telnetFollows {
				return Unexpected(telnetText(command, option, data))
			}
			return nil
		case option == telnetStartTLS && command == telnetDONT:
			return Hinted(Refused(telnetText(command, option, "")), "few Telnet servers have START_TLS; TLS from the first byte has a port of its own, 992: tlsup "+
				targetURL("telnets", o.Host))
		case option == telnetStartTLS && command == telnetDO:
			err = t.follow()
		default:
			err = t.refuse(command, option)
		}
		if err != nil {
			return err
		}
	}
}

// telnet is the state of a negotiation.
type telnet struct {
	c       *Conn
	offered bool // we have said WILL
	agreed  bool // and FOLLOWS
	refused map[[2]byte]bool
}

// offer says WILL, once.
func (t *telnet) offer() error {
	if t.offered {
		return nil
	}
	t.offered = true
	return telnetSend(t.c, telnetWILL, telnetStartTLS)
}

// follow answers DO: with FOLLOWS, and WILL if that has not been said.
func (t *telnet) follow() error {
	if t.agreed {
		return nil
	}
	text, packet := telnetText(telnetSB, telnetStartTLS, telnetFollows), []byte{telnetIAC, telnetSB, telnetStartTLS, telnetFollows[0], telnetIAC, telnetSE}
	if !t.offered {
		text = telnetText(telnetWILL, telnetStartTLS, "") + ", " + text
		packet = append([]byte{telnetIAC, telnetWILL, telnetStartTLS}, packet...)
	}
	t.offered, t.agreed = true, true
	return t.c.WritePacket(text, packet)
}

// refuse answers whatever else the server says: it offers START_TLS, and refuses other options,
// each once, since a server that asks again has not understood.
func (t *telnet) refuse(command, option byte) error {
	if err := t.offer(); err != nil {
		return err
	}
	asked := [2]byte{command, option}
	if command != telnetDO && command != telnetWILL || t.agreed || t.refused[asked] {
		return nil
	}
	if t.refused[asked] = true; len(t.refused) > telnetMaxOptions {
		return fmt.Errorf("%w: over %d options", ErrTooLong, telnetMaxOptions)
	}
	answer := byte(telnetWONT)
	if command == telnetWILL {
		answer = telnetDONT
	}
	return telnetSend(t.c, answer, option)
}

// speaks reports whether the server says anything within a time. What it says stays in the
// buffer.
func (c *Conn) speaks(within time.Duration) (bool, error) {
	if len(c.rest()) > 0 {
		return true, nil
	}
	if wait := time.Now().Add(within); c.deadline.IsZero() || wait.Before(c.deadline) {
		c.conn.SetReadDeadline(wait)
		defer func() { c.conn.SetReadDeadline(c.deadline) }()
		err := c.fill()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false, nil // if that is the context's end, the next write meets it
		}
		return err == nil, err
	}
	return true, nil // there is no time to speak first
}

// telnetSend sends a command with an option.
func telnetSend(c *Conn, command, option byte) error {
	return c.WritePacket(telnetText(command, option, ""), []byte{telnetIAC, command, option})
}

// readTelnet reads a command, with its option and the data of a subnegotiation, or text, for
// which command is 0.
func readTelnet(c *Conn) (command, option byte, data string, err error) {
	if err := c.Count(); err != nil {
		return 0, 0, "", err
	}
	first, err := c.ReadByte()
	if err != nil {
		return 0, 0, "", err
	}
	if first != telnetIAC {
		return 0, 0, "", readTelnetText(c, first)
	}
	if command, err = c.ReadByte(); err != nil {
		return 0, 0, "", err
	}
	switch {
	case command == telnetIAC: // the byte ff, as text
		c.TraceRead()
		return 0, 0, "", nil
	case command < telnetSE:
		return 0, 0, "", c.unexpected()
	case command < telnetSB: // a command without an option
		c.Describe(telnetText(command, 0, ""))
		return command, 0, "", nil
	}
	if option, err = c.ReadByte(); err != nil {
		return 0, 0, "", err
	}
	if command == telnetSB {
		if data, err = readTelnetData(c); err != nil {
			return 0, 0, "", err
		}
	}
	c.Describe(telnetText(command, option, data))
	return command, option, data, nil
}

// readTelnetText reads text that a server says before TLS, up to a command or the end of a
// line. It is of no use.
func readTelnetText(c *Conn, b byte) (err error) {
	for b != '\n' {
		if b, err = c.ReadByte(); err != nil {
			return err
		}
		if b == telnetIAC {
			c.at-- // it is for the next read
			break
		}
	}
	c.TraceRead()
	return nil
}

// readTelnetData reads the data of a subnegotiation, up to IAC SE.
func readTelnetData(c *Conn) (string, error) {
	var data []byte
	for {
		b, err := c.ReadByte()
		if err != nil {
			return "", err
		}
		if b == telnetIAC {
			if b, err = c.ReadByte(); err != nil {
				return "", err
			}
			switch b {
			case telnetSE:
				return string(data), nil
			case telnetIAC:
			default:
				return "", c.unexpected()
			}
		}
		data = append(data, b)
	}
}

// telnetText is a command for a person: "IAC WILL START_TLS".
func telnetText(command, option byte, data string) string {
	name := telnetOptions()[option]
	if name == "" {
		name = fmt.Sprintf("%d", option)
	}
	switch {
	case command == telnetSB && option == telnetStartTLS && data == telnetFollows:
		data = "FOLLOWS"
	case command == telnetSB:
		data = fmt.Sprintf("%x", data)
	case telnetVerb(command) == "":
		return fmt.Sprintf("IAC %d", command)
	default:
		return "IAC " + telnetVerb(command) + " " + name
	}
	return strings.Join(strings.Fields("IAC SB "+name+" "+data+" IAC SE"), " ")
}
