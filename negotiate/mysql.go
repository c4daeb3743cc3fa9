package negotiate

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
)

// MySQL and MariaDB, SSLRequest (MySQL's source code documentation, "Protocol::SSLRequest";
// MariaDB's "Connecting"). A packet starts with its length, 3 bytes, little-endian like all
// numbers here, and a sequence number:
//
//	S: 4a0000 00                the first packet, 74 bytes
//	   0a "8.0.40" 00           protocol 10, the server's version
//	   08000000 <8 bytes> 00    the connection's number, the scramble's beginning
//	   ffff                     capabilities, the lower half: bit 11 is CLIENT_SSL
//	   ff 0200 ffdf             character set, status, capabilities, the upper half
//	   15 <10 bytes> <12 bytes> 00 "caching_sha2_password" 00
//	C: 200000 01                SSLRequest: the beginning of a login packet
//	   018a0800                 capabilities, with CLIENT_SSL
//	   00000001 2d <23 bytes>   the longest packet, character set utf8mb4, zeros
//	   <TLS>
//
// The server gives no go-ahead of its own: the offer in its first packet is all there is. An
// error may stand in that packet's place:
//
//	S: 170000 00 ff 1004 "Too many connections"
//
// Inside TLS the client logs in, in a packet with sequence number 2.
var mysql = &Protocol{
	Name:      "mysql",
	Aliases:   []string{"mariadb"},
	Family:    Database,
	Title:     "MySQL and MariaDB database",
	Port:      3306,
	Specs:     []string{"MySQL Protocol::SSLRequest"},
	Servers:   []string{"MariaDB", "go-mysql"},
	Greets:    true,
	Recognise: greetsLikeMySQL,
	Upgrade:   upgradeMySQL,
	Refusal:   refusedInMySQLsTLS,
	Lead:      leadMySQL,
	Ends:      mysqlEnds,
	Remarks: []Remark{
		{"S: Handshake", "the offer is the bit CLIENT_SSL (00000800) of the capabilities; an error in place of this packet refuses"},
		{"C: SSLRequest", "the beginning of a login packet, with sequence number 1; no go-ahead follows, the next byte is TLS"},
	},
	Note: "Inside TLS the server is silent: the client logs in, with sequence number 2 and the capabilities that SSLRequest had, " +
		"since the server does not read them again. The scramble that a password is mixed with came in the clear, and is shown by -v. " +
		"Behind COM_QUIT MariaDB closes without close_notify: the end of the input ends the session better. " +
		"What follows are packets, not lines: for the mariadb client and others there is the tunnel, in which a client with TLS switched off " +
		"is shown the handshake packet without CLIENT_SSL, and a client that asks for the server's RSA key is given one of the tunnel's own.",
}

var _ = register(mysql)

// Capabilities of server and client (MySQL, "Capabilities Flags").
const (
	mysqlLongPassword     = 1 << 0 // in MariaDB CLIENT_MYSQL: without it there are more capabilities
	mysqlConnectWithDB    = 1 << 3
	mysqlProtocol41       = 1 << 9
	mysqlSSL              = 1 << 11
	mysqlSecureConnection = 1 << 15
	mysqlPluginAuth       = 1 << 19
	mysqlLongAnswer       = 1 << 21 // CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
	mysqlFactors          = 1 << 28 // MULTI_FACTOR_AUTHENTICATION
)

// Bounds of a server's first packet, in bytes behind its header.
const (
	mysqlMaxPacket   = 4 << 10
	mysqlMinGreeting = len("\n0\x00") + 4 + 8 + 1 + 2 // up to the capabilities' lower half
)

func upgradeMySQL(c *Conn, o *Options) error {
	greeting, err := greetedByMySQL(c)
	if err != nil {
		return o.Local.toldByMySQL(err)
	}
	c.Step(Upgrade)
	start := mysqlLoginStart{
		capabilities: mysqlProtocol41 | mysqlSecureConnection | greeting.capabilities&(mysqlLongPassword|mysqlPluginAuth),
		longest:      1 << 24, // as clients have it
		charset:      45,      // utf8mb4_general_ci
	}
	if o.Local != nil {
		if start, err = o.Local.askMySQL(greeting); err != nil {
			return err
		}
	}
	start.capabilities |= mysqlSSL
	return c.WritePacket("SSLRequest: "+start.String(), mysqlPacket(1, start.bytes()))
}

// greetedByMySQL reads the server's first packet, which has to offer TLS.
func greetedByMySQL(c *Conn) (mysqlGreeting, error) {
	packet, err := readMySQLPacket(c)
	if err != nil {
		return mysqlGreeting{}, err
	}
	if packet[0] == 0xff {
		return mysqlGreeting{}, refusedByMySQL(c, packet)
	}
	if packet[0] == 9 {
		c.Describe("Handshake of protocol 9")
		return mysqlGreeting{}, NotOffered("protocol 10, of MySQL since 3.21")
	}
	greeting, ok := parseMySQLGreeting(packet)
	if !ok {
		return mysqlGreeting{}, c.unexpected()
	}
	c.Describe(greeting.String())

	c.Step(Capabilities)
	switch {
	case greeting.capabilities&mysqlProtocol41 == 0:
		return greeting, NotOffered("the protocol of MySQL 4.1 (CLIENT_PROTOCOL_41)")
	case greeting.capabilities&mysqlSSL == 0:
		return greeting, Hinted(NotOffered("TLS (CLIENT_SSL)"), "TLS is off at the server: ssl_cert and ssl_key in its configuration turn it on")
	}
	return greeting, nil
}

// mysqlLoginStart is what a login packet begins with, and all of SSLRequest (MySQL,
// "Protocol::SSLRequest"; MariaDB, "Connecting").
type mysqlLoginStart struct {
	capabilities uint32
	longest      uint32 // packet, in bytes
	charset      byte
	more         uint32 // MariaDB's capabilities; 0 for MySQL
}

// mysqlLoginLen is how many bytes it has.
const mysqlLoginLen = 32

func (s mysqlLoginStart) bytes() []byte {
	p := binary.LittleEndian.AppendUint32(nil, s.capabilities)
	p = binary.LittleEndian.AppendUint32(p, s.longest)
	p = append(p, s.charset)
	p = append(p, make([]byte, 19)...)
	return binary.LittleEndian.AppendUint32(p, s.more)
}

func (s mysqlLoginStart) String() string {
	return fmt.Sprintf("capabilities %08x, character set %d", s.capabilities, s.charset)
}

// mysqlPacket returns a packet with its header.
func mysqlPacket(sequence byte, payload []byte) []byte {
	n := len(payload)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), sequence}, payload...)
}

// mysqlLength is the length that a packet's header announces, in bytes.
func mysqlLength(header []byte) int {
	return int(header[0]) | int(header[1])<<8 | int(header[2])<<16
}

// readMySQLPacket reads the server's first packet and returns it without its header.
func readMySQLPacket(c *Conn) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return nil, err
	}
	n := mysqlLength(header[:])
	if n == 0 || n > mysqlMaxPacket || header[3] != 0 {
		return nil, c.unexpected() // hardly MySQL
	}
	packet := make([]byte, n)
	if _, err := io.ReadFull(c, packet); err != nil {
		return nil, err
	}
	return packet, c.Count()
}

// mysqlGreeting is a server's first packet (MySQL, "Protocol::HandshakeV10").
type mysqlGreeting struct {
	version      string
	connection   uint32
	capabilities uint32
	charset      byte
	status       uint16
	more         uint32 // MariaDB's capabilities
	scramble     []byte
	plugin       string // "" in short forms of the packet
}

// String says what a client needs to know of it, and everything that it can't learn again.
func (g mysqlGreeting) String() string {
	text := fmt.Sprintf("Handshake: version %s, connection %d, capabilities %08x, scramble %s", g.version, g.connection, g.capabilities, hex.EncodeToString(g.scramble))
	if g.plugin != "" {
		text += ", " + g.plugin
	}
	return text
}

// parseMySQLGreeting reads a packet of protocol 10. It may end behind the lower half of the
// capabilities; servers that are not MySQL's own cut it elsewhere, too.
func parseMySQLGreeting(packet []byte) (g mysqlGreeting, ok bool) {
	version, rest, found := bytes.Cut(packet[1:], []byte{0})
	if packet[0] != 10 || !found || len(rest) < 4+8+1+2 {
		return g, false
	}
	g.version = string(version)
	g.connection = binary.LittleEndian.Uint32(rest)
	g.scramble = rest[4:12:12]
	g.capabilities = uint32(binary.LittleEndian.Uint16(rest[13:]))
	rest = rest[15:]
	if len(rest) < 5 { // character set, status, capabilities
		return g, true
	}
	g.charset, g.status = rest[0], binary.LittleEndian.Uint16(rest[1:])
	g.capabilities |= uint32(binary.LittleEndian.Uint16(rest[3:])) << 16
	rest = rest[5:]
	if len(rest) < 11 { // the scramble's length, reserved bytes
		return g, true
	}
	if g.capabilities&mysqlLongPassword == 0 {
		g.more = binary.LittleEndian.Uint32(rest[7:])
	}
	second, plugin, _ := bytes.Cut(rest[11:], []byte{0})
	g.scramble = append(g.scramble, second...)
	plugin, _, _ = bytes.Cut(plugin, []byte{0})
	g.plugin = string(plugin)
	return g, true
}

// mysqlErrors names the errors that may come in place of a greeting, and what to do.
func mysqlErrors() map[uint16]struct{ name, hint string } {
	return map[uint16]struct{ name, hint string }{
		1040: {"ER_CON_COUNT_ERROR", "the server has as many connections as its max_connections allows"},
		1041: {"ER_OUT_OF_RESOURCES", ""},
		1042: {"ER_BAD_HOST_ERROR", "the server can't look up the name of this machine's address: skip_name_resolve there does without"},
		1043: {"ER_HANDSHAKE_ERROR", ""},
		1053: {"ER_SERVER_SHUTDOWN", ""},
		1129: {"ER_HOST_IS_BLOCKED", "mysqladmin flush-hosts at the server lets this machine in again; each connection that ends before its login counts as an error"},
		1130: {"ER_HOST_NOT_PRIVILEGED", "the server has no account that may log in from this machine: CREATE USER and GRANT there make one, for its address or name"},
		1135: {"ER_CANT_CREATE_THREAD", ""},
		1226: {"ER_USER_LIMIT_REACHED", ""},
		3032: {"ER_SERVER_OFFLINE_MODE", ""},
	}
}

// refusedByMySQL is the error for an error packet.
func refusedByMySQL(c *Conn, packet []byte) error {
	if len(packet) < 3 {
		return c.unexpected()
	}
	code, text, answer := mysqlErrorOf(packet)
	c.Describe("Error " + answer)
	err := error(&mysqlRefusal{Refused(answer), code, text})
	if hint := mysqlErrors()[code].hint; hint != "" {
		err = Hinted(err, hint)
	}
	return err
}

// mysqlErrorOf reads an error packet of 3 bytes or more: a code, and a text, which some servers have a
// SQLSTATE before. The answer is all of it, with the code's name.
func mysqlErrorOf(packet []byte) (code uint16, text, answer string) {
	code, text = binary.LittleEndian.Uint16(packet[1:]), string(packet[3:])
	state := ""
	if len(text) >= 6 && text[0] == '#' {
		state, text = " (SQLSTATE "+text[1:6]+")", text[6:]
	}
	answer = fmt.Sprintf("%d", code)
	if name := mysqlErrors()[code].name; name != "" {
		answer += " " + name
	}
	return code, text, answer + ": " + text + state
}

// refusedInMySQLsTLS reads an error packet in answer to SSLRequest (Protocol.Refusal): of a server that
// looks at the client's address or its own limits only then.
func refusedInMySQLsTLS(text []byte) (words, hint string, ok bool) {
	if len(text) < 4+3 || mysqlLength(text) != len(text)-4 || text[3] != 2 || text[4] != 0xff {
		return "", "", false
	}
	code, _, answer := mysqlErrorOf(text[4:])
	return answer, mysqlErrors()[code].hint, true
}

// mysqlRefusal is the error for an error packet.
type mysqlRefusal struct {
	error
	code uint16
	text string // raw
}

func (r *mysqlRefusal) Unwrap() error { return r.error }

// greetsLikeMySQL recognises the beginning of a server's first packet: of protocol 10, or an
// error with a code of those that MySQL has.
func greetsLikeMySQL(b []byte) bool {
	if len(b) < 5 || b[2] != 0 || b[3] != 0 {
		return false
	}
	n := int(b[0]) | int(b[1])<<8
	switch {
	case n > mysqlMaxPacket:
		return false
	case b[4] == 10:
		return n >= mysqlMinGreeting && (len(b) == 5 || '0' <= b[5] && b[5] <= '9')
	case b[4] == 0xff:
		return n >= 3 && len(b) >= 7 && 1000 <= binary.LittleEndian.Uint16(b[5:]) && binary.LittleEndian.Uint16(b[5:]) < 5000
	}
	return false
}
