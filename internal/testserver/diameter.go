package testserver

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Commands of Diameter (RFC 6733, 3.1).
const (
	diameterCE = 257 // Capabilities-Exchange
	diameterDW = 280 // Device-Watchdog
	diameterDP = 282 // Disconnect-Peer
)

// Flags of its messages (RFC 6733, 3).
const (
	diameterRequest = 0x80
	diameterError   = 0x20
)

// Codes of its AVPs (RFC 6733, 4.5).
const (
	avpHostIPAddress, avpAuthApplication, avpOriginHost, avpVendorID, avpResultCode, avpProductName = 257, 258, 264, 266, 268, 269

	avpDisconnectCause, avpErrorMessage, avpOriginRealm, avpInbandSecurity = 273, 281, 296, 299
)

// Results (RFC 6733, 7.1).
const (
	diameterSuccess     = 2001
	diameterUnsupported = 3001
	diameterMissingAVP  = 5005
	diameterUnable      = 5012
	diameterNoSecurity  = 5017
)

// diameterMax is how long a message may be, in bytes.
const diameterMax = 4096

func diameterServers(servers map[string]protocol) {
	origin := diameterText(avpOriginHost, "client.example.org") + diameterText(avpOriginRealm, "example.org")
	watchdog := diameterMessage{diameterRequest, diameterDW, 1, 1, origin}.String()
	disconnect := diameterMessage{diameterRequest, diameterDP, 2, 2, origin + diameterWord(avpDisconnectCause, 2)}.String()
	capabilities := diameterMessage{diameterRequest, diameterCE, 0, 0, origin + diameterHost()}.String()
	p := protocol{
		session: diameterOpen,
		talk:    []string{watchdog, disconnect},
		packets: &Packets{Split: diameterSplit, Name: diameterName},
	}
	p.upgrade = diameterClear
	servers["diameter"] = p
	p.upgrade, p.session, p.talk = nil, diameterClosed, []string{capabilities, watchdog, disconnect}
	servers["diameters"] = p
}

// A diameterMessage is one message (RFC 6733, 3), of no application.
type diameterMessage struct {
	flags          byte
	command        uint32
	hop, endToEnd  uint32
	attributePairs string
}

func (m diameterMessage) String() string {
	b := binary.BigEndian.AppendUint32(nil, 1<<24|uint32(20+len(m.attributePairs)))
	b = binary.BigEndian.AppendUint32(b, uint32(m.flags)<<24|m.command)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, m.hop)
	b = binary.BigEndian.AppendUint32(b, m.endToEnd)
	return string(b) + m.attributePairs
}

// diameterText returns an AVP (RFC 6733, 4.1). All have the flag M but Product-Name and
// Error-Message, which must not.
func diameterText(code uint32, data string) string {
	flags := uint32(0x40)
	if code == avpProductName || code == avpErrorMessage {
		flags = 0
	}
	b := binary.BigEndian.AppendUint32(nil, code)
	b = binary.BigEndian.AppendUint32(b, flags<<24|uint32(8+len(data)))
	return string(b) + data + "\x00\x00\x00"[:(4-len(data)%4)%4]
}

// diameterWord returns an AVP that is a number.
func diameterWord(code, value uint32) string {
	return diameterText(code, string(binary.BigEndian.AppendUint32(nil, value)))
}

// diameterHost describes a host in a Capabilities-Exchange, beside its origin: at 127.0.0.1, of
// no vendor, for any application as a relay.
func diameterHost() string {
	return diameterText(avpHostIPAddress, "\x00\x01\x7f\x00\x00\x01") + diameterWord(avpVendorID, 0) +
		diameterText(avpProductName, "demo") + diameterWord(avpAuthApplication, 0xffffffff)
}

// diameterRead reads a message.
func diameterRead(c *conn) (m diameterMessage, err error) {
	var header [20]byte
	if _, err := io.ReadFull(c.r, header[:]); err != nil {
		return m, err
	}
	n := binary.BigEndian.Uint32(header[:]) & 0xffffff
	if header[0] != 1 || n < 20 || n > diameterMax || n%4 != 0 {
		return m, io.EOF // it is to be reset (RFC 6733, 2.1)
	}
	pairs := make([]byte, n-20)
	_, err = io.ReadFull(c.r, pairs)
	return diameterMessage{header[4], binary.BigEndian.Uint32(header[4:]) & 0xffffff,
		binary.BigEndian.Uint32(header[12:]), binary.BigEndian.Uint32(header[16:]), string(pairs)}, err
}

// diameterAVPs takes the AVPs of a message apart, by code. What does not fit ends them.
func diameterAVPs(m diameterMessage) map[uint32][]string {
	found := make(map[uint32][]string)
	for b := []byte(m.attributePairs); len(b) >= 8; {
		n := int(binary.BigEndian.Uint32(b[4:]) & 0xffffff)
		if n < 8 || n > len(b) {
			break
		}
		if b[4]&0x80 == 0 { // no vendor's
			code := binary.BigEndian.Uint32(b)
			found[code] = append(found[code], string(b[8:n]))
		}
		b = b[min((n+3)/4*4, len(b)):]
	}
	return found
}

// diameterAnswer sends the answer to a request, which is about an error in the protocol if the
// result is 3xxx (RFC 6733, 7.1.3).
func diameterAnswer(c *conn, request diameterMessage, result uint32, words, pairs string) error {
	flags := byte(0)
	if result/1000 == 3 {
		flags = diameterError
	}
	pairs = diameterWord(avpResultCode, result) + diameterText(avpOriginHost, Host) + diameterText(avpOriginRealm, "example.org") + pairs
	if words != "" {
		pairs += diameterText(avpErrorMessage, words)
	}
	_, err := io.WriteString(c.Conn, diameterMessage{flags, request.command, request.hop, request.endToEnd, pairs}.String())
	return err
}

// diameterCapabilities reads a Capabilities-Exchange-Request, and refuses anything else and one
// that is not whole.
func diameterCapabilities(c *conn) (diameterMessage, map[uint32][]string, error) {
	m, err := diameterRead(c)
	if err != nil {
		return m, nil, err
	}
	avps := diameterAVPs(m)
	result, words := uint32(0), ""
	switch {
	case m.flags&diameterRequest == 0:
		return m, nil, io.EOF
	case m.command != diameterCE:
		result, words = diameterUnable, "capabilities first"
	default:
		for _, code := range []uint32{avpOriginHost, avpOriginRealm, avpHostIPAddress, avpVendorID, avpProductName} {
			if len(avps[code]) == 0 {
				result, words = diameterMissingAVP, fmt.Sprintf("no AVP %d", code)
				break
			}
		}
	}
	if result == 0 {
		return m, avps, nil
	}
	if err := diameterAnswer(c, m, result, words, ""); err != nil {
		return m, nil, err
	}
	return m, nil, io.EOF
}

// diameterClear exchanges capabilities in the clear, and takes nobody who does not offer TLS
// (RFC 3588, 5.3).
func diameterClear(c *conn) error {
	m, avps, err := diameterCapabilities(c)
	if err != nil {
		return err
	}
	for _, security := range avps[avpInbandSecurity] {
		if security == "\x00\x00\x00\x01" {
			return diameterAnswer(c, m, diameterSuccess, "", diameterHost()+diameterWord(avpInbandSecurity, 1))
		}
	}
	if err := diameterAnswer(c, m, diameterNoSecurity, "", diameterHost()); err != nil {
		return err
	}
	return io.EOF
}

// diameterClosed exchanges capabilities inside TLS, and goes on.
func diameterClosed(c *conn) error {
	m, _, err := diameterCapabilities(c)
	if err != nil {
		return err
	}
	if err := diameterAnswer(c, m, diameterSuccess, "", diameterHost()); err != nil {
		return err
	}
	return diameterOpen(c)
}

// diameterOpen answers requests inside TLS until one disconnects.
func diameterOpen(c *conn) error {
	for {
		m, err := diameterRead(c)
		if err != nil {
			return err
		}
		if m.flags&diameterRequest == 0 {
			continue
		}
		switch m.command {
		case diameterDP:
			return diameterAnswer(c, m, diameterSuccess, "", "")
		case diameterDW:
			err = diameterAnswer(c, m, diameterSuccess, "", "")
		case diameterCE:
			err = diameterAnswer(c, m, diameterUnable, "the session is open", "")
		default:
			err = diameterAnswer(c, m, diameterUnsupported, "", "")
		}
		if err != nil {
			return err
		}
	}
}

// diameterSplit cuts messages.
func diameterSplit(data []byte, atEOF bool) (int, []byte, error) {
	n := 20
	if len(data) >= 4 {
		n = max(n, int(binary.BigEndian.Uint32(data)&0xffffff))
	}
	return cutPacket(data, n, atEOF)
}

// diameterName names a message of either side.
func diameterName(p []byte) string {
	if len(p) < 20 {
		return string(p)
	}
	command := binary.BigEndian.Uint32(p[4:]) & 0xffffff
	name := map[uint32]string{diameterCE: "Capabilities-Exchange", diameterDW: "Device-Watchdog", diameterDP: "Disconnect-Peer"}[command]
	if name == "" {
		name = fmt.Sprintf("command %d", command)
	}
	avps := diameterAVPs(diameterMessage{attributePairs: string(p[20:])})
	origin := strings.Join(avps[avpOriginHost], ", ")
	if p[4]&diameterRequest != 0 {
		return name + "-Request: Origin-Host " + origin
	}
	result := []byte(strings.Join(avps[avpResultCode], ""))
	if len(result) != 4 {
		return name + "-Answer"
	}
	said := fmt.Sprintf("%s-Answer: Result-Code %d, Origin-Host %s", name, binary.BigEndian.Uint32(result), origin)
	return strings.Join(append([]string{said}, avps[avpErrorMessage]...), ", ")
}
