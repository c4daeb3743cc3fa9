package testserver

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"unicode/utf16"
)

// Types of packets (MS-TDS 2.2.3.1.1).
const (
	tdsBatch     = 0x01
	tdsRPC       = 0x03
	tdsReply     = 0x04
	tdsAttention = 0x06
	tdsLogin7    = 0x10
	tdsPrelogin  = 0x12
)

// tdsRequests are the types that a client may send.
var tdsRequests = []byte{tdsBatch, tdsRPC, tdsAttention, tdsLogin7, tdsPrelogin}

// tdsMax is how long a packet may be, in bytes, and tdsMaxMessage a message.
const (
	tdsMax        = 4096
	tdsMaxMessage = 1 << 17
)

// Versions of TDS, as a login names them (MS-TDS 2.2.7.14).
const (
	tds74 = 0x74000004
	tds80 = 0x08000000
)

// tdsHeaders stand before a batch: there is no transaction, and one request (MS-TDS 2.2.5.3).
const tdsHeaders = "\x16\x00\x00\x00\x12\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"

// tdsGoodbye is an error that ends the session, as errors of a severity above 19 do.
const tdsGoodbye = "RAISERROR ('bye', 20, 1) WITH LOG"

func mssqlServers(servers map[string]protocol) {
	packets := &Packets{Split: tdsSplit, Name: tdsName}
	talk := []string{
		tdsMessage(tdsBatch, tdsHeaders+ucs2("SELECT 1")),
		tdsMessage(tdsBatch, tdsHeaders+ucs2(tdsGoodbye)),
	}
	servers["mssql"] = protocol{
		upgrade:    mssqlClear,
		wrap:       func(c net.Conn) (net.Conn, func()) { h := &tdsHandshake{Conn: c}; return h, h.end },
		maxVersion: tls.VersionTLS12,
		session:    mssqlSession,
		talk:       append([]string{tdsMessage(tdsLogin7, mssqlLogin(tds74, User, Password))}, talk...),
		packets:    packets,
	}
	servers["tds8"] = protocol{
		alpn:    []string{"tds/8.0"},
		session: mssqlSession,
		talk:    append([]string{tdsMessage(tdsPrelogin, mssqlPrelogin(1)), tdsMessage(tdsLogin7, mssqlLogin(tds80, User, Password))}, talk...),
		packets: packets,
	}
}

// ucs2 writes text as the protocol has it.
func ucs2(text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return string(b)
}

// fromUCS2 reads text as the protocol has it.
func fromUCS2(b string) string {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, uint16(b[0])|uint16(b[1])<<8)
	}
	return string(utf16.Decode(units))
}

// tdsMessage puts a message into packets: type, status (1 for the last), length, process, number,
// window.
func tdsMessage(kind byte, data string) string {
	var all []byte
	for number, last := byte(1), false; !last; number++ {
		n := min(len(data), tdsMax-8)
		last = n == len(data)
		status := byte(0)
		if last {
			status = 1
		}
		all = append(all, kind, status)
		all = binary.BigEndian.AppendUint16(all, uint16(8+n))
		all = append(all, 0, 0, number, 0)
		all, data = append(all, data[:n]...), data[n:]
	}
	return string(all)
}

// readTDS reads a message, and nothing behind it.
func readTDS(r io.Reader) (kind byte, data string, err error) {
	var all []byte
	for {
		var header [8]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return 0, "", err
		}
		n := int(binary.BigEndian.Uint16(header[2:])) - 8
		if !slices.Contains(tdsRequests, header[0]) || n < 0 || n > tdsMax-8 || len(all)+n > tdsMaxMessage || len(all) > 0 && header[0] != kind {
			return 0, "", fmt.Errorf("a packet of type %d and %d bytes", header[0], n)
		}
		packet := make([]byte, n)
		if _, err := io.ReadFull(r, packet); err != nil {
			return 0, "", err
		}
		kind, all = header[0], append(all, packet...)
		if header[1]&1 == 1 {
			return kind, string(all), nil
		}
	}
}

// readTDSInside reads a message inside TLS. Like the real server this one hangs up on a packet that
// is not whole in one TLS record, and alone there; crypto/tls reads one record at a time.
func readTDSInside(c *conn) (kind byte, data string, err error) {
	var all []byte
	for record := make([]byte, 1<<14); ; {
		n, err := c.Conn.Read(record)
		if n == 0 && err != nil { // a record can come with the end behind it
			return 0, "", err
		}
		if n < 8 || int(binary.BigEndian.Uint16(record[2:])) != n {
			return 0, "", fmt.Errorf("a record of %d bytes that is no packet", n)
		}
		all = append(all, record[:n]...)
		if record[1]&1 == 1 {
			return readTDS(bytes.NewReader(all))
		}
		if len(all) > tdsMaxMessage {
			return 0, "", errors.New("a message without end")
		}
	}
}

// mssqlPrelogin is a PRELOGIN message with the options VERSION, ENCRYPTION, INSTOPT, THREADID and
// MARS (MS-TDS 2.2.6.5).
func mssqlPrelogin(encryption byte) string {
	values := []string{"\x10\x00\x03\xe8\x00\x00", string([]byte{encryption}), "\x00", "\x00\x00\x00\x00", "\x00"}
	list, offset := []byte{}, 5*len(values)+1
	for token, value := range values {
		list = append(list, byte(token))
		list = binary.BigEndian.AppendUint16(list, uint16(offset))
		list = binary.BigEndian.AppendUint16(list, uint16(len(value)))
		offset += len(value)
	}
	return string(append(list, 0xff)) + strings.Join(values, "")
}

// preloginEncryption reads ENCRYPTION from a PRELOGIN message, in which VERSION has to come first.
func preloginEncryption(message string) (encryption byte, err error) {
	broken := errors.New("PRELOGIN that can't be read")
	for list := message; list != "" && list[0] != 0xff; list = list[5:] {
		if len(list) < 5 || message[0] != 0 {
			return 0, broken
		}
		offset, length := int(list[1])<<8|int(list[2]), int(list[3])<<8|int(list[4])
		if offset+length > len(message) {
			return 0, broken
		}
		if list[0] == 1 && length == 1 {
			return message[offset], nil
		}
	}
	return 0, broken
}

// mssqlClear answers PRELOGIN. This server encrypts all or nothing: it requires of a client that
// would encrypt the login alone to encrypt everything, and hangs up on one that can't.
func mssqlClear(c *conn) error {
	kind, message, err := readTDS(c.Conn)
	if err != nil {
		return err
	}
	if kind != tdsPrelogin {
		return fmt.Errorf("a packet of type %d in place of PRELOGIN", kind)
	}
	encryption, err := preloginEncryption(message)
	if err != nil {
		return err
	}
	answer := map[byte]byte{0: 3, 1: 1, 2: 3, 3: 1}[encryption] // the table for ENCRYPT_ON
	if err := tdsSend(c, mssqlPrelogin(answer)); err != nil {
		return err
	}
	if encryption == 2 {
		return errors.New("the client can't encrypt")
	}
	return nil
}

// tdsSend answers with a message.
func tdsSend(c *conn, data string) error {
	_, err := io.WriteString(c.Conn, tdsMessage(tdsReply, data))
	return err
}

// tdsHandshake carries the handshake in PRELOGIN messages (MS-TDS 3.3.5.2).
type tdsHandshake struct {
	net.Conn
	message string // what was received of one, and not read
	over    bool
}

func (h *tdsHandshake) end() { h.over = true }

func (h *tdsHandshake) Read(p []byte) (int, error) {
	if h.over {
		return h.Conn.Read(p)
	}
	for h.message == "" {
		kind, message, err := readTDS(h.Conn)
		if err != nil {
			return 0, err
		}
		if kind != tdsPrelogin {
			return 0, fmt.Errorf("a packet of type %d in the handshake", kind)
		}
		h.message = message
	}
	n := copy(p, h.message)
	h.message = h.message[n:]
	return n, nil
}

func (h *tdsHandshake) Write(p []byte) (int, error) {
	if h.over {
		return h.Conn.Write(p)
	}
	if _, err := io.WriteString(h.Conn, tdsMessage(tdsPrelogin, string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// mssqlLogin is a LOGIN7 message (MS-TDS 2.2.6.4) with user, password and nothing else.
func mssqlLogin(version uint32, user, password string) string {
	const fixed = 94
	u, p := ucs2(user), []byte(ucs2(password))
	for i, b := range p {
		p[i] = (b<<4 | b>>4) ^ 0xa5
	}
	m := make([]byte, fixed)
	binary.LittleEndian.PutUint32(m, uint32(fixed+len(u)+len(p)))
	binary.LittleEndian.PutUint32(m[4:], version)
	binary.LittleEndian.PutUint32(m[8:], tdsMax)
	for at := 36; at < 90; at += 4 { // offset and length of each text
		if at == 72 { // behind the ninth stand 6 bytes of another kind
			at += 6
		}
		binary.LittleEndian.PutUint16(m[at:], fixed)
	}
	binary.LittleEndian.PutUint16(m[42:], uint16(len(u)/2))
	binary.LittleEndian.PutUint16(m[44:], uint16(fixed+len(u)))
	binary.LittleEndian.PutUint16(m[46:], uint16(len(p)/2))
	return string(m) + u + string(p)
}

// readMSSQLLogin reads version, user and password from a LOGIN7 message.
func readMSSQLLogin(m string) (version uint32, user, password string, err error) {
	if len(m) < 94 {
		return 0, "", "", errors.New("LOGIN7 that is too short")
	}
	text := func(at int) string {
		from := int(m[at]) | int(m[at+1])<<8
		to := from + 2*(int(m[at+2])|int(m[at+3])<<8)
		if to > len(m) {
			err = errors.New("LOGIN7 with a text that is not in it")
			return ""
		}
		return m[from:to]
	}
	user = fromUCS2(text(40))
	hidden := []byte(text(44))
	for i, b := range hidden {
		b ^= 0xa5
		hidden[i] = b<<4 | b>>4
	}
	return binary.LittleEndian.Uint32([]byte(m[4:])), user, fromUCS2(string(hidden)), err
}

// Tokens of answers (MS-TDS 2.2.7).
func tdsToken(token byte, data string) string {
	return string([]byte{token, byte(len(data)), byte(len(data) >> 8)}) + data
}

// tdsError is an ERROR: number, state, class, text, server, procedure, line.
func tdsError(number uint32, class byte, text string) string {
	d := binary.LittleEndian.AppendUint32(nil, number)
	d = append(d, 1, class, byte(len(text)), byte(len(text)>>8))
	return tdsToken(0xaa, string(d)+ucs2(text)+"\x04"+ucs2("demo")+"\x00\x01\x00\x00\x00")
}

// tdsDone is a DONE: status (2 with an error, 16 with a count of rows), command, rows.
func tdsDone(status, rows byte) string {
	return string([]byte{0xfd, status, 0, 0, 0, rows, 0, 0, 0, 0, 0, 0, 0})
}

// tdsLoginAck is a LOGINACK: the language T-SQL, the version of TDS, the server's name and version.
func tdsLoginAck(version uint32) string {
	d := append([]byte{1}, byte(version>>24), byte(version>>16), byte(version>>8), byte(version), 4)
	return tdsToken(0xad, string(d)+ucs2("demo")+"\x10\x00\x03\xe8")
}

// mssqlSession lets the client in with its password, and answers batches until an error ends
// the session. The only query that it knows is SELECT 1. Within TLS from the first byte the
// client has to say PRELOGIN first.
func mssqlSession(c *conn) error {
	if c.implicit {
		if c.negotiatedProtocol() != "tds/8.0" {
			return errors.New("not the protocol ID")
		}
		kind, message, err := readTDSInside(c)
		if err != nil {
			return err
		}
		if _, err := preloginEncryption(message); err != nil || kind != tdsPrelogin {
			return errors.New("not PRELOGIN")
		}
		if err := tdsSend(c, mssqlPrelogin(1)); err != nil {
			return err
		}
	}
	kind, message, err := readTDSInside(c)
	if err != nil {
		return err
	}
	version, user, password, err := readMSSQLLogin(message)
	if err != nil || kind != tdsLogin7 {
		return fmt.Errorf("a packet of type %d in place of LOGIN7: %w", kind, err)
	}
	if user != User || password != Password {
		return tdsSend(c, tdsError(18456, 14, "Login failed for user '"+user+"'.")+tdsDone(2, 0))
	}
	if err := tdsSend(c, tdsLoginAck(version)+tdsDone(0, 0)); err != nil {
		return err
	}
	for {
		kind, message, err := readTDSInside(c)
		if err != nil {
			return err
		}
		answer, last := mssqlAnswer(kind, message)
		if err := tdsSend(c, answer); err != nil || last {
			return err
		}
	}
}

// mssqlAnswer is the answer to a request, and whether it ends the session.
func mssqlAnswer(kind byte, message string) (answer string, last bool) {
	batch := ""
	if kind == tdsBatch && len(message) >= len(tdsHeaders) {
		batch = fromUCS2(message[len(tdsHeaders):])
	}
	switch {
	case kind == tdsAttention:
		return tdsDone(0x20, 0), false
	case strings.EqualFold(strings.TrimRight(batch, " ;\n"), "SELECT 1"):
		// COLMETADATA: one column without a name, of type int; and a ROW.
		return "\x81\x01\x00" + "\x00\x00\x00\x00\x20\x00\x38\x00" + "\xd1\x01\x00\x00\x00" + tdsDone(0x10, 1), false
	case strings.HasPrefix(strings.ToUpper(batch), "SET "):
		return tdsDone(0, 0), false
	case batch == tdsGoodbye:
		return tdsError(50000, 20, "bye") + tdsDone(2, 0), true
	}
	return tdsError(156, 15, "Incorrect syntax.") + tdsDone(2, 0), false
}

// tdsSplit cuts packets.
func tdsSplit(data []byte, atEOF bool) (int, []byte, error) {
	if len(data) >= 8 {
		if n := int(binary.BigEndian.Uint16(data[2:])); n >= 8 && n <= len(data) {
			return n, data[:n], nil
		}
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// tdsName names a message of one packet.
func tdsName(p []byte) string {
	if len(p) < 9 {
		return string(p)
	}
	body := string(p[8:])
	switch p[0] {
	case tdsPrelogin:
		return "PRELOGIN"
	case tdsLogin7:
		if _, user, _, err := readMSSQLLogin(body); err == nil {
			return "LOGIN7: user " + user
		}
	case tdsBatch:
		if len(body) > len(tdsHeaders) {
			return "SQL batch: " + fromUCS2(body[len(tdsHeaders):])
		}
	case tdsReply:
		return tdsReplyName(body)
	}
	return string(p)
}

// tdsReplyName names an answer by its first token.
func tdsReplyName(body string) string {
	switch {
	case body[0] == 0x00:
		return "PRELOGIN"
	case body[0] == 0x81:
		return "COLMETADATA, ROW: 1, DONE"
	case body[0] == 0xad:
		return "LOGINACK, DONE"
	case body[0] == 0xaa && len(body) >= 11:
		n := 2 * int(body[9])
		return fmt.Sprintf("ERROR %d: %s, DONE", binary.LittleEndian.Uint32([]byte(body[3:])), fromUCS2(body[11:min(11+n, len(body))]))
	}
	return "DONE"
}
