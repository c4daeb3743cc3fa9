package testserver

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"strings"
)

// dicomPDU is a PDU of DICOM's upper layer (PS3.8, 9.3), and dicomItem a part of one.
func dicomPDU(kind byte, data string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind, 0}, uint32(len(data)))) + data
}

func dicomItem(kind byte, data string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind, 0}, uint16(len(data)))) + data
}

// The kinds of PDUs, and what DICOM's own names are for verification and how it is said.
const (
	dicomRequest, dicomAccept, dicomRelease, dicomReleased, dicomAbort = 1, 2, 5, 6, 7

	dicomVerification = "1.2.840.10008.1.1"
	dicomImplicit     = "1.2.840.10008.1.2"
)

// dicomAssociate is what both sides associate with, which differs in the presentation context.
func dicomAssociate(kind byte, context string) string {
	const ae = "DEMO            "
	return dicomPDU(kind, "\x00\x01\x00\x00"+ae+ae+strings.Repeat("\x00", 32)+dicomItem(0x10, "1.2.840.10008.3.1.1.1")+context+
		dicomItem(0x50, dicomItem(0x51, "\x00\x00\x40\x00")+dicomItem(0x52, "2.25.1")))
}

func dicomAsks() string {
	return dicomAssociate(dicomRequest, dicomItem(0x20, "\x01\x00\x00\x00"+dicomItem(0x30, dicomVerification)+dicomItem(0x40, dicomImplicit)))
}

func dicomAccepts() string {
	return dicomAssociate(dicomAccept, dicomItem(0x21, "\x01\x00\x00\x00"+dicomItem(0x40, dicomImplicit)))
}

func dicomLeaves() string { return dicomPDU(dicomRelease, "\x00\x00\x00\x00") }

var dicomServer = packetServer{
	length: func(data string) int { return lengthAt(data, 2, 4, 6) },
	answer: func(_ *conn, packet string) (string, bool) {
		switch {
		case packet[0] == dicomRequest && strings.Contains(packet, dicomVerification):
			return dicomAccepts(), true
		case packet == dicomLeaves():
			return dicomPDU(dicomReleased, "\x00\x00\x00\x00"), false
		}
		return dicomPDU(dicomAbort, "\x00\x00\x02\x00"), false // by the provider, for no reason
	},
	name: func(packet string) string {
		return named(map[byte]string{dicomRequest: "A-ASSOCIATE-RQ", dicomAccept: "A-ASSOCIATE-AC", dicomRelease: "A-RELEASE-RQ", dicomReleased: "A-RELEASE-RP", dicomAbort: "A-ABORT"}, packet[0])
	},
}

// Modbus (MODBUS Messaging on TCP/IP, 3.1.3; Modbus application protocol, 6.3 and 7): one register is
// asked for.
const (
	modbusRead  = "\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00\x00\x01"
	modbusValue = "\x00\x01\x00\x00\x00\x05\x01\x03\x02\x00\x2a"
)

var modbusServer = packetServer{
	length: func(data string) int {
		n := lengthAt(data, 4, 2, 6)
		if n > 0 && n < 8 || len(data) >= 4 && data[2:4] != "\x00\x00" {
			return -1
		}
		return n
	},
	answer: func(_ *conn, packet string) (string, bool) {
		if packet == modbusRead {
			return modbusValue, true
		}
		return packet[:4] + "\x00\x03" + packet[6:7] + string([]byte{packet[7] | 0x80}) + "\x01", true // illegal function
	},
	name: func(packet string) string {
		switch {
		case packet == modbusRead:
			return "read register 0"
		case packet[7] >= 0x80:
			return "exception"
		}
		return fmt.Sprintf("registers: %x", packet[min(9, len(packet)):])
	},
}

// snmpMessage is a message of SNMPv3 with the transport security model (RFC 3412, 6; RFC 5591), about
// the name of a system (RFC 3418).
func snmpMessage(pdu byte, value string) string {
	sysName := ber(0x06, "\x2b\x06\x01\x02\x01\x01\x05\x00")
	return ber(0x30, ber(0x02, "\x03"), ber(0x30, ber(0x02, "\x01"), ber(0x02, "\x10\x00"), ber(0x04, "\x07"), ber(0x02, "\x04")), ber(0x04),
		ber(0x30, ber(0x04), ber(0x04), ber(pdu, ber(0x02, "\x01"), ber(0x02, "\x00"), ber(0x02, "\x00"), ber(0x30, ber(0x30, sysName, value)))))
}

const snmpGet, snmpResponse = 0xa0, 0xa2

func snmpAsks() string { return snmpMessage(snmpGet, ber(0x05)) }

var snmpServer = packetServer{
	length: func(data string) int {
		if data != "" && data[0] != 0x30 || len(data) > 1 && data[1] >= 0x80 {
			return -1
		}
		return lengthAt(data, 1, 1, 2)
	},
	answer: func(_ *conn, packet string) (string, bool) {
		if packet != snmpAsks() {
			return "", false // it is dropped
		}
		return snmpMessage(snmpResponse, ber(0x04, "demo")), true
	},
	name: func(packet string) string {
		if packet == snmpAsks() {
			return "GetRequest, sysName"
		}
		return "Response, sysName"
	},
}

// PDUs of version 1 of the RPKI's protocol (RFC 8210, 5): all is asked for.
const (
	rpkiReset  = "\x01\x02\x00\x00\x00\x00\x00\x08"
	rpkiBegins = "\x01\x03\x00\x01\x00\x00\x00\x08"
	rpkiPrefix = "\x01\x04\x00\x00\x00\x00\x00\x14\x01\x18\x18\x00\xc0\x00\x02\x00\x00\x00\xfb\xf0"
	rpkiEnds   = "\x01\x07\x00\x01\x00\x00\x00\x18\x00\x00\x00\x01\x00\x00\x0e\x10\x00\x00\x02\x58\x00\x00\x1c\x20"
)

var rpkiServer = packetServer{
	length: func(data string) int {
		n := lengthAt(data, 4, 4, 0)
		if len(data) >= 8 && n < 8 {
			return -1
		}
		return n
	},
	answer: func(_ *conn, packet string) (string, bool) {
		if packet == rpkiReset {
			return rpkiBegins + rpkiPrefix + rpkiEnds, true
		}
		report := string(binary.BigEndian.AppendUint32(nil, uint32(len(packet)))) + packet + "\x00\x00\x00\x00"
		return "\x01\x0a\x00\x03" + string(binary.BigEndian.AppendUint32(nil, uint32(8+len(report)))) + report, false // invalid request
	},
	name: func(packet string) string {
		return named(map[byte]string{2: "Reset Query", 3: "Cache Response", 4: "IPv4 Prefix: 192.0.2.0/24, AS 64496", 7: "End of Data", 10: "Error Report"}, packet[1])
	},
}

// tacacsPacket is a packet of an authentication (RFC 8907, 4.1), with the flag that says that nothing
// but TLS hides it (RFC 9887, 4).
func tacacsPacket(sequence byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte("\xc0\x01"+string([]byte{sequence})+"\x01demo"), uint32(len(body)))) + body
}

// The packets of a login (RFC 8907, 5).
func tacacsStart() string    { return tacacsPacket(1, "\x01\x01\x01\x01\x04\x00\x00\x00"+User) }
func tacacsAsks() string     { return tacacsPacket(2, "\x05\x01\x00\x0a\x00\x00Password: ") }
func tacacsPassword() string { return tacacsPacket(3, "\x00\x04\x00\x00\x00"+Password) }
func tacacsPass() string     { return tacacsPacket(4, "\x01\x00\x00\x00\x00\x00") }

var tacacsServer = packetServer{
	minVersion: tls.VersionTLS13,
	length:     func(data string) int { return lengthAt(data, 8, 4, 12) },
	answer: func(_ *conn, packet string) (string, bool) {
		switch packet {
		case tacacsStart():
			return tacacsAsks(), true
		case tacacsPassword():
			return tacacsPass(), false
		}
		return tacacsPacket(packet[2]+1, "\x02\x00\x00\x00\x00\x00"), false // FAIL
	},
	name: func(packet string) string {
		names := map[string]string{tacacsStart(): "START: login of " + User, tacacsAsks(): "REPLY: GETPASS", tacacsPassword(): "CONTINUE: a password", tacacsPass(): "REPLY: PASS"}
		if name, ok := names[packet]; ok {
			return name
		}
		return "REPLY: FAIL"
	},
}

// ipfixMessage is a message with no record in it (RFC 7011, 3.1).
const ipfixMessage = "\x00\x0a\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"

var ipfixServer = packetServer{
	length: func(data string) int {
		n := lengthAt(data, 2, 2, 0)
		if len(data) >= 4 && (n < len(ipfixMessage) || data[:2] != "\x00\x0a") {
			return -1
		}
		return n
	},
	answer: func(*conn, string) (string, bool) { return "", true },
	name:   func(string) string { return "message of observation domain 1" },
}
