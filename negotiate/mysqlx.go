package negotiate

import (
	"encoding/binary"
	"fmt"
	"io"
)

// MySQL's X Protocol (MySQL's source code documentation, "X Protocol"). A message starts with
// its length, 4 bytes, little-endian, which counts all that follows, and its type; the rest is
// encoded as Protocol Buffers:
//
//	S: 05000000 0b 08051a00     a Notice, ServerHello, since version 8.0.16
//	C: 14000000 02              CapabilitiesSet
//	   0a11 0a0f 0a03"tls" 1208 0801 1204 0807 4001    tls = true
//	S: 01000000 00              Ok
//	   <TLS>
//
// An Error in place of Ok refuses:
//
//	S: 37000000 01 0800 108927 1a"Capability prepare failed for 'tls'" 22"HY000"
//
// Notices may come at any time. Inside TLS the client goes on, with its login or with more
// capabilities.
var mysqlx = &Protocol{
	Name:      "mysqlx",
	Family:    Database,
	Title:     "MySQL database by the X Protocol",
	Port:      33060,
	Specs:     []string{"MySQL X Protocol"},
	Recognise: greetsLikeMySQLX,
	Upgrade:   upgradeMySQLX,
	Remarks: []Remark{
		{"C: CapabilitiesSet", "14000000 02, and tls = true as Protocol Buffers"},
		{"S: Notice", "servers since 8.0.16 send one as soon as they are connected to; nobody waits for it"},
		{"S: Ok", "the go-ahead; an Error refuses, with code 5001 where TLS is off"},
	},
	Note: "Inside TLS the server is silent: the client goes on with AuthenticateStart. What follows are messages, not lines.",
}

var _ = register(mysqlx)

// Types of a server's messages (Mysqlx::ServerMessages).
const (
	mysqlxOk     = 0
	mysqlxError  = 1
	mysqlxNotice = 11
)

// mysqlxMaxMessage is how long a message may be before TLS, in bytes with its type.
const mysqlxMaxMessage = 16 << 10

var mysqlxSetTLS = []byte("\x14\x00\x00\x00\x02\x0a\x11\x0a\x0f\x0a\x03tls\x12\x08\x08\x01\x12\x04\x08\x07\x40\x01")

func upgradeMySQLX(c *Conn, _ *Options) error {
	c.Step(Upgrade)
	if err := c.WritePacket("CapabilitiesSet: tls = true", mysqlxSetTLS); err != nil {
		return err
	}
	for {
		message, err := readMySQLXMessage(c)
		if err != nil {
			return err
		}
		fields, ok := parseProtobuf(message[1:])
		if !ok {
			return c.unexpected()
		}
		switch message[0] {
		case mysqlxOk:
			c.Describe("Ok")
			return nil
		case mysqlxError:
			return refusedByMySQLX(c, fields)
		case mysqlxNotice:
			c.Describe(mysqlxNoticeText(fields))
		default:
			return c.unexpected()
		}
	}
}

// readMySQLXMessage reads a message and returns it from its type on.
func readMySQLXMessage(c *Conn) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n == 0 || n > mysqlxMaxMessage {
		return nil, c.unexpected() // hardly the X Protocol
	}
	message := make([]byte, n)
	if _, err := io.ReadFull(c, message); err != nil {
		return nil, err
	}
	return message, c.Count()
}

// refusedByMySQLX is the error for Mysqlx::Error: severity 1, code 2, text 3, SQLSTATE 4.
func refusedByMySQLX(c *Conn, fields map[int]protobufField) error {
	answer := fmt.Sprintf("%d: %s (SQLSTATE %s)", fields[2].number, fields[3].text, fields[4].text)
	c.Describe("Error " + answer)
	if fields[2].number == 5001 {
		return Hinted(Refused(answer), "TLS is off at the server: mysqlx_ssl_cert and mysqlx_ssl_key, or ssl_cert and ssl_key, turn it on")
	}
	return Refused(answer)
}

// mysqlxNoticeText names a Mysqlx::Notice::Frame by its type, field 1.
func mysqlxNoticeText(fields map[int]protobufField) string {
	names := []string{1: "Warning", "SessionVariableChanged", "SessionStateChanged", "GroupReplicationStateChanged", "ServerHello"}
	kind := fields[1].number
	if kind > 0 && kind < uint64(len(names)) {
		return "Notice: " + names[kind]
	}
	return fmt.Sprintf("Notice of type %d", kind)
}

// greetsLikeMySQLX recognises the beginning of a Notice.
func greetsLikeMySQLX(b []byte) bool {
	return len(b) >= 6 && b[2] == 0 && b[3] == 0 && b[4] == mysqlxNotice && b[5] == 0x08 &&
		binary.LittleEndian.Uint16(b) >= 3 && binary.LittleEndian.Uint16(b) <= mysqlxMaxMessage
}

// protobufField is a field of a Protocol Buffers message: a number or bytes.
type protobufField struct {
	number uint64
	text   string
}

// parseProtobuf reads the fields of a message by their numbers; of those that are repeated
// the last counts (Protocol Buffers, "Encoding").
func parseProtobuf(message []byte) (fields map[int]protobufField, ok bool) {
	fields = make(map[int]protobufField)
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 || tag>>3 == 0 || tag>>3 >= 1<<29 {
			return nil, false
		}
		message = message[n:]
		var f protobufField
		switch tag & 7 {
		case 0: // a number
			f.number, n = binary.Uvarint(message)
			if n <= 0 {
				return nil, false
			}
		case 1, 5: // a number of 8 or 4 bytes, of no use here
			n = map[uint64]int{1: 8, 5: 4}[tag&7]
			if len(message) < n {
				return nil, false
			}
		case 2: // bytes behind their length
			length, m := binary.Uvarint(message)
			if m <= 0 || length > uint64(len(message)-m) {
				return nil, false
			}
			n = m + int(length)
			f.text = string(message[m:n])
		default:
			return nil, false
		}
		fields[int(tag>>3)], message = f, message[n:]
	}
	return fields, true
}
