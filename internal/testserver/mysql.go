package testserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Capabilities (MySQL's source code documentation, "Capabilities Flags").
const (
	mysqlLongPassword     = 0x00000001
	mysqlConnectWithDB    = 0x00000008
	mysqlProtocol41       = 0x00000200
	mysqlSSL              = 0x00000800
	mysqlTransactions     = 0x00002000
	mysqlSecureConnection = 0x00008000
	mysqlPluginAuth       = 0x00080000
	mysqlLongAnswer       = 0x00200000 // CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA

	mysqlServerHas = mysqlLongPassword | mysqlConnectWithDB | mysqlProtocol41 | mysqlSSL | mysqlTransactions | mysqlSecureConnection | mysqlPluginAuth | mysqlLongAnswer
	// Those that change packets may only be asked for where they are offered: compression, by zlib or
	// zstd, and what the upper byte has.
	mysqlChanges = 0x1f000020
)

// mysqlMax is how long a client's packet may be, in bytes.
const mysqlMax = 1 << 16

// Accounts, each with Password. User logs in by a mixture of password and scramble that the
// server has never seen, so that it asks for the password as it is, which it may inside TLS ("Caching
// SHA-2 Pluggable Authentication"); MySQLCached by one that it knows; MySQLSHA256 by sha256_password.
const (
	MySQLCached = "cached"
	MySQLSHA256 = "sha256"

	mysqlPlugin       = "caching_sha2_password"
	mysqlPluginSHA256 = "sha256_password"
)

// Scrambles of the first packet, and of AuthSwitchRequest.
const (
	mysqlScramble = "scrambleof20bytes,ok"
	mysqlAnother  = "anotheroneof20bytes!"
)

func mysqlServers(servers map[string]protocol) {
	const capabilities = mysqlLongPassword | mysqlProtocol41 | mysqlSSL | mysqlSecureConnection | mysqlPluginAuth
	servers["mysql"] = protocol{
		upgrade: mysqlClear,
		session: mysqlSession,
		talk: []string{
			mysqlPacket(2, mysqlLogin(capabilities, User, strings.Repeat("x", 32))),
			mysqlPacket(4, Password+"\x00"),
			mysqlPacket(0, "\x0e"),
			mysqlPacket(0, "\x03SELECT 1"),
			mysqlPacket(0, "\x01"),
		},
		packets: &Packets{Split: mysqlSplit, Name: mysqlName},
	}
}

// mysqlPacket returns a packet with its header.
func mysqlPacket(sequence byte, payload string) string {
	n := len(payload)
	return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), sequence}) + payload
}

// mysqlLogin returns a login packet ("Protocol::HandshakeResponse41").
func mysqlLogin(capabilities uint32, user, answer string) string {
	return mysqlLoginStart(capabilities) + user + "\x00" + string([]byte{byte(len(answer))}) + answer + mysqlPlugin + "\x00"
}

// mysqlLoginStart returns what a login packet and SSLRequest have in common.
func mysqlLoginStart(capabilities uint32) string {
	p := binary.LittleEndian.AppendUint32(nil, capabilities)
	p = binary.LittleEndian.AppendUint32(p, 1<<24)
	return string(append(p, 45)) + strings.Repeat("\x00", 23)
}

// mysqlGreeting is the server's first packet ("Protocol::HandshakeV10").
func mysqlGreeting() string {
	p := []byte("\x0a8.4.0\x00\x07\x00\x00\x00")
	p = append(p, mysqlScramble[:8]+"\x00"...)
	p = binary.LittleEndian.AppendUint16(p, mysqlServerHas&0xffff)
	p = append(p, 255, 2, 0) // character set utf8mb4, status AUTOCOMMIT
	p = binary.LittleEndian.AppendUint16(p, mysqlServerHas>>16)
	p = append(p, 21) // bytes of scramble, with a zero byte
	p = append(p, make([]byte, 10)...)
	return string(p) + mysqlScramble[8:] + "\x00" + mysqlPlugin + "\x00"
}

// Packets of the server ("Generic Response Packets", with what Protocol 4.1 has).
const (
	mysqlOK       = "\x00\x00\x00\x02\x00\x00\x00"
	mysqlFastAuth = "\x01\x03"
	mysqlFullAuth = "\x01\x04"
)

func mysqlError(code uint16, state, text string) string {
	return string(binary.LittleEndian.AppendUint16([]byte{0xff}, code)) + "#" + state + text
}

// readMySQL reads a packet with the sequence number that is due, and nothing behind it: a
// client sends its ClientHello right behind SSLRequest.
func readMySQL(r io.Reader, sequence byte) (string, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return "", err
	}
	n := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	if n > mysqlMax || header[3] != sequence {
		return "", fmt.Errorf("packet %d of %d bytes, packet %d is due", header[3], n, sequence)
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(r, payload)
	return string(payload), err
}

// mysqlSend sends packets with ascending sequence numbers.
func mysqlSend(c *conn, sequence byte, payloads ...string) error {
	var all strings.Builder
	for i, p := range payloads {
		all.WriteString(mysqlPacket(sequence+byte(i), p))
	}
	_, err := io.WriteString(c.Conn, all.String())
	return err
}

// mysqlClear greets and waits for SSLRequest. A login without it is refused, as with
// require_secure_transport.
func mysqlClear(c *conn) error {
	if err := mysqlSend(c, 0, mysqlGreeting()); err != nil {
		return err
	}
	request, err := readMySQL(c.Conn, 1)
	if err != nil {
		return err
	}
	if len(request) < 32 {
		return mysqlEnd(c, 2, mysqlError(1043, "08S01", "Bad handshake"))
	}
	c.capabilities = binary.LittleEndian.Uint32([]byte(request))
	switch {
	case c.capabilities&mysqlProtocol41 == 0 || c.capabilities&mysqlChanges != 0:
		return mysqlEnd(c, 2, mysqlError(1043, "08S01", "Bad handshake"))
	case c.capabilities&mysqlSSL == 0:
		return mysqlEnd(c, 2, mysqlError(3159, "HY000", "Connections using insecure transport are prohibited while --require_secure_transport=ON."))
	case len(request) != 32:
		return mysqlEnd(c, 2, mysqlError(1043, "08S01", "Bad handshake"))
	}
	return nil
}

// mysqlEnd sends a last packet.
func mysqlEnd(c *conn, sequence byte, payload string) error {
	if err := mysqlSend(c, sequence, payload); err != nil {
		return err
	}
	return io.EOF
}

// mysqlSession lets the client in with its password, and answers commands until it says
// that it is done. The only query that it knows is SELECT 1.
func mysqlSession(c *conn) error {
	packet, err := readMySQL(c.r, 2)
	if err != nil {
		return err
	}
	login, ok := readMySQLLogin(c, packet)
	if !ok {
		return mysqlSend(c, 3, mysqlError(1043, "08S01", "Bad handshake"))
	}
	in, next, err := mysqlAuthenticate(c, login)
	if err != nil {
		return err
	}
	if !in {
		return mysqlSend(c, next, mysqlError(1045, "28000", "Access denied for user '"+login.user+"'"))
	}
	if err := mysqlSend(c, next, mysqlOK); err != nil {
		return err
	}
	for {
		command, err := readMySQL(c.r, 0)
		switch {
		case err != nil:
			return err
		case command == "\x01": // COM_QUIT
			return nil
		case command == "\x0e": // COM_PING
			err = mysqlSend(c, 1, mysqlOK)
		case strings.TrimRight(command, " ;") == "\x03SELECT 1": // COM_QUERY
			// One column: its name, character set binary, type 3 (INT), 1 digit; then rows, and an end
			// behind either.
			const end = "\xfe\x00\x00\x02\x00"
			err = mysqlSend(c, 1, "\x01", "\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x01\x00\x00\x00\x03\x81\x00\x00\x00\x00", end, "\x011", end)
		default:
			err = mysqlSend(c, 1, mysqlError(1047, "08S01", "Unknown command"))
		}
		if err != nil {
			return err
		}
	}
}

// mysqlAuthenticate reports whether the client may log in, and the sequence number that is due.
func mysqlAuthenticate(c *conn, login mysqlLoginPacket) (in bool, next byte, err error) {
	plugin, answer, scramble, next := mysqlPlugin, login.answer, mysqlScramble, byte(3)
	if login.user == MySQLSHA256 {
		plugin = mysqlPluginSHA256
	}
	if login.plugin != plugin || plugin != mysqlPlugin { // what the client has answered so far was not asked for
		scramble = mysqlAnother
		if answer, err = mysqlAsk(c, next, "\xfe"+plugin+"\x00"+scramble+"\x00"); err != nil {
			return false, 0, err
		}
		next += 2
	}
	switch {
	case plugin == mysqlPluginSHA256: // inside TLS the answer is the password
		return answer == Password+"\x00", next, nil
	case answer == "":
		return false, next, nil
	case login.user == MySQLCached && answer == mysqlMixture(Password, scramble):
		return true, next + 1, mysqlSend(c, next, mysqlFastAuth)
	}
	password, err := mysqlAsk(c, next, mysqlFullAuth)
	known := login.user == User || login.user == MySQLCached
	return known && password == Password+"\x00", next + 2, err
}

// mysqlAsk sends a packet, and reads the answer.
func mysqlAsk(c *conn, sequence byte, payload string) (string, error) {
	if err := mysqlSend(c, sequence, payload); err != nil {
		return "", err
	}
	return readMySQL(c.r, sequence+1)
}

// mysqlMixture is SHA256(password) xor SHA256(SHA256(SHA256(password)), scramble), "Caching_sha2_password
// information".
func mysqlMixture(password, scramble string) string {
	once := sha256.Sum256([]byte(password))
	twice := sha256.Sum256(once[:])
	mixed := sha256.Sum256(append(bytes.Clone(twice[:]), scramble...))
	for i := range mixed {
		mixed[i] ^= once[i]
	}
	return string(mixed[:])
}

// mysqlLoginPacket is what the server reads of a login packet.
type mysqlLoginPacket struct{ user, answer, plugin string }

// readMySQLLogin reads a login packet, which has to have the capabilities of SSLRequest.
func readMySQLLogin(c *conn, packet string) (login mysqlLoginPacket, ok bool) {
	if len(packet) < 32 || binary.LittleEndian.Uint32([]byte(packet)) != c.capabilities {
		return login, false
	}
	var rest string
	if login.user, rest, ok = strings.Cut(packet[32:], "\x00"); !ok || rest == "" {
		return login, false
	}
	n := int(rest[0]) // longer ones, which take more bytes, are nobody's here
	if n > 250 || n >= len(rest) && n > 0 {
		return login, false
	}
	login.answer, rest = rest[1:1+n], rest[1+n:]
	if c.capabilities&mysqlConnectWithDB != 0 {
		_, rest, _ = strings.Cut(rest, "\x00")
	}
	login.plugin, _, _ = strings.Cut(rest, "\x00")
	return login, true
}

// mysqlSplit cuts packets.
func mysqlSplit(data []byte, atEOF bool) (int, []byte, error) {
	if len(data) >= 4 {
		if n := 4 + (int(data[0]) | int(data[1])<<8 | int(data[2])<<16); n <= len(data) {
			return n, data[:n], nil
		}
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// mysqlName names a packet of either side.
func mysqlName(p []byte) string {
	if len(p) < 5 {
		return string(p)
	}
	sequence, body := p[3], string(p[4:])
	switch {
	case sequence == 2 && len(body) > 32:
		user, _, _ := strings.Cut(body[32:], "\x00")
		return "HandshakeResponse41: user " + user
	case body == mysqlFullAuth:
		return "AuthMoreData: the password, please"
	case body == Password+"\x00":
		return "the password"
	case sequence == 0:
		return mysqlCommand(body)
	case strings.HasPrefix(body, "\x00\x00\x00"):
		return "OK"
	case body[0] == 0xff && len(body) > 9:
		return fmt.Sprintf("Error %d: %s", binary.LittleEndian.Uint16([]byte(body[1:])), body[9:])
	case body[0] == 0xfe:
		return "EOF"
	case body == "\x01":
		return "result set of 1 column"
	case strings.HasPrefix(body, "\x03def"):
		return "column: 1"
	}
	return "row: " + body[1:]
}

// mysqlCommand names a command.
func mysqlCommand(body string) string {
	switch body[0] {
	case 0x01:
		return "COM_QUIT"
	case 0x03:
		return "COM_QUERY: " + body[1:]
	case 0x0e:
		return "COM_PING"
	}
	return fmt.Sprintf("command %d", body[0])
}
