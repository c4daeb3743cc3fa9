package testserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Commands of Telnet (RFC 854), and options.
const (
	telnetSE, telnetSB                           = "\xf0", "\xfa"
	telnetWILL, telnetWONT, telnetDO, telnetDONT = "\xfb", "\xfc", "\xfd", "\xfe"
	telnetIAC                                    = "\xff"
	telnetEcho, telnetSuppressGoAhead            = "\x01", "\x03"
	telnetTerminalType, telnetTLS                = "\x18", "\x2e"
	telnetFollows                                = telnetIAC + telnetSB + telnetTLS + "\x01" + telnetIAC + telnetSE
)

// telnetMax is how long a line or a subnegotiation may be, in bytes.
const telnetMax = 1000

func telnetServers(servers map[string]protocol) {
	inside := protocol{
		session: telnetSession,
		talk: []string{
			telnetIAC + telnetDO + telnetEcho,
			telnetIAC + telnetDO + telnetSuppressGoAhead,
			User + "\r\n",
			Password + "\r\n",
			"exit\r\n",
		},
		packets: &Packets{Split: telnetSplit, Name: telnetName},
	}
	servers["telnets"] = inside
	inside.upgrade = telnetUpgrade
	servers["telnet"] = inside
}

func telnetSend(c *conn, parts ...string) error {
	_, err := io.WriteString(c.Conn, strings.Join(parts, ""))
	return err
}

// readTelnet reads a command, as it stands, or a character.
func readTelnet(c *conn) (string, error) {
	b, err := c.r.ReadByte()
	if err != nil || b != telnetIAC[0] {
		return string([]byte{b}), err
	}
	command := []byte{b, 0}
	if command[1], err = c.r.ReadByte(); err != nil || string(command[1:]) < telnetSB || string(command[1:]) == telnetIAC {
		return string(command), err
	}
	for {
		if b, err = c.r.ReadByte(); err != nil {
			return "", err
		}
		command = append(command, b)
		if string(command[1:2]) != telnetSB || len(command) > 4 && bytes.HasSuffix(command, []byte(telnetIAC+telnetSE)) {
			return string(command), nil
		}
		if len(command) > telnetMax {
			return "", errors.New("a subnegotiation that is too long")
		}
	}
}

// byteByByte leaves for the handshake what follows the client's FOLLOWS: the client may have
// the server's by then, and start TLS at once.
type byteByByte struct{ io.Reader }

func (r byteByByte) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), 1)]) }

// telnetUpgrade asks for START_TLS (draft-altman-telnet-starttls-02), and for the terminal's
// type, without which it can do. A client that will not start TLS is sent away.
func telnetUpgrade(c *conn) error {
	c.r = bufio.NewReader(byteByByte{c.Conn})
	if err := telnetSend(c, telnetIAC, telnetDO, telnetTerminalType, telnetIAC, telnetDO, telnetTLS); err != nil {
		return err
	}
	for will := false; ; {
		command, err := readTelnet(c)
		switch {
		case err != nil:
			return err
		case command == telnetIAC+telnetWILL+telnetTLS && !will:
			will = true
			err = telnetSend(c, telnetFollows)
		case command == telnetIAC+telnetWONT+telnetTLS:
			return errors.Join(telnetSend(c, "Not without TLS\r\n"), io.EOF)
		case command == telnetFollows && will:
			return nil
		case will:
			// What comes now is from before the client's FOLLOWS, and of no use.
		case strings.HasPrefix(command, telnetIAC+telnetWILL):
			err = telnetSend(c, telnetIAC, telnetDONT, command[2:])
		case strings.HasPrefix(command, telnetIAC+telnetDO):
			err = telnetSend(c, telnetIAC, telnetWONT, command[2:])
		}
		if err != nil {
			return err
		}
	}
}

// telnetSession lets the user log in, and has nothing to offer then. It offers to do without
// go-aheads, and to echo, and echoes nothing while the password is typed.
func telnetSession(c *conn) error {
	if err := telnetSend(c, telnetIAC, telnetWILL, telnetSuppressGoAhead, telnetIAC, telnetWILL, telnetEcho, "login: "); err != nil {
		return err
	}
	user, err := telnetLine(c)
	if err != nil {
		return err
	}
	if err := telnetSend(c, "Password: "); err != nil {
		return err
	}
	password, err := telnetLine(c)
	if err != nil {
		return err
	}
	if user != User || password != Password {
		return telnetSend(c, "Login incorrect\r\n")
	}
	if err := telnetSend(c, "Welcome\r\n$ "); err != nil {
		return err
	}
	for {
		line, err := telnetLine(c)
		switch {
		case err != nil:
			return err
		case line == "exit":
			return telnetSend(c, "logout\r\n")
		case line == "":
			err = telnetSend(c, "$ ")
		default:
			err = telnetSend(c, "command not known\r\n$ ")
		}
		if err != nil {
			return err
		}
	}
}

// telnetLine reads a line, and answers the commands in it: options but the two that were
// offered are refused.
func telnetLine(c *conn) (string, error) {
	var line strings.Builder
	for line.Len() < telnetMax {
		part, err := readTelnet(c)
		if err != nil {
			return "", err
		}
		switch {
		case part == "\n":
			return strings.TrimRight(line.String(), "\r"), nil
		case len(part) == 1:
			line.WriteString(part)
		case strings.HasPrefix(part, telnetIAC+telnetWILL):
			err = telnetSend(c, telnetIAC, telnetDONT, part[2:])
		case strings.HasPrefix(part, telnetIAC+telnetDO) && part[2:] != telnetEcho && part[2:] != telnetSuppressGoAhead:
			err = telnetSend(c, telnetIAC, telnetWONT, part[2:])
		}
		if err != nil {
			return "", err
		}
	}
	return "", errors.New("a line that is too long")
}

// telnetSplit cuts what the server says inside TLS: commands with an option, lines, and what
// asks for input.
func telnetSplit(data []byte, atEOF bool) (int, []byte, error) {
	n := 0
	switch i := bytes.IndexByte(data, '\n'); {
	case bytes.HasPrefix(data, []byte(telnetIAC)):
		n = 3
	case i >= 0:
		n = i + 1
	case bytes.HasSuffix(data, []byte(": ")) || bytes.HasSuffix(data, []byte("$ ")):
		n = len(data)
	}
	switch {
	case n > 0 && n <= len(data):
		return n, data[:n], nil
	case atEOF && len(data) > 0:
		return len(data), data, nil
	}
	return 0, nil, nil
}

// telnetName names a command of either side; text is its own name.
func telnetName(p []byte) string {
	if len(p) != 3 || string(p[:1]) != telnetIAC {
		return strings.TrimRight(string(p), "\r\n")
	}
	verb := map[string]string{telnetWILL: "WILL", telnetWONT: "WONT", telnetDO: "DO", telnetDONT: "DONT"}[string(p[1:2])]
	option := map[string]string{telnetEcho: "ECHO", telnetSuppressGoAhead: "SUPPRESS-GO-AHEAD"}[string(p[2:])]
	return fmt.Sprintf("IAC %s %s", verb, option)
}
