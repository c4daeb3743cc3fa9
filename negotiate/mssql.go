package negotiate

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"unicode/utf16"
)

// SQL Server, TDS 7 (MS-TDS 2.2.6.5, 3.2.5.1, 3.2.5.2). A packet starts with a header of 8 bytes:
// its type, its status (01 for the last of a message), its length, big-endian and with the header,
// and four bytes that say nothing here. PRELOGIN is a list of options, each a token with the offset
// and the length of its value, and the values behind it:
//
//	C: 12 01 002f 0000 01 00     PRELOGIN
//	   00 001a 0006              VERSION
//	   01 0020 0001              ENCRYPTION
//	   02 0021 0001              INSTOPT
//	   03 0022 0004              THREADID
//	   04 0026 0001 ff           MARS, and the list's end
//	   09 00 0000 0000           the client's version
//	   01 00 00000000 00         ENCRYPT_ON, and nothing else that matters
//	S: 04 01 002b 0000 01 00     PRELOGIN in a packet of type 04
//	   …                         ENCRYPTION is 01 (on) or 03 (required)
//	   <TLS>                     each flight of the handshake in packets of type 12
//
// ENCRYPTION 00, which would encrypt the login alone, and 02, not supported, refuse. When the
// handshake is done, the packets end, and TLS goes on as anywhere.
//
// TLS 1.3 can't be carried: there the client is done before the server, whose session tickets
// would come in packets that nobody expects any more, or not. Microsoft's clients offer 1.2 at
// most here, and its servers take no more.
var mssql = &Protocol{
	Name:       "mssql",
	Aliases:    []string{"tds"},
	Family:     Database,
	Title:      "Microsoft SQL Server",
	Port:       1433,
	Specs:      []string{"MS-TDS 2.2.6.5"},
	Implicit:   "tds8",
	MaxVersion: tls.VersionTLS12,
	Upgrade:    upgradeMSSQL,
	Wrap:       func(conn net.Conn) Wrapper { return &tdsWrapper{Conn: conn} },
	WrapRaw:    newRawTDS,
	Packet:     tdsPacket,
	Lead:       leadMSSQL,
	Remarks: []Remark{
		{"C: PRELOGIN", "a packet of type 12; ENCRYPTION on wants TLS for all that follows, not for the login alone"},
		{"S: PRELOGIN", "on or required is the go-ahead: the handshake follows, in packets of type 12 both ways until it is done"},
	},
	Note: "Inside TLS the server is silent: the client logs in with LOGIN7. TLS is 1.2 at most, since the packets around the handshake " +
		"end when the client is done, and in TLS 1.3 the server is not; tds8 has no packets around it. " + tdsNote,
}

// SQL Server, TDS 8 (MS-TDS 3.2.5, "Sent Initial TLS Negotiation Packet"): TLS from the first byte,
// and PRELOGIN inside. Servers and drivers call it strict encryption.
var tds8 = &Protocol{
	Name:    "tds8",
	Family:  Database,
	Title:   "Microsoft SQL Server in TLS from the first byte (strict), since 2022",
	Port:    1433,
	ALPN:    []string{"tds/8.0"},
	Specs:   []string{"MS-TDS 3.2.5"},
	Sibling: "mssql",
	Packet:  tdsPacket,
	Lead:    leadTDS8,
	Note:    "Inside TLS the server is silent: the client begins with PRELOGIN, as it would in the clear. " + tdsNote,
}

var _ = register(mssql, tds8)

const tdsNote = "What follows are packets, not lines, and each of the client's goes into a TLS record of its own, as the server wants it: " +
	"for other clients there is the tunnel, which tells a client with encryption switched off that there is none."

// Packets (MS-TDS 2.2.3.1).
const (
	tdsPrelogin = 0x12 // type
	tdsReply    = 0x04 // type
	tdsLast     = 0x01 // status

	tdsHeader    = 8     // bytes
	tdsMaxPacket = 4096  // bytes with the header, before another size is agreed on
	tdsMaxInside = 32767 // bytes with the header, of any packet
)

// tdsRequests are the types of a client's packets: SQL batch, login of old, RPC, attention, bulk
// load, federated authentication, transaction manager request, LOGIN7, SSPI, PRELOGIN.
var tdsRequests = []byte{1, 2, 3, 6, 7, 8, 14, 16, 17, 18}

// tdsMaxMessage is how long a PRELOGIN message may be, in bytes without headers.
const tdsMaxMessage = 16 << 10

// Tokens of PRELOGIN's options, and values of ENCRYPTION (MS-TDS 2.2.6.5).
const (
	preloginVersion    = 0x00
	preloginEncryption = 0x01
	preloginEnd        = 0xff

	encryptOff    = 0
	encryptOn     = 1
	encryptNotSup = 2
	encryptReq    = 3
)

// tdsErrorToken starts an ERROR, in place of PRELOGIN's first token (MS-TDS 2.2.7.10).
const tdsErrorToken = 0xaa

// preloginRequest is the message that a client begins with.
var preloginRequest = []byte("\x00\x00\x1a\x00\x06" + "\x01\x00\x20\x00\x01" + "\x02\x00\x21\x00\x01" + "\x03\x00\x22\x00\x04" + "\x04\x00\x26\x00\x01" + "\xff" +
	"\x09\x00\x00\x00\x00\x00" + "\x01" + "\x00" + "\x00\x00\x00\x00" + "\x00")

func upgradeMSSQL(c *Conn, o *Options) error {
	c.Step(Upgrade)
	request, client := preloginRequest, &tdsClient{}
	if o.Local != nil {
		var err error
		if client, err = readTDSClient(o.Local); err != nil {
			return err
		}
		if client.asked != nil {
			request = client.request()
		}
		o.Local.state = client
	}
	if err := c.WritePacket("PRELOGIN: ENCRYPTION on", tdsMessage(tdsPrelogin, request)); err != nil {
		return err
	}
	options, err := readPreloginReply(c)
	if err != nil {
		return err
	}
	client.answered(options)
	encryption := options[preloginEncryption][0]
	switch name := encryptionName(encryption); encryption {
	case encryptOn, encryptReq:
		return nil
	case encryptOff:
		return Hinted(Refused("ENCRYPTION "+name), "the server would encrypt nothing but the login")
	case encryptNotSup:
		return Hinted(Refused("ENCRYPTION "+name), "TLS is off at the server")
	default:
		return Unexpected("ENCRYPTION " + name)
	}
}

// encryptionName is what a value of ENCRYPTION is called.
func encryptionName(encryption byte) string {
	name, known := map[byte]string{encryptOff: "ENCRYPT_OFF", encryptOn: "ENCRYPT_ON", encryptNotSup: "ENCRYPT_NOT_SUP", encryptReq: "ENCRYPT_REQ"}[encryption]
	if !known {
		name = fmt.Sprintf("%#02x", encryption)
	}
	return name
}

// readPreloginReply reads the options of the server's answer, of which ENCRYPTION is one.
func readPreloginReply(c *Conn) (map[byte][]byte, error) {
	answer, err := readTDSMessage(c, tdsReply)
	if (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) && c.received == 0 {
		return nil, Hinted(err, "a server that is set to Force Strict Encryption hangs up here: tds8:// in place of mssql:// is for it")
	}
	if err != nil {
		return nil, err
	}
	if len(answer) > 0 && answer[0] == tdsErrorToken {
		text, ok := tdsErrorText(answer)
		if !ok {
			return nil, c.unexpected()
		}
		c.Describe("ERROR " + text)
		return nil, Refused(text)
	}
	options, ok := parsePrelogin(answer)
	if !ok || len(options[preloginEncryption]) != 1 {
		return nil, c.unexpected()
	}
	c.Describe("PRELOGIN: " + tdsVersion(options[preloginVersion]) + "ENCRYPTION " + encryptionName(options[preloginEncryption][0]))
	return options, nil
}

// readTDSMessage reads the packets of a PRELOGIN message, of that type, and returns what is in them.
func readTDSMessage(c *Conn, kind byte) ([]byte, error) {
	var message []byte
	for {
		var header [tdsHeader]byte
		if _, err := io.ReadFull(c, header[:4]); err != nil {
			return nil, err
		}
		n := int(binary.BigEndian.Uint16(header[2:])) - tdsHeader
		if header[0] != kind || header[1]&^tdsLast != 0 || n < 0 || n > tdsMaxPacket-tdsHeader || len(message)+n > tdsMaxMessage {
			return nil, c.unexpected()
		}
		message = append(message, make([]byte, n)...)
		if _, err := io.ReadFull(c, header[4:]); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(c, message[len(message)-n:]); err != nil {
			return nil, err
		}
		if err := c.Count(); err != nil {
			return nil, err
		}
		// Old servers do not mark the last packet.
		if _, whole := parsePrelogin(message); whole || header[1] == tdsLast {
			return message, nil
		}
	}
}

// parsePrelogin reads the options of a PRELOGIN message, of which VERSION has to be the first.
func parsePrelogin(message []byte) (options map[byte][]byte, ok bool) {
	options = make(map[byte][]byte)
	for list := message; ; list = list[5:] {
		if len(list) > 0 && list[0] == preloginEnd {
			return options, message[0] == preloginVersion
		}
		if len(list) < 5 {
			return nil, false
		}
		from := int(binary.BigEndian.Uint16(list[1:]))
		to := from + int(binary.BigEndian.Uint16(list[3:]))
		if _, twice := options[list[0]]; twice || to > len(message) {
			return nil, false
		}
		options[list[0]] = message[from:to]
	}
}

// tdsVersion puts the server's version into words: "version 16.0.1000, ", or nothing if there
// is none.
func tdsVersion(value []byte) string {
	if len(value) < 4 {
		return ""
	}
	return fmt.Sprintf("version %d.%d.%d, ", value[0], value[1], binary.BigEndian.Uint16(value[2:]))
}

// tdsErrorText puts an ERROR into words, "17809: Could not connect": behind token and length
// stand the number, state and class, then the text's length in characters, little-endian all of
// them, and the text in UTF-16.
func tdsErrorText(message []byte) (text string, ok bool) {
	if len(message) < 11 {
		return "", false
	}
	number := binary.LittleEndian.Uint32(message[3:])
	n, rest := int(binary.LittleEndian.Uint16(message[9:])), message[11:]
	if len(rest) < 2*n {
		return "", false
	}
	units := make([]uint16, n)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(rest[2*i:])
	}
	return fmt.Sprintf("%d: %s", number, string(utf16.Decode(units))), true
}

// tdsPacket finds the end of a client's packet (Protocol.Packet). SQL Server drops a connection,
// without a word, when a packet is split over TLS records, or shares one with another.
func tdsPacket(data []byte) int {
	if data[0] == smpPacket {
		return smpLength(data)
	}
	if !bytes.Contains(tdsRequests, data[:1]) {
		return -1
	}
	if len(data) < 4 {
		return 0
	}
	if n := int(binary.BigEndian.Uint16(data[2:])); n >= tdsHeader && n <= tdsMaxInside {
		return n
	}
	return -1
}

// smpPacket is the first byte of a packet of MC-SMP, in which those of a client are that asked for
// several requests at once (MARS): a flag, the session of 2 bytes, the length with the header, the
// sequence and the window, of 4 bytes each, in little-endian order (MC-SMP 2.2.1).
const (
	smpPacket = 0x53
	smpHeader = 16 // bytes
)

func smpLength(data []byte) int {
	if len(data) < 8 {
		return 0
	}
	if n := binary.LittleEndian.Uint32(data[4:]); n >= smpHeader && n <= smpHeader+tdsMaxInside {
		return int(n)
	}
	return -1
}

// tdsWrapper carries the handshake in packets of type PRELOGIN (MS-TDS 3.2.5.2).
type tdsWrapper struct {
	net.Conn
	done bool
	left int // bytes of the packet that is being read
}

// HandshakeDone makes the wrapper transparent.
func (w *tdsWrapper) HandshakeDone() { w.done = true }

// Read reads from one packet. Where one is due and something else comes, the error is a
// *CleartextError.
func (w *tdsWrapper) Read(p []byte) (int, error) {
	if w.done {
		return w.Conn.Read(p)
	}
	if w.left == 0 {
		if err := w.readHeader(); err != nil {
			return 0, err
		}
	}
	n, err := w.Conn.Read(p[:min(len(p), w.left)])
	w.left -= n
	if err == io.EOF && w.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (w *tdsWrapper) readHeader() error {
	var header [tdsHeader]byte
	for n := 0; n < len(header); {
		m, err := w.Conn.Read(header[n:])
		n += m
		if !startsTDSPacket(header[:n]) {
			return cleartext(w.Conn, header[:n], true)
		}
		if err == io.EOF && n > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	w.left = int(binary.BigEndian.Uint16(header[2:])) - tdsHeader
	return nil
}

// startsTDSPacket reports whether b may be the start of a packet of the handshake. Some
// servers send it in packets of the type that other answers have.
func startsTDSPacket(b []byte) bool {
	switch {
	case len(b) > 0 && b[0] != tdsPrelogin && b[0] != tdsReply:
	case len(b) > 1 && b[1]&^tdsLast != 0:
	case len(b) > 3 && binary.BigEndian.Uint16(b[2:]) <= tdsHeader:
	case len(b) > 3 && binary.BigEndian.Uint16(b[2:]) > tdsMaxPacket:
	default:
		return true
	}
	return false
}

// Write sends p, a flight of the handshake, as one message.
func (w *tdsWrapper) Write(p []byte) (int, error) {
	if w.done {
		return w.Conn.Write(p)
	}
	if _, err := w.Conn.Write(tdsMessage(tdsPrelogin, p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// tdsMessage puts data into the packets of a message.
func tdsMessage(kind byte, data []byte) []byte {
	var message []byte
	for number := byte(1); len(data) > 0; number++ {
		n := min(len(data), tdsMaxPacket-tdsHeader)
		status := byte(0)
		if n == len(data) {
			status = tdsLast
		}
		message = append(message, kind, status)
		message = binary.BigEndian.AppendUint16(message, uint16(tdsHeader+n))
		message = append(message, 0, 0, number, 0) // no process, no window
		message, data = append(message, data[:n]...), data[n:]
	}
	return message
}

// CloseWrite shuts down the writing side of the connection where it has one.
func (w *tdsWrapper) CloseWrite() error {
	if c, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
