package testserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// Numbers of Quassel's protocol, and of Qt's format for data.
const (
	quasselMagic      = 0x42b33f00
	quasselLast       = 1 << 31
	quasselEncryption = 1
	quasselDatastream = 2

	qtBool, qtString, qtByteArray = 1, 10, 12
)

// quasselMax is how long a packet may be, in bytes.
const quasselMax = 64 << 10

func quasselServers(servers map[string]protocol) {
	servers["quassel"] = protocol{
		upgrade: quasselProbe,
		session: quasselSession,
		talk: []string{
			quasselMessage("MsgType", "ClientInit", "ClientVersion", "v0.14.0", "ClientDate", ""),
			quasselMessage("MsgType", "ClientLogin", "User", User, "Password", Password),
			"\x00\x00\x00\x00", // no message: there is none that ends a session
		},
		packets: &Packets{Split: quasselSplit, Name: quasselName},
	}
}

// quasselProbe answers a client's probe (Quassel's documentation of its protocol): a magic
// number with features of the connection, and protocols up to one marked as the last.
func quasselProbe(c *conn) error {
	var word [4]byte
	if _, err := io.ReadFull(c.r, word[:]); err != nil {
		return err
	}
	magic := binary.BigEndian.Uint32(word[:])
	if magic&^0xff != quasselMagic || magic&quasselEncryption == 0 {
		return errors.New("no probe, or not for encryption")
	}
	known := false
	for range 16 {
		if _, err := io.ReadFull(c.r, word[:]); err != nil {
			return err
		}
		protocol := binary.BigEndian.Uint32(word[:])
		known = known || protocol&0xff == quasselDatastream
		if protocol&quasselLast != 0 {
			if !known {
				return errors.New("no protocol that is known")
			}
			_, err := c.Write(binary.BigEndian.AppendUint32(nil, quasselEncryption<<24|quasselDatastream))
			return err
		}
	}
	return errors.New("too many protocols")
}

// quasselSession lets a client in, until a packet that is no message.
func quasselSession(c *conn) error {
	known := false
	for {
		var length [4]byte
		if _, err := io.ReadFull(c.r, length[:]); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(length[:])
		if n == 0 || n > quasselMax {
			return nil
		}
		packet := make([]byte, n)
		if _, err := io.ReadFull(c.r, packet); err != nil {
			return err
		}
		message := quasselParse(string(packet))
		answer := ""
		switch kind := message["MsgType"]; {
		case kind == "ClientInit":
			known = true
			answer = quasselMessage("MsgType", "ClientInitAck", "Configured", true)
		case kind == "ClientLogin" && !known:
			answer = quasselMessage("MsgType", "ClientInitReject", "Error", "say ClientInit first")
		case kind == "ClientLogin" && message["User"] == User && message["Password"] == Password:
			answer = quasselMessage("MsgType", "ClientLoginAck")
		case kind == "ClientLogin":
			answer = quasselMessage("MsgType", "ClientLoginReject", "Error", "wrong name or password")
		default:
			return nil
		}
		if _, err := io.WriteString(c.Conn, answer); err != nil {
			return err
		}
	}
}

// quasselMessage returns a packet: its length, and a list of which each second element is
// the value to the name before it, a bool or a text.
func quasselMessage(pairs ...any) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(pairs)))
	variant := func(kind uint32) { b = append(binary.BigEndian.AppendUint32(b, kind), 0) } // 0: not null
	for i, element := range pairs {
		switch v := element.(type) {
		case bool:
			variant(qtBool)
			truth := byte(0)
			if v {
				truth = 1
			}
			b = append(b, truth)
		case string:
			if i%2 == 0 { // a name
				variant(qtByteArray)
				b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
				continue
			}
			variant(qtString)
			units := utf16.Encode([]rune(v))
			b = binary.BigEndian.AppendUint32(b, uint32(2*len(units)))
			for _, u := range units {
				b = binary.BigEndian.AppendUint16(b, u)
			}
		}
	}
	return string(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
}

// quasselParse returns the values of a message, behind its length, by name. It is empty for
// something else.
func quasselParse(p string) map[string]string {
	take := func(n uint32) (s string, ok bool) {
		if uint64(n) > uint64(len(p)) {
			return "", false
		}
		s, p = p[:n], p[n:]
		return s, true
	}
	number := func() (n uint32, ok bool) {
		s, ok := take(4)
		if !ok {
			return 0, false
		}
		return binary.BigEndian.Uint32([]byte(s)), true
	}
	count, _ := number()
	message, name := map[string]string{}, ""
	for i := range count {
		kind, _ := number()
		if _, ok := take(1); !ok {
			return nil
		}
		length, value := uint32(1), ""
		if kind != qtBool {
			length, _ = number()
		}
		value, ok := take(length)
		switch {
		case !ok || i%2 == 0 && kind != qtByteArray:
			return nil
		case kind == qtString:
			value = quasselText(value)
		case kind == qtBool:
			value = fmt.Sprint(value != "\x00")
		}
		if i%2 == 0 {
			name = value
		} else {
			message[name] = value
		}
	}
	return message
}

// quasselText decodes a text in UTF-16.
func quasselText(s string) string {
	var units []uint16
	for ; len(s) >= 2; s = s[2:] {
		units = append(units, binary.BigEndian.Uint16([]byte(s)))
	}
	return string(utf16.Decode(units))
}

// quasselSplit cuts packets.
func quasselSplit(data []byte, atEOF bool) (int, []byte, error) {
	n := 4
	if len(data) >= n {
		n += int(min(binary.BigEndian.Uint32(data), quasselMax))
	}
	return cutPacket(data, n, atEOF)
}

// quasselName names a packet of either side.
func quasselName(p []byte) string {
	if len(p) < 4 {
		return string(p)
	}
	message := quasselParse(string(p[4:]))
	if message["MsgType"] == "" {
		return "an empty packet, which is none"
	}
	var details []string
	for _, key := range []string{"ClientVersion", "User", "Configured", "Error"} {
		if message[key] != "" {
			details = append(details, key+" "+message[key])
		}
	}
	return strings.TrimSuffix(message["MsgType"]+": "+strings.Join(details, ", "), ": ")
}
