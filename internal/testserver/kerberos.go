package testserver

import (
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Messages of Kerberos (RFC 4120, 5.10), and errors (7.5.9).
const (
	kerberosASREQ, kerberosKRBERROR = 10, 30

	kerberosUnknownClient, kerberosPolicy, kerberosPreauth, kerberosMessageType = 6, 12, 25, 40
)

// kerberosMax is how long a message may be, in bytes.
const kerberosMax = 4096

const kerberosRealm = "EXAMPLE.ORG"

func kerberosServers(servers map[string]protocol) {
	servers["kerberos"] = protocol{
		upgrade: kerberosClear,
		session: kerberosLoop,
		talk:    []string{kerberosFramed(kerberosRequest(User)), kerberosFramed(kerberosRequest("nobody"))},
		packets: &Packets{Split: kerberosSplit, Name: kerberosName},
	}
}

// kerberosFramed puts the length before a message (RFC 4120, 7.2.2).
func kerberosFramed(message string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(message)))) + message
}

// kerberosField is a field of a sequence: all of them have tags of their own.
func kerberosField(number byte, content string) string { return ber(0xa0|number, content) }

// kerberosInteger is a number from 0 to 127.
func kerberosInteger(n byte) string { return ber(2, string([]byte{n})) }

// kerberosPrincipal is the name of somebody (RFC 4120, 5.2.2).
func kerberosPrincipal(kind byte, names ...string) string {
	all := ""
	for _, name := range names {
		all += ber(0x1b, name)
	}
	return ber(0x30, kerberosField(0, kerberosInteger(kind)), kerberosField(1, ber(0x30, all)))
}

// kerberosRequest is an AS-REQ without proof of who asks (RFC 4120, 5.4.1).
func kerberosRequest(user string) string {
	body := kerberosField(0, ber(3, "\x00\x00\x00\x00\x00")) + kerberosField(1, kerberosPrincipal(1, user)) + kerberosField(2, ber(0x1b, kerberosRealm)) +
		kerberosField(3, kerberosPrincipal(2, "krbtgt", kerberosRealm)) + kerberosField(5, ber(0x18, "20370101000000Z")) +
		kerberosField(7, kerberosInteger(1)) + kerberosField(8, ber(0x30, kerberosInteger(18)))
	return ber(0x60|kerberosASREQ, ber(0x30, kerberosField(1, kerberosInteger(5)), kerberosField(2, kerberosInteger(kerberosASREQ)), kerberosField(4, ber(0x30, body))))
}

// kerberosError is a KRB-ERROR (RFC 4120, 5.9.1).
func kerberosError(code byte, text, data string) string {
	fields := kerberosField(0, kerberosInteger(5)) + kerberosField(1, kerberosInteger(kerberosKRBERROR)) +
		kerberosField(4, ber(0x18, time.Now().UTC().Format("20060102150405Z"))) + kerberosField(5, kerberosInteger(0)) + kerberosField(6, kerberosInteger(code)) +
		kerberosField(9, ber(0x1b, kerberosRealm)) + kerberosField(10, kerberosPrincipal(2, "krbtgt", kerberosRealm)) + kerberosField(11, ber(0x1b, text))
	if data != "" {
		fields += kerberosField(12, ber(4, data))
	}
	return ber(0x60|kerberosKRBERROR, ber(0x30, fields))
}

// kerberosSend sends a message.
func kerberosSend(c *conn, message string) error {
	_, err := io.WriteString(c.Conn, kerberosFramed(message))
	return err
}

// kerberosClear waits for the extension STARTTLS (RFC 6251), tells of it once who asks for others
// (RFC 5021, 3), and does nothing for anybody in the clear.
func kerberosClear(c *conn) error {
	for told := false; ; told = true {
		length, err := kerberosLength(c)
		switch {
		case err != nil:
			return err
		case length == 0x80000001:
			_, err := io.WriteString(c.Conn, "\x00\x00\x00\x00")
			return err
		case length&0x80000000 != 0 && !told:
			if _, err := io.WriteString(c.Conn, "\x80\x00\x00\x01"); err != nil {
				return err
			}
		case length&0x80000000 != 0 || told:
			return io.EOF
		default:
			if _, err := kerberosMessage(c, length); err != nil {
				return err
			}
			if err := kerberosSend(c, kerberosError(kerberosPolicy, "not in the clear", "")); err != nil {
				return err
			}
			return io.EOF
		}
	}
}

// kerberosLength reads what stands before a message.
func kerberosLength(c *conn) (uint32, error) {
	var length [4]byte
	_, err := io.ReadFull(c.r, length[:])
	return binary.BigEndian.Uint32(length[:]), err
}

// kerberosMessage reads a message.
func kerberosMessage(c *conn, length uint32) ([]byte, error) {
	if length > kerberosMax {
		return nil, errors.New("a message that is too long")
	}
	message := make([]byte, length)
	_, err := io.ReadFull(c.r, message)
	return message, err
}

// kerberosLoop answers requests inside TLS until the client ends. It knows User, who would have
// to prove it, which is not for here.
func kerberosLoop(c *conn) error {
	for {
		length, err := kerberosLength(c)
		if err != nil {
			return err
		}
		message, err := kerberosMessage(c, length)
		if err != nil {
			return err
		}
		answer := kerberosError(kerberosMessageType, "not a request for a ticket", "")
		if user, ok := kerberosClient(message); ok && user == User {
			// METHOD-DATA: PA-ENC-TIMESTAMP (RFC 4120, 5.2.7).
			answer = kerberosError(kerberosPreauth, "who are you", ber(0x30, ber(0x30, kerberosField(1, kerberosInteger(2)), kerberosField(2, ber(4, "")))))
		} else if ok {
			answer = kerberosError(kerberosUnknownClient, "nobody of that name", "")
		}
		if err := kerberosSend(c, answer); err != nil {
			return err
		}
	}
}

// kerberosFields takes a message, or a field, that holds a sequence apart.
func kerberosFields(der []byte, identifier byte) map[int][]byte {
	var outer, sequence asn1.RawValue
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil
	}
	sequence = outer
	if identifier != 0x30 {
		if _, err := asn1.Unmarshal(outer.Bytes, &sequence); err != nil {
			return nil
		}
	}
	if outer.FullBytes[0] != identifier || sequence.FullBytes[0] != 0x30 {
		return nil
	}
	fields := make(map[int][]byte)
	for rest := sequence.Bytes; len(rest) > 0; {
		var field asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &field); err != nil {
			return nil
		}
		fields[field.Tag] = field.Bytes
	}
	return fields
}

// kerberosClient returns who an AS-REQ is from.
func kerberosClient(message []byte) (user string, ok bool) {
	body := kerberosFields(kerberosFields(message, 0x60|kerberosASREQ)[4], 0x30)
	names := kerberosFields(body[1], 0x30)[1]
	var all []asn1.RawValue
	if _, err := asn1.Unmarshal(names, &all); err != nil || len(all) == 0 {
		return "", false
	}
	var parts []string
	for _, name := range all {
		parts = append(parts, string(name.Bytes))
	}
	return strings.Join(parts, "/"), true
}

// kerberosSplit cuts messages, with their lengths.
func kerberosSplit(data []byte, atEOF bool) (int, []byte, error) {
	n := 4
	if len(data) >= 4 {
		n += int(binary.BigEndian.Uint32(data))
	}
	return cutPacket(data, n, atEOF)
}

// kerberosName names a message of either side.
func kerberosName(p []byte) string {
	if len(p) < 5 {
		return string(p)
	}
	if user, ok := kerberosClient(p[4:]); ok {
		return "AS-REQ: " + user + "@" + kerberosRealm
	}
	fields := kerberosFields(p[4:], 0x60|kerberosKRBERROR)
	var code int
	var text asn1.RawValue
	asn1.Unmarshal(fields[6], &code) // stays 0
	asn1.Unmarshal(fields[11], &text)
	return fmt.Sprintf("KRB-ERROR: %d, %s", code, text.Bytes)
}
