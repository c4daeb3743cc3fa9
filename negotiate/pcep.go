package negotiate

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// PCEP, by which routers have paths computed, StartTLS (RFC 8253, 3.2 and 3.3; messages and
// objects are those of RFC 5440, 6 and 7):
//
//	C: 20 0d 0004        version 1, StartTLS, of four bytes in all
//	S: 20 0d 0004
//	   <TLS>
//
// A server that takes nothing but TLS may say so before it is asked. A PCErr refuses:
//
//	S: 20 06 000c        version 1, PCErr, of twelve bytes
//	   0d 10 0008        a PCEP-ERROR object, of eight bytes
//	   0000 19 03        error 25, 3
//
// A server that knows no TLS opens the session in the clear in place of it. Inside TLS both
// sides open the session.
var pcep = &Protocol{
	Name:      "pcep",
	Aliases:   []string{"pceps"},
	Family:    Remote,
	Title:     "paths through a network (PCEP)",
	Port:      4189,
	Specs:     []string{"RFC 8253"},
	Recognise: greetsLikePCEP,
	Upgrade:   upgradePCEP,
	Remarks: []Remark{
		{"C: StartTLS", "20 0d 00 04: four bytes, that stand before any other message"},
		{"S: StartTLS", "the go-ahead, the same four bytes; PCErr refuses, and Open comes from a server without TLS"},
	},
	Note: "Inside TLS both sides send Open. What follows are packets, not lines.",
}

var _ = register(pcep)

const (
	pcepStartTLS = "\x20\x0d\x00\x04"

	pcepOpen     = 1 // types of messages
	pcepError    = 6
	pcepTLS      = 13
	pcepErrClass = 13 // of an object
	pcepMax      = 4096
)

// pcepErrors names errors by type and value (RFC 5440, 7.15, and RFC 8253, 8.3).
func pcepErrors() map[[2]byte]string {
	return map[[2]byte]string{
		{1, 1}:  "reception of an invalid Open message or a non Open message",
		{1, 2}:  "no Open message received before the expiration of the OpenWait timer",
		{25, 1}: "reception of StartTLS after any PCEP exchange",
		{25, 2}: "reception of any other message apart from StartTLS, Open, or PCErr",
		{25, 3}: "failure, connection without TLS is not possible",
		{25, 4}: "failure, connection without TLS is possible",
		{25, 5}: "no StartTLS message (nor PCErr/Open) before StartTLSWait timer expiry",
	}
}

// greetsLikePCEP recognises a server that takes nothing but TLS.
func greetsLikePCEP(b []byte) bool { return strings.HasPrefix(string(b), pcepStartTLS) }

func upgradePCEP(c *Conn, _ *Options) error {
	c.Step(Upgrade)
	if err := c.WritePacket("StartTLS", []byte(pcepStartTLS)); err != nil {
		return err
	}
	kind, body, err := readPCEP(c)
	switch {
	case err != nil:
		return err
	case kind == pcepTLS && len(body) == 0:
		c.Describe("StartTLS")
		return nil
	case kind == pcepOpen:
		c.Describe("Open")
		return fmt.Errorf("%w, it opens the session in the clear", NotOffered("TLS"))
	case kind == pcepError:
		code, ok := pcepErrorOf(body)
		if !ok {
			return c.unexpected()
		}
		said := fmt.Sprintf("error %d, %d", code[0], code[1])
		if name := pcepErrors()[code]; name != "" {
			said += ": " + name
		}
		c.Describe("PCErr, " + said)
		if code == [2]byte{1, 1} {
			return Hinted(Refused(said), "this server knows no TLS, or it is off there")
		}
		return Refused(said)
	}
	return c.unexpected()
}

// readPCEP reads a message that can be an answer to StartTLS (RFC 5440, 6.1): its type, and
// what is behind the header.
func readPCEP(c *Conn) (kind byte, body []byte, err error) {
	if err := c.Count(); err != nil {
		return 0, nil, err
	}
	var header [4]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return 0, nil, err
	}
	kind = header[1]
	length := int(binary.BigEndian.Uint16(header[2:]))
	switch {
	case header[0]>>5 != 1 || kind != pcepOpen && kind != pcepError && kind != pcepTLS || length < len(header):
		return 0, nil, c.unexpected()
	case length > pcepMax:
		return 0, nil, fmt.Errorf("%w: a message of %d bytes", ErrTooLong, length)
	}
	body = make([]byte, length-len(header))
	_, err = io.ReadFull(c, body)
	return kind, body, err
}

// pcepErrorOf finds the type and the value of the first error among the objects of a PCErr
// (RFC 5440, 7.2 and 7.15).
func pcepErrorOf(objects []byte) (code [2]byte, ok bool) {
	for len(objects) >= 4 {
		class, kind := objects[0], objects[1]>>4
		length := int(binary.BigEndian.Uint16(objects[2:]))
		if length < 4 || length > len(objects) {
			break
		}
		if class == pcepErrClass && kind == 1 && length >= 8 {
			return [2]byte{objects[6], objects[7]}, true
		}
		objects = objects[length:]
	}
	return code, false
}
