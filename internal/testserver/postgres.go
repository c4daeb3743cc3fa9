package testserver

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Codes that stand where a startup message has its version (PostgreSQL's manual, "Message
// Formats").
const (
	postgresVersion3 = 3 << 16
	postgresCancel   = 1234<<16 | 5678
	postgresSSL      = 1234<<16 | 5679
	postgresGSS      = 1234<<16 | 5680
)

// postgresMax is how long a message may be, in bytes.
const postgresMax = 10000

func postgresServers(servers map[string]protocol) {
	inside := protocol{
		alpn:    []string{"postgresql"},
		session: postgresSession,
		talk: []string{
			postgresStartup(postgresVersion3, "user\x00"+User+"\x00database\x00"+User+"\x00\x00"),
			postgresMessage('p', Password+"\x00"),
			postgresMessage('Q', "SELECT 1\x00"),
			postgresMessage('X', ""),
		},
		packets: &Packets{Split: postgresSplit, Name: postgresName},
	}
	servers["postgres-direct"] = inside
	inside.upgrade = postgresClear
	servers["postgres"] = inside
}

// postgresStartup returns a message of the kind that comes first, which has no type.
func postgresStartup(code uint32, parameters string) string {
	m := binary.BigEndian.AppendUint32(nil, uint32(8+len(parameters)))
	return string(binary.BigEndian.AppendUint32(m, code)) + parameters
}

// postgresMessage returns a message with a type. Its length counts itself.
func postgresMessage(kind byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body)))) + body
}

// postgresError returns an ErrorResponse.
func postgresError(severity, code, message string) string {
	return postgresMessage('E', "S"+severity+"\x00V"+severity+"\x00C"+code+"\x00M"+message+"\x00\x00")
}

// postgresSplit cuts messages that have a type.
func postgresSplit(data []byte, atEOF bool) (int, []byte, error) {
	if len(data) >= 5 {
		if n := 1 + int(binary.BigEndian.Uint32(data[1:])); n >= 5 && n <= len(data) {
			return n, data[:n], nil
		}
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// postgresName names a message of either side.
func postgresName(m []byte) string {
	body := func(from int) string {
		return strings.Join(strings.FieldsFunc(string(m[min(from, len(m)):]), func(r rune) bool { return r == 0 }), " ")
	}
	if len(m) < 5 {
		return string(m)
	}
	switch m[0] {
	case 0:
		return "StartupMessage: " + body(8)
	case 'p':
		return "PasswordMessage"
	case 'Q':
		return "Query: " + body(5)
	case 'X':
		return "Terminate"
	case 'R':
		if bytes.Equal(m[5:], []byte{0, 0, 0, 0}) {
			return "AuthenticationOk"
		}
		return "AuthenticationCleartextPassword"
	case 'S':
		return "ParameterStatus: " + body(5)
	case 'Z':
		return "ReadyForQuery: " + body(5)
	case 'T':
		column, _, _ := strings.Cut(body(7), " ")
		return "RowDescription: " + column
	case 'D':
		return "DataRow: " + body(11)
	case 'C':
		return "CommandComplete: " + body(5)
	case 'E':
		return "ErrorResponse: " + body(5)
	}
	return string(m)
}

// readPostgresStartup reads a message of the kind that comes first.
func readPostgresStartup(c *conn) (code uint32, parameters string, err error) {
	body, err := readPostgresBody(c.r, 8)
	if err != nil {
		return 0, "", err
	}
	return binary.BigEndian.Uint32(body), string(body[4:]), nil
}

// readPostgresBody reads a length, which counts itself and is at least least, and what it
// announces.
func readPostgresBody(r *bufio.Reader, least uint32) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < least || n > postgresMax {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	body := make([]byte, n-4)
	_, err := io.ReadFull(r, body)
	return body, err
}

// postgresClear answers requests for encryption until the one for TLS. Everything else
// wants TLS first.
func postgresClear(c *conn) error {
	for {
		code, _, err := readPostgresStartup(c)
		if err != nil {
			return err
		}
		switch code {
		case postgresSSL:
			return postgresSend(c, "S")
		case postgresGSS:
			err = postgresSend(c, "N")
		case postgresCancel:
			return io.EOF
		default:
			err = errors.Join(postgresSend(c, postgresError("FATAL", "28000", "no pg_hba.conf entry for this host, no encryption")), io.EOF)
		}
		if err != nil {
			return err
		}
	}
}

// postgresSession lets the client in with its password, and answers queries until it says
// that it is done. The only query that it knows is SELECT 1.
func postgresSession(c *conn) error {
	code, parameters, err := readPostgresStartup(c)
	if err != nil {
		return err
	}
	switch {
	case c.implicit && c.negotiatedProtocol() != "postgresql":
		return postgresSend(c, postgresError("FATAL", "08P01", "received direct SSL connection request without ALPN protocol negotiation extension"))
	case code != postgresVersion3:
		return postgresSend(c, postgresError("FATAL", "0A000", fmt.Sprintf("unsupported frontend protocol %d.%d", code>>16, code&0xffff)))
	}
	if err := postgresSend(c, postgresMessage('R', "\x00\x00\x00\x03")); err != nil {
		return err
	}
	kind, body, err := readPostgresMessage(c)
	if err != nil {
		return err
	}
	if kind != 'p' || string(body) != Password+"\x00" || !strings.HasPrefix(parameters, "user\x00"+User+"\x00") {
		return postgresSend(c, postgresError("FATAL", "28P01", "password authentication failed"))
	}
	const ready = "I"
	if err := postgresSend(c, postgresMessage('R', "\x00\x00\x00\x00"), postgresMessage('S', "server_version\x0017.0\x00"), postgresMessage('Z', ready)); err != nil {
		return err
	}
	for {
		kind, body, err := readPostgresMessage(c)
		switch {
		case err != nil:
			return err
		case kind == 'X':
			return nil
		case kind != 'Q':
			return postgresSend(c, postgresError("FATAL", "08P01", fmt.Sprintf("invalid frontend message type %d", kind)))
		case strings.TrimRight(string(body), " ;\x00") == "SELECT 1":
			// One column: its name, no table, type 23 (int4) of 4 bytes, as text.
			err = postgresSend(c,
				postgresMessage('T', "\x00\x01?column?\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00"),
				postgresMessage('D', "\x00\x01\x00\x00\x00\x011"),
				postgresMessage('C', "SELECT 1\x00"), postgresMessage('Z', ready))
		default:
			err = postgresSend(c, postgresError("ERROR", "42601", "syntax error"), postgresMessage('Z', ready))
		}
		if err != nil {
			return err
		}
	}
}

// readPostgresMessage reads a message with a type.
func readPostgresMessage(c *conn) (kind byte, body []byte, err error) {
	if kind, err = c.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	body, err = readPostgresBody(c.r, 4)
	return kind, body, err
}

func postgresSend(c *conn, messages ...string) error {
	_, err := io.WriteString(c.Conn, strings.Join(messages, ""))
	return err
}
