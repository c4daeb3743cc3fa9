package testserver

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Types of messages (MySQL's source code documentation, Mysqlx::ClientMessages and
// Mysqlx::ServerMessages).
const (
	mysqlxGet          = 1
	mysqlxSet          = 2
	mysqlxClose        = 3
	mysqlxAuthenticate = 4

	mysqlxOk           = 0
	mysqlxErrorMessage = 1
	mysqlxCapabilities = 2
	mysqlxAuthOk       = 4
	mysqlxNotice       = 11
)

// mysqlxMax is how long a client's message may be, in bytes.
const mysqlxMax = 1 << 16

// mysqlxTLS is the list of capabilities in the messages' encoding, Protocol Buffers: field 1 is a
// Capability, in which field 1 is the name, and field 2 the value: a scalar, V_BOOL, true.
func mysqlxTLS() string {
	return mysqlxBytes(1, mysqlxBytes(1, "tls")+mysqlxBytes(2, "\x08\x01"+mysqlxBytes(2, "\x08\x07\x40\x01")))
}

func mysqlxServers(servers map[string]protocol) {
	servers["mysqlx"] = protocol{
		upgrade: mysqlxClear,
		session: mysqlxSession,
		talk: []string{
			mysqlxMessage(mysqlxGet, ""),
			// The mechanism, and what it wants: no authorisation as another, user, password.
			mysqlxMessage(mysqlxAuthenticate, mysqlxBytes(1, "PLAIN")+mysqlxBytes(2, "\x00"+User+"\x00"+Password)),
			mysqlxMessage(mysqlxClose, ""),
		},
		packets: &Packets{Split: mysqlxSplit, Name: mysqlxName},
	}
}

// mysqlxBytes encodes a field of at most 127 bytes.
func mysqlxBytes(field byte, value string) string {
	return string([]byte{field<<3 | 2, byte(len(value))}) + value
}

// mysqlxMessage returns a message. Its length counts the type.
func mysqlxMessage(kind byte, body string) string {
	return string(append(binary.LittleEndian.AppendUint32(nil, uint32(1+len(body))), kind)) + body
}

// mysqlxError returns an Error: severity, code, SQLSTATE, text.
func mysqlxError(code uint16, text string) string {
	return mysqlxMessage(mysqlxErrorMessage, "\x08\x00\x10"+string(binary.AppendUvarint(nil, uint64(code)))+mysqlxBytes(4, "HY000")+mysqlxBytes(3, text))
}

func readMySQLX(c *conn) (kind byte, body string, err error) {
	var length [4]byte
	if _, err := io.ReadFull(c.r, length[:]); err != nil {
		return 0, "", err
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n == 0 || n > mysqlxMax {
		return 0, "", fmt.Errorf("a message of %d bytes", n)
	}
	message := make([]byte, n)
	_, err = io.ReadFull(c.r, message)
	return message[0], string(message[1:]), err
}

func mysqlxSend(c *conn, messages ...string) error {
	_, err := io.WriteString(c.Conn, strings.Join(messages, ""))
	return err
}

// mysqlxClear says hello and answers requests until the one for TLS. A login wants TLS first.
func mysqlxClear(c *conn) error {
	// Field 1 is the kind of notice, ServerHello; field 3 its content, which is empty.
	if err := mysqlxSend(c, mysqlxMessage(mysqlxNotice, "\x08\x05\x1a\x00")); err != nil {
		return err
	}
	for {
		kind, body, err := readMySQLX(c)
		switch {
		case err != nil:
			return err
		case kind == mysqlxSet && body == mysqlxBytes(1, mysqlxTLS()):
			return mysqlxSend(c, mysqlxMessage(mysqlxOk, ""))
		case kind == mysqlxSet:
			err = mysqlxSend(c, mysqlxError(5002, "Capability doesn't exist"))
		case kind == mysqlxGet:
			err = mysqlxSend(c, mysqlxMessage(mysqlxCapabilities, mysqlxTLS()))
		case kind == mysqlxClose:
			if err := mysqlxSend(c, mysqlxMessage(mysqlxOk, mysqlxBytes(1, "bye!"))); err != nil {
				return err
			}
			return io.EOF
		default:
			err = mysqlxSend(c, mysqlxError(3159, "Connections using insecure transport are prohibited"))
		}
		if err != nil {
			return err
		}
	}
}

// mysqlxSession answers messages inside TLS until the client is done.
func mysqlxSession(c *conn) error {
	for {
		kind, body, err := readMySQLX(c)
		switch {
		case err != nil:
			return err
		case kind == mysqlxGet:
			err = mysqlxSend(c, mysqlxMessage(mysqlxCapabilities, mysqlxTLS()))
		case kind == mysqlxClose:
			return mysqlxSend(c, mysqlxMessage(mysqlxOk, mysqlxBytes(1, "bye!")))
		case kind == mysqlxAuthenticate && body == mysqlxBytes(1, "PLAIN")+mysqlxBytes(2, "\x00"+User+"\x00"+Password):
			err = mysqlxSend(c, mysqlxMessage(mysqlxAuthOk, ""))
		case kind == mysqlxAuthenticate:
			err = mysqlxSend(c, mysqlxError(1045, "Invalid user or password"))
		case kind == mysqlxSet:
			err = mysqlxSend(c, mysqlxError(5001, "Capability prepare failed for 'tls'"))
		default:
			err = mysqlxSend(c, mysqlxError(5000, "Unexpected message received"))
		}
		if err != nil {
			return err
		}
	}
}

// mysqlxSplit cuts messages.
func mysqlxSplit(data []byte, atEOF bool) (int, []byte, error) {
	if len(data) >= 5 {
		if n := 4 + int(binary.LittleEndian.Uint32(data)); n >= 5 && n <= len(data) {
			return n, data[:n], nil
		}
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// mysqlxName names a message of either side inside TLS.
func mysqlxName(m []byte) string {
	if len(m) < 5 {
		return string(m)
	}
	body := string(m[5:])
	switch kind := m[4]; {
	case kind == mysqlxGet && body == "":
		return "CapabilitiesGet"
	case kind == mysqlxClose && body == "":
		return "Close"
	case kind == mysqlxAuthenticate && body == "":
		return "AuthenticateOk"
	case kind == mysqlxAuthenticate:
		return "AuthenticateStart: PLAIN, user " + User
	case kind == mysqlxOk:
		return "Ok: " + body[min(2, len(body)):]
	case kind == mysqlxErrorMessage:
		return "Error: " + body
	case kind == mysqlxCapabilities:
		return "Capabilities: tls = true"
	}
	return string(m)
}
