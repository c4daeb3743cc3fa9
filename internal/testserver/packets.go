package testserver

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// A packetServer answers each packet, in a protocol that has TLS from the first byte alone.
type packetServer struct {
	alpn       []string
	minVersion uint16
	greeting   func() string // nil for none
	// length is how long the packet is that data begins with: 0 if too little is there to tell, -1
	// if it is none.
	length func(data string) int
	// answer is what the server says to a packet, and whether it goes on.
	answer func(c *conn, packet string) (answer string, more bool)
	name   func(packet string) string
}

// packetMax is how long a packet may be, in bytes.
const packetMax = 4096

func packetsServers(servers map[string]protocol) {
	add := func(name string, s packetServer, talk ...string) {
		servers[name] = protocol{alpn: s.alpn, minVersion: s.minVersion, session: s.session, talk: talk, packets: &Packets{Split: s.split, Name: s.nameOf}}
	}
	add("mqtts", mqttServer, mqttConnect, mqttPing, mqttDisconnect)
	add("dot", dnsServer, dnsQuery)
	add("epp", eppServer, eppMessage("<hello/>"), eppMessage("<command><logout/></command>"))
	add("coaps+tcp", coapServer, coapCSM, "\x00\xe2", "\x61\x01\x01\xb5hello", coapRelease)
	add("turns", stunServer, stunMessage(stunBinding, "demo-demo-de", ""))
	add("ntske", ntsServer, ntsNTP, ntsAEAD, ntsEnd)
	add("radsec", radiusServer, radiusPacket(radiusStatus, radiusNonce, radiusNonce))
	add("dicom-tls", dicomServer, dicomAsks(), dicomLeaves())
	add("mbap-s", modbusServer, modbusRead)
	add("snmptls", snmpServer, snmpAsks())
	add("rpki-rtr-tls", rpkiServer, rpkiReset)
	add("tacacss", tacacsServer, tacacsStart(), tacacsPassword())
	add("ipfixs", ipfixServer, ipfixMessage)
	add("syslog-tls", syslogServer, syslogMessage("<14>1 - client.example.org demo - - - hello"))
}

func (s *packetServer) whole(packet string) bool {
	return len(packet) > 0 && s.length(packet) == len(packet)
}

func (s *packetServer) nameOf(packet []byte) string {
	if !s.whole(string(packet)) {
		return fmt.Sprintf("%x", packet)
	}
	return s.name(string(packet))
}

func (s *packetServer) split(data []byte, atEOF bool) (int, []byte, error) {
	switch n := s.length(string(data)); {
	case n > 0 && n <= len(data):
		return n, data[:n], nil
	case atEOF && len(data) > 0 || n < 0:
		return len(data), data, nil
	}
	return 0, nil, nil
}

func (s *packetServer) session(c *conn) error {
	if s.greeting != nil {
		if _, err := io.WriteString(c.Conn, s.greeting()); err != nil {
			return err
		}
	}
	for {
		packet := ""
		for !s.whole(packet) {
			b, err := c.r.ReadByte()
			if err != nil {
				return err
			}
			if packet += string([]byte{b}); s.length(packet) < 0 || len(packet) == packetMax {
				return io.EOF // it is none
			}
		}
		answer, more := s.answer(c, packet)
		if _, err := io.WriteString(c.Conn, answer); err != nil || !more {
			return err
		}
	}
}

// lengthAt reads a length of some bytes, which counts those behind the first n.
func lengthAt(data string, offset, size, n int) int {
	if len(data) < offset+size {
		return 0
	}
	length := 0
	for _, b := range []byte(data[offset : offset+size]) {
		length = length<<8 | int(b)
	}
	if length > packetMax {
		return -1
	}
	return n + length
}

// named looks up a name.
func named[K comparable](names map[K]string, k K) string {
	if name, ok := names[k]; ok {
		return name
	}
	return fmt.Sprintf("%v", k)
}

// MQTT 5.0, 2.1 and 3.
const (
	mqttConnect    = "\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x04demo"
	mqttPing       = "\xc0\x00"
	mqttDisconnect = "\xe0\x00"
)

var mqttServer = packetServer{
	alpn: []string{"mqtt"},
	length: func(data string) int {
		n := 0
		for i := 1; i < len(data) && i <= 4; i++ {
			n |= int(data[i]&0x7f) << (7 * (i - 1))
			if data[i] < 0x80 {
				return 1 + i + n
			}
		}
		if len(data) > 4 {
			return -1
		}
		return 0
	},
	answer: func(_ *conn, packet string) (string, bool) {
		switch {
		case packet[0] == 0x10 && strings.HasPrefix(packet[2:], "\x00\x04MQTT\x05"):
			return "\x20\x03\x00\x00\x00", true
		case packet == mqttPing:
			return "\xd0\x00", true
		case packet[0] == 0xe0:
			return "", false
		}
		return "\xe0\x01\x82", false // DISCONNECT, protocol error
	},
	name: func(packet string) string {
		return named(map[byte]string{1: "CONNECT", 2: "CONNACK", 12: "PINGREQ", 13: "PINGRESP", 14: "DISCONNECT"}, packet[0]>>4)
	},
}

// dnsQuery asks for an address of the host (RFC 1035, 4.1).
const dnsQuery = "\x00\x22\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + dnsQuestion

const dnsQuestion = "\x04mail\x07example\x03org\x00\x00\x01\x00\x01"

var dnsServer = packetServer{
	alpn:   []string{"dot"},
	length: func(data string) int { return lengthAt(data, 0, 2, 2) },
	answer: func(_ *conn, packet string) (string, bool) {
		if len(packet) < 14 {
			return "", false
		}
		id, flags, rest := packet[2:4], "\x81\x85", "\x00\x00\x00\x00\x00\x00\x00\x00" // refused
		if packet[6:] == dnsQuery[6:] {
			flags, rest = "\x81\x80", "\x00\x01\x00\x01\x00\x00\x00\x00"+dnsQuestion+"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\xc0\x00\x02\x19"
		}
		message := id + flags + rest
		return string(binary.BigEndian.AppendUint16(nil, uint16(len(message)))) + message, true
	},
	name: func(packet string) string {
		switch {
		case len(packet) < 14:
			return "no message"
		case packet[4]&0x80 == 0:
			return "query for A of mail.example.org"
		case packet[5]&15 != 0:
			return "refused"
		}
		return "answer: mail.example.org A " + net.IP(packet[len(packet)-4:]).String()
	},
}

// EPP over TCP (RFC 5734, 4; RFC 5730, 2).
func eppMessage(element string) string {
	xml := `<epp xmlns="urn:ietf:params:xml:ns:epp-1.0">` + element + `</epp>`
	return string(binary.BigEndian.AppendUint32(nil, uint32(4+len(xml)))) + xml
}

func eppGreeting() string { return eppMessage("<greeting><svID>" + Host + "</svID></greeting>") }

var eppServer = packetServer{
	greeting: eppGreeting,
	length:   func(data string) int { return lengthAt(data, 0, 4, 0) },
	answer: func(_ *conn, packet string) (string, bool) {
		switch {
		case strings.Contains(packet, "<hello/>"):
			return eppGreeting(), true
		case strings.Contains(packet, "<logout/>"):
			return eppMessage(`<response><result code="1500"><msg>bye</msg></result></response>`), false
		}
		return eppMessage(`<response><result code="2001"><msg>what?</msg></result></response>`), true
	},
	name: func(packet string) string { return packet[min(4, len(packet)):] },
}

// CoAP over TCP (RFC 8323, 3.2 and 5), in messages of at most 12 bytes behind their tokens.
const (
	coapCSM     = "\x00\xe1"
	coapRelease = "\x00\xe4"
)

var coapServer = packetServer{
	alpn:     []string{"coap"},
	greeting: func() string { return coapCSM },
	length: func(data string) int {
		switch {
		case data == "":
			return 0
		case data[0]>>4 > 12 || data[0]&15 > 8:
			return -1
		}
		return 2 + int(data[0]&15) + int(data[0]>>4)
	},
	answer: func(_ *conn, packet string) (string, bool) {
		tokens := packet[0] & 15
		token := packet[2 : 2+tokens]
		switch code := packet[1]; {
		case packet == coapRelease:
			return "", false
		case code == 0xe1 || code == 0:
			return "", true
		case code == 0xe2: // Ping, Pong
			return string([]byte{tokens, 0xe3}) + token, true
		case packet[2+tokens:] == "\xb5hello":
			return string([]byte{0x60 | tokens, 0x45}) + token + "\xffhello", true
		}
		return string([]byte{tokens, 0x84}) + token, true // 4.04
	},
	name: func(packet string) string {
		return named(map[byte]string{0x01: "GET /hello", 0x45: "2.05 Content: hello", 0x84: "4.04 Not Found", 0xe1: "CSM", 0xe2: "Ping", 0xe3: "Pong", 0xe4: "Release"}, packet[1])
	},
}

// STUN (RFC 8489, 5 and 14).
const stunBinding, stunFound, stunError = 0x0001, 0x0101, 0x0111

const stunCookie = "\x21\x12\xa4\x42"

func stunMessage(kind uint16, transaction, attributes string) string {
	m := binary.BigEndian.AppendUint16(nil, kind)
	m = binary.BigEndian.AppendUint16(m, uint16(len(attributes)))
	return string(m) + stunCookie + transaction + attributes
}

var stunServer = packetServer{
	alpn: []string{"stun.turn", "stun.nat-discovery"},
	length: func(data string) int {
		if len(data) >= 8 && data[4:8] != stunCookie {
			return -1
		}
		return lengthAt(data, 2, 2, 20)
	},
	answer: func(c *conn, packet string) (string, bool) {
		transaction := packet[8:20]
		if packet[:2] != "\x00\x01" {
			return stunMessage(stunError, transaction, "\x00\x09\x00\x04\x00\x00\x04\x00"), true // 400
		}
		addr := c.RemoteAddr().(*net.TCPAddr)
		mapped := binary.BigEndian.AppendUint16([]byte("\x00\x20\x00\x08\x00\x01"), uint16(addr.Port)^0x2112)
		for i, b := range addr.IP.To4() {
			mapped = append(mapped, b^stunCookie[i])
		}
		return stunMessage(stunFound, transaction, string(mapped)), true
	},
	name: func(packet string) string {
		switch binary.BigEndian.Uint16([]byte(packet)) {
		case stunBinding:
			return "Binding request"
		case stunFound:
			return "Binding success, XOR-MAPPED-ADDRESS"
		}
		return "error"
	},
}

// NTS-KE (RFC 8915, 4).
const (
	ntsNTP  = "\x80\x01\x00\x02\x00\x00"
	ntsAEAD = "\x00\x04\x00\x02\x00\x0f"
	ntsEnd  = "\x80\x00\x00\x00"
)

var ntsServer = packetServer{
	alpn:       []string{"ntske/1"},
	minVersion: tls.VersionTLS13,
	length:     func(data string) int { return lengthAt(data, 2, 2, 4) },
	answer: func(_ *conn, packet string) (string, bool) {
		if packet != ntsEnd {
			return "", true
		}
		return ntsNTP + "\x80" + ntsAEAD[1:] + "\x00\x05\x00\x06cookie" + ntsEnd, false
	},
	name: func(packet string) string {
		kind := binary.BigEndian.Uint16([]byte(packet)) &^ 0x8000
		return named(map[uint16]string{0: "End of Message", 1: "Next Protocol: NTPv4", 4: "AEAD Algorithm: AEAD_AES_SIV_CMAC_256", 5: "New Cookie"}, kind)
	},
}

// RADIUS (RFC 2865, 3; RFC 5997; the secret is that of RFC 6614, 2.3).
const (
	radiusAccept, radiusStatus = 2, 12

	radiusSecret = "radsec"
	radiusNonce  = "a request's MD5!" // of 16 bytes
)

// radiusPacket returns a packet with a Message-Authenticator: a request with its own
// authenticator, or the answer to one.
func radiusPacket(code byte, request, own string) string {
	const length, zeroes = 38, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	head, attribute := string([]byte{code, 1, 0, length}), "\x50\x12"
	mac := hmac.New(md5.New, []byte(radiusSecret))
	io.WriteString(mac, head+request+attribute+zeroes)
	attribute += string(mac.Sum(nil))
	if own == "" {
		sum := md5.Sum([]byte(head + request + attribute + radiusSecret))
		own = string(sum[:])
	}
	return head + own + attribute
}

var radiusServer = packetServer{
	length: func(data string) int { return lengthAt(data, 2, 2, 0) },
	answer: func(_ *conn, packet string) (string, bool) {
		if len(packet) < 20 {
			return "", false
		}
		if request := packet[4:20]; packet == radiusPacket(radiusStatus, request, request) {
			return radiusPacket(radiusAccept, request, ""), true
		}
		return "", true // as to a packet that somebody has changed
	},
	name: func(packet string) string {
		return named(map[byte]string{radiusAccept: "Access-Accept", radiusStatus: "Status-Server"}, packet[0])
	},
}

// syslogMessage counts a message's bytes (RFC 5425, 4.3).
func syslogMessage(message string) string { return strconv.Itoa(len(message)) + " " + message }

var syslogServer = packetServer{
	length: func(data string) int {
		count, _, ok := strings.Cut(data, " ")
		n, err := strconv.Atoi(count)
		switch {
		case data != "" && (err != nil || n < 1 || n > packetMax || count[0] == '0'):
			return -1
		case !ok:
			return 0
		}
		return len(count) + 1 + n
	},
	answer: func(*conn, string) (string, bool) { return "", true },
	name:   func(packet string) string { _, message, _ := strings.Cut(packet, " "); return message },
}
