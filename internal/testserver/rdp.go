package testserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Protocols of RDP's negotiation (MS-RDPBCGR, 2.2.1.1.1).
const rdpTLS = 1

// x224Data is the header of X.224's data, behind which MCS and what it carries stand.
const x224Data = "\x02\xf0\x80"

// What MCS says once a domain is connected (T.125, in PER).
const (
	mcsErectDomain = "\x04\x01\x00\x01\x00"
	mcsAttachUser  = "\x28"
	mcsAttached    = "\x2e\x00\x00\x06" // as user 1007
	mcsDisconnect  = "\x21\x80"         // since the user wants it
)

func rdpServers(servers map[string]protocol) {
	servers["rdp"] = protocol{
		upgrade: rdpNegotiate,
		session: rdpSession,
		talk: []string{
			tpkt(x224Data + rdpConnectInitial()),
			tpkt(x224Data + mcsErectDomain),
			tpkt(x224Data + mcsAttachUser),
			tpkt(x224Data + mcsDisconnect),
		},
		packets: &Packets{Split: tpktSplit, Name: rdpName},
	}
}

// tpkt returns a packet with its header (RFC 1006, 6).
func tpkt(content string) string {
	return string(binary.BigEndian.AppendUint16([]byte{3, 0}, uint16(4+len(content)))) + content
}

// readTPKT reads a packet and returns its content.
func readTPKT(c *conn) (string, error) {
	var header [4]byte
	if _, err := io.ReadFull(c.r, header[:]); err != nil {
		return "", err
	}
	length := binary.BigEndian.Uint16(header[2:])
	if header[0] != 3 || length < 7 {
		return "", errors.New("not a packet")
	}
	content := make([]byte, length-4)
	_, err := io.ReadFull(c.r, content)
	return string(content), err
}

func tpktSend(c *conn, content string) error {
	_, err := io.WriteString(c.Conn, tpkt(content))
	return err
}

// rdpNegotiate answers the connection request. It insists on TLS, and knows no CredSSP.
func rdpNegotiate(c *conn) error {
	request, err := readTPKT(c)
	if err != nil {
		return err
	}
	if int(request[0]) != len(request)-1 || request[1] != 0xe0 || request[6] != 0 {
		return errors.New("not a connection request")
	}
	_, structure, cookie := strings.Cut(request[7:], "\r\n")
	if !cookie {
		structure = request[7:]
	}
	const confirm = "\x0e\xd0\x00\x00\x12\x34\x00"
	asked := uint32(0)
	if len(structure) >= 8 && structure[0] == 1 {
		asked = binary.LittleEndian.Uint32([]byte(structure[4:]))
	}
	if asked&rdpTLS == 0 {
		return errors.Join(tpktSend(c, confirm+"\x03\x00\x08\x00\x01\x00\x00\x00"), errors.New("TLS was not asked for"))
	}
	return tpktSend(c, confirm+"\x02\x00\x08\x00\x01\x00\x00\x00")
}

// rdpSession connects a domain and attaches a user, until the client disconnects.
func rdpSession(c *conn) error {
	for connected := false; ; connected = true {
		content, err := readTPKT(c)
		if err != nil {
			return err
		}
		message, ok := strings.CutPrefix(content, x224Data)
		switch {
		case !ok:
			return errors.New("not data")
		case !connected && strings.HasPrefix(message, "\x7f\x65"):
			err = tpktSend(c, x224Data+rdpConnectResponse())
		case !connected:
			return errors.New("Connect-Initial comes first")
		case message == mcsErectDomain:
		case message == mcsAttachUser:
			err = tpktSend(c, x224Data+mcsAttached)
		case message == mcsDisconnect:
			return nil
		default:
			return errors.New("a message that is not known")
		}
		if err != nil {
			return err
		}
	}
}

// berLong returns an element whose length has two bytes.
func berLong(identifier string, content string) string {
	return identifier + "\x82" + string(binary.BigEndian.AppendUint16(nil, uint16(len(content)))) + content
}

// perLong returns content behind its length of two bytes.
func perLong(content string) string {
	return string(binary.BigEndian.AppendUint16(nil, 0x8000|uint16(len(content)))) + content
}

// gccKey is the object identifier of T.124, of which the conference's data are.
const gccKey = "\x00\x05\x00\x14\x7c\x00\x01"

// rdpConnectInitial is the client's first message inside TLS (MS-RDPBCGR, 2.2.1.3; T.125; T.124):
// parameters of the domain, and of the desktop.
func rdpConnectInitial() string {
	blocks := rdpClientCore() +
		"\x02\xc0\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // CS_SECURITY: no encryption beside TLS
		"\x03\xc0\x08\x00\x00\x00\x00\x00" // CS_NET: no channels
	conference := gccKey + perLong("\x00\x08\x00\x10\x00\x01\xc0\x00Duca"+perLong(blocks))
	return berLong("\x7f\x65", "\x04\x01\x01\x04\x01\x01\x01\x01\xff"+
		"\x30\x19\x02\x01\x22\x02\x01\x02\x02\x01\x00\x02\x01\x01\x02\x01\x00\x02\x01\x01\x02\x02\xff\xff\x02\x01\x02"+ // targetParameters
		"\x30\x19\x02\x01\x01\x02\x01\x01\x02\x01\x01\x02\x01\x01\x02\x01\x00\x02\x01\x01\x02\x02\x04\x20\x02\x01\x02"+ // minimumParameters
		"\x30\x1c\x02\x02\xff\xff\x02\x02\xfc\x17\x02\x02\xff\xff\x02\x01\x01\x02\x01\x00\x02\x01\x01\x02\x02\xff\xff\x02\x01\x02"+ // maximumParameters
		berLong("\x04", conference))
}

// rdpClientCore is CS_CORE (MS-RDPBCGR, 2.2.1.3.2): 640 by 480 pixels of 16 bits, from a client
// that is called "demo", over TLS.
func rdpClientCore() string {
	zeroes := func(n int) string { return strings.Repeat("\x00", n) }
	core := "\x04\x00\x08\x00" + "\x80\x02\xe0\x01" + "\x01\xca\x03\xaa" + "\x09\x04\x00\x00" + "\xce\x0e\x00\x00" +
		"d\x00e\x00m\x00o\x00" + zeroes(24) + // clientName
		"\x04\x00\x00\x00" + zeroes(4) + "\x0c\x00\x00\x00" + zeroes(64) + // keyboard
		"\x01\xca\x01\x00" + zeroes(4) + "\x10\x00\x07\x00\x01\x00" + // colours, and what errors may be told
		zeroes(64+2) + "\x01\x00\x00\x00" // serverSelectedProtocol
	return "\x01\xc0" + string(binary.LittleEndian.AppendUint16(nil, uint16(4+len(core)))) + core
}

// rdpConnectResponse is the server's answer (MS-RDPBCGR, 2.2.1.4).
func rdpConnectResponse() string {
	blocks := "\x01\x0c\x0c\x00\x04\x00\x08\x00\x03\x00\x00\x00" + // SC_CORE: the version, and what was asked for: TLS or CredSSP
		"\x02\x0c\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // SC_SECURITY
		"\x03\x0c\x08\x00\xeb\x03\x00\x00" // SC_NET: channel 1003 is for input and output
	conference := gccKey + perLong("\x14\x76\x0a\x01\x01\x00\x01\xc0\x00McDn"+perLong(blocks))
	return berLong("\x7f\x66", "\x0a\x01\x00\x02\x01\x00"+
		"\x30\x1a\x02\x01\x22\x02\x01\x03\x02\x01\x00\x02\x01\x01\x02\x01\x00\x02\x01\x01\x02\x03\x00\xff\xf8\x02\x01\x02"+
		berLong("\x04", conference))
}

// tpktSplit cuts packets.
func tpktSplit(data []byte, atEOF bool) (int, []byte, error) {
	n := 0
	if len(data) >= 4 {
		n = max(4, int(binary.BigEndian.Uint16(data[2:])))
	}
	switch {
	case n > 0 && n <= len(data):
		return n, data[:n], nil
	case atEOF && len(data) > 0:
		return len(data), data, nil
	}
	return 0, nil, nil
}

// rdpName names a packet of either side.
func rdpName(p []byte) string {
	if len(p) < 8 {
		return string(p)
	}
	switch message := string(p[7:]); {
	case strings.HasPrefix(message, "\x7f\x65"):
		return fmt.Sprintf("MCS Connect-Initial, %d bytes", len(p))
	case strings.HasPrefix(message, "\x7f\x66"):
		return fmt.Sprintf("MCS Connect-Response, %d bytes", len(p))
	case message == mcsErectDomain:
		return "MCS Erect Domain Request"
	case message == mcsAttachUser:
		return "MCS Attach User Request"
	case strings.HasPrefix(message, mcsAttached[:2]) && len(message) == 4:
		return fmt.Sprintf("MCS Attach User Confirm: user %d", 1001+int(binary.BigEndian.Uint16([]byte(message[2:]))))
	case message == mcsDisconnect:
		return "MCS Disconnect Provider Ultimatum"
	}
	return string(p)
}
