package testserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Protocol headers (AMQP 1.0, part 2, 2.2, and part 5).
const (
	amqpTLS   = "AMQP\x02\x01\x00\x00"
	amqpSASL  = "AMQP\x03\x01\x00\x00"
	amqpPlain = "AMQP\x00\x01\x00\x00"
)

// Types of frames, and what is in them: a described list, with the number that describes it.
const (
	amqpFrame, amqpSASLFrame = 0, 1

	amqpOpen, amqpClose                           = 0x10, 0x18
	amqpMechanisms, amqpSASLInit, amqpSASLOutcome = 0x40, 0x41, 0x44
)

// amqpMax is how long a frame may be before the connection is open, in bytes.
const amqpMax = 512

func amqpServers(servers map[string]protocol) {
	inside := protocol{
		session: amqpSession,
		talk: []string{
			amqpSASL,
			amqpPacket(amqpSASLFrame, amqpSASLInit, amqpText(0xa3, "PLAIN"), amqpText(0xa0, "\x00"+User+"\x00"+Password)),
			amqpPlain,
			amqpPacket(amqpFrame, amqpOpen, amqpText(0xa1, "client")),
			amqpPacket(amqpFrame, amqpClose),
		},
		packets: &Packets{Split: amqpSplit, Name: amqpName},
	}
	servers["amqps"] = inside
	inside.upgrade = amqpUpgrade
	servers["amqp"] = inside
}

// amqpText returns a text, or bytes, behind the code of its type (AMQP 1.0, part 1, 1.6).
func amqpText(code byte, text string) string { return string([]byte{code, byte(len(text))}) + text }

// amqpPacket returns a frame with a list (AMQP 1.0, part 2, 2.3, and part 1, 1.2).
func amqpPacket(kind byte, descriptor byte, fields ...string) string {
	content := strings.Join(fields, "")
	list := "\x45" // the empty one
	if len(fields) > 0 {
		list = string([]byte{0xc0, byte(1 + len(content)), byte(len(fields))}) + content
	}
	body := string([]byte{2, kind, 0, 0, 0, 0x53, descriptor}) + list
	return string(binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))) + body
}

// readAMQP reads a frame, and returns its descriptor and the fields of its list.
func readAMQP(c *conn, kind byte) (descriptor byte, fields string, err error) {
	var header [8]byte
	if _, err := io.ReadFull(c.r, header[:]); err != nil {
		return 0, "", err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size < 12 || size > amqpMax || header[4] != 2 || header[5] != kind {
		return 0, "", errors.New("not a frame of that type")
	}
	body := make([]byte, size-8)
	if _, err := io.ReadFull(c.r, body); err != nil {
		return 0, "", err
	}
	list := string(body[3:])
	switch {
	case body[0] != 0 || body[1] != 0x53:
		return 0, "", errors.New("not a list with a description")
	case list == "\x45":
		return body[2], "", nil
	case len(list) >= 3 && list[0] == 0xc0 && int(list[1]) == len(list)-2:
		return body[2], list[3:], nil
	}
	return 0, "", errors.New("not a list")
}

func amqpSend(c *conn, packets ...string) error {
	_, err := io.WriteString(c.Conn, strings.Join(packets, ""))
	return err
}

// amqpAgree reads a header, which has to be that one, and answers with it.
func amqpAgree(c *conn, want string) error {
	header := make([]byte, len(want))
	if _, err := io.ReadFull(c.r, header); err != nil {
		return err
	}
	if err := amqpSend(c, want); err != nil {
		return err
	}
	if string(header) != want {
		return io.EOF // the client has been told what would be taken
	}
	return nil
}

// amqpUpgrade insists on TLS.
func amqpUpgrade(c *conn) error { return amqpAgree(c, amqpTLS) }

// amqpSession lets the user log in, and opens and closes the connection.
func amqpSession(c *conn) error {
	if err := amqpAgree(c, amqpSASL); err != nil {
		return err
	}
	if err := amqpSend(c, amqpPacket(amqpSASLFrame, amqpMechanisms, amqpText(0xa3, "PLAIN"))); err != nil {
		return err
	}
	descriptor, fields, err := readAMQP(c, amqpSASLFrame)
	if err != nil || descriptor != amqpSASLInit {
		return errors.Join(err, errors.New("not sasl-init"))
	}
	const ok, wrong = "\x50\x00", "\x50\x01"
	if !strings.HasPrefix(fields, amqpText(0xa3, "PLAIN")+amqpText(0xa0, "\x00"+User+"\x00"+Password)) {
		return amqpSend(c, amqpPacket(amqpSASLFrame, amqpSASLOutcome, wrong))
	}
	if err := amqpSend(c, amqpPacket(amqpSASLFrame, amqpSASLOutcome, ok)); err != nil {
		return err
	}
	if err := amqpAgree(c, amqpPlain); err != nil {
		return err
	}
	for opened := false; ; opened = true {
		descriptor, _, err := readAMQP(c, amqpFrame)
		switch {
		case err != nil:
			return err
		case descriptor == amqpOpen && !opened:
			err = amqpSend(c, amqpPacket(amqpFrame, amqpOpen, amqpText(0xa1, "server")))
		case descriptor == amqpClose && opened:
			return amqpSend(c, amqpPacket(amqpFrame, amqpClose))
		default:
			return errors.New("a frame that is not known")
		}
		if err != nil {
			return err
		}
	}
}

// amqpSplit cuts headers and frames.
func amqpSplit(data []byte, atEOF bool) (int, []byte, error) {
	n := 0
	switch {
	case strings.HasPrefix(string(data), "AMQP"):
		n = len(amqpTLS)
	case len(data) >= 8:
		n = max(8, int(binary.BigEndian.Uint32(data)))
	}
	switch {
	case n > 0 && n <= len(data):
		return n, data[:n], nil
	case atEOF && len(data) > 0:
		return len(data), data, nil
	}
	return 0, nil, nil
}

// amqpName names a header or a frame of either side.
func amqpName(p []byte) string {
	if len(p) == len(amqpTLS) && string(p[:4]) == "AMQP" {
		return fmt.Sprintf("AMQP %d.%d.%d.%d", p[4], p[5], p[6], p[7])
	}
	if len(p) < 12 {
		return string(p)
	}
	text := ""
	if len(p) > 16 {
		text = ": " + string(p[16:])
	}
	switch p[10] {
	case amqpMechanisms:
		return "sasl-mechanisms" + text
	case amqpSASLInit:
		return "sasl-init: PLAIN"
	case amqpSASLOutcome:
		return fmt.Sprintf("sasl-outcome: %d", p[len(p)-1])
	case amqpOpen:
		return "open" + text
	case amqpClose:
		return "close"
	}
	return string(p)
}
