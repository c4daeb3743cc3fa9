package negotiate

import (
	"fmt"
	"strings"
)

// Telnet, START_TLS (draft-altman-telnet-starttls-02; RFC 854 for the commands), where IAC is
// ff, and the option is 46:
//
//	C: ff fb 2e            IAC WILL START_TLS
//	S: ff fd 18            IAC DO TERMINAL-TYPE
//	C: ff fc 18            IAC WONT TERMINAL-TYPE
//	S: ff fd 2e            IAC DO START_TLS
//	C: ff fa 2e 01 ff f0   IAC SB START_TLS FOLLOWS IAC SE
//	S: ff fa 2e 01 ff f0   IAC SB START_TLS FOLLOWS IAC SE
//	   <TLS>
//
// The server may say DO first: it crosses the client's WILL, and each is the answer to the
// other. DONT refuses. All other options are refused, so that neither side believes in any when
// TLS starts, and are negotiated inside TLS. Behind its FOLLOWS the client says nothing.
var _ = register(&Protocol{
	Name:      "telnet",
	Family:    Remote,
	Title:     "terminals over the network (Telnet)",
	Port:      23,
	Specs:     []string{"draft-altman-telnet-starttls-02", "RFC 854"},
	Implicit:  "telnets",
	Recognise: greetsLikeTelnet,
	Upgrade:   upgradeTelnet,
	Remarks: []Remark{
		{"C: IAC WILL START_TLS", "the offer, or the answer to a server's DO"},
		{"S: IAC DO START_TLS", "the server wants it; DONT refuses"},
		{"C: IAC WONT", "other options wait until TLS is there"},
		{"C: IAC SB START_TLS FOLLOWS", "what follows is TLS"},
		{"S: IAC SB START_TLS FOLLOWS", "the go-ahead"},
	},
	Note: "Inside TLS both negotiate all options anew, the server without being asked: " + telnetNote,
})

var _ = register(&Protocol{
	Name:    "telnets",
	Family:  Remote,
	Title:   "Telnet in TLS from the first byte",
	Port:    992,
	Specs:   []string{"RFC 854"},
	Sibling: "telnet",
	Note:    "The server negotiates its options without being asked: " + telnetNote,
})

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

var telnetVerbs = map[byte]string{telnetWILL: "WILL", telnetWONT: "WONT", telnetDO: "DO", telnetDONT: "DONT"}

// telnetOptions names options (IANA's registry of Telnet options).
var telnetOptions = map[byte]string{
	0: "BINARY", 1: "ECHO", 3: "SUPPRESS-GO-AHEAD", 5: "STATUS", 6: "TIMING-MARK", 24: "TERMINAL-TYPE", 25: "END-OF-RECORD", 31: "NAWS",
	32: "TERMINAL-SPEED", 33: "REMOTE-FLOW-CONTROL", 34: "LINEMODE", 35: "X-DISPLAY-LOCATION", 36: "ENVIRON", 37: "AUTHENTICATION",
	38: "ENCRYPT", 39: "NEW-ENVIRON", 40: "TN3270E", 42: "CHARSET", 44: "COM-PORT", telnetStartTLS: "START_TLS", 47: "KERMIT",
}

// greetsLikeTelnet recognises a command with an option.
func greetsLikeTelnet(b []byte) bool {
	return len(b) >= 3 && b[0] == telnetIAC && telnetVerbs[b[1]] != ""
}

func upgradeTelnet(c *Conn, o *Options) error {
	c.Step(Upgrade)
	if err := telnetSend(c, telnetWILL, telnetStartTLS); err != nil {
		return err
	}
	refused := map[[2]byte]bool{}
	for agreed := false; ; {
		command, option, data, err := readTelnet(c)
		switch {
		case err != nil:
			return err
		case command == telnetSB && option == telnetStartTLS:
			if !agreed || data != telnetFollows {
				return Unexpected(telnetText(command, option, data))
			}
			return nil
		case option == telnetStartTLS && command == telnetDONT:
			return Hinted(Refused(telnetText(command, option, "")), "few Telnet servers have START_TLS; TLS from the first byte has a port of its own, 992: tlsup "+
				ldapURL("telnets", o.Host))
		case option == telnetStartTLS && command == telnetDO:
			if agreed {
				continue
			}
			agreed = true
			follows := []byte{telnetIAC, telnetSB, telnetStartTLS, telnetFollows[0], telnetIAC, telnetSE}
			if err := c.WritePacket(telnetText(telnetSB, telnetStartTLS, telnetFollows), follows); err != nil {
				return err
			}
		case (command == telnetDO || command == telnetWILL) && !agreed && !refused[[2]byte{command, option}]:
			// Once: a server that asks again has not understood.
			if refused[[2]byte{command, option}] = true; len(refused) > telnetMaxOptions {
				return fmt.Errorf("%w: over %d options", ErrTooLong, telnetMaxOptions)
			}
			answer := byte(telnetWONT)
			if command == telnetWILL {
				answer = telnetDONT
			}
			if err := telnetSend(c, answer, option); err != nil {
				return err
			}
		}
	}
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
	name := telnetOptions[option]
	if name == "" {
		name = fmt.Sprintf("%d", option)
	}
	switch {
	case command == telnetSB && option == telnetStartTLS && data == telnetFollows:
		data = "FOLLOWS"
	case command == telnetSB:
		data = fmt.Sprintf("%x", data)
	case telnetVerbs[command] == "":
		return fmt.Sprintf("IAC %d", command)
	default:
		return "IAC " + telnetVerbs[command] + " " + name
	}
	return strings.Join(strings.Fields("IAC SB "+name+" "+data+" IAC SE"), " ")
}
