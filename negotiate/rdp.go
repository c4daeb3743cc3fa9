package negotiate

import (
	"encoding/binary"
	"fmt"
	"io"
)

// RDP, Enhanced RDP Security (MS-RDPBCGR, 2.2.1.1 and 2.2.1.2): X.224's connection request and
// its confirm, each behind a TPKT header, and in them a structure of RDP's own, with numbers
// in little-endian order:
//
//	C: 03 00 0013               TPKT: version 3, 19 bytes
//	   0e e0 0000 0000 00       X.224 Connection Request, class 0
//	   01 00 0800 03000000      RDP_NEG_REQ: TLS or CredSSP
//	S: 03 00 0013
//	   0e d0 0000 1234 00       X.224 Connection Confirm
//	   02 00 0800 01000000      RDP_NEG_RSP: TLS
//	   <TLS>
//
// CredSSP runs in TLS, so that the handshake is the same. These refuse: RDP_NEG_FAILURE, with
// a code; protocol 0, Standard RDP Security; and a confirm without a structure, from servers
// that know nothing else.
//
//	S: 03 00 0013
//	   0e d0 0000 1234 00
//	   03 00 0800 02000000      RDP_NEG_FAILURE: SSL_NOT_ALLOWED_BY_SERVER
var rdp = &Protocol{
	Name:     "rdp",
	Family:   Remote,
	Title:    "Windows desktops over the network (RDP)",
	Port:     3389,
	Specs:    []string{"MS-RDPBCGR"},
	Servers:  []string{"xrdp"},
	Upgrade:  upgradeRDP,
	NoTunnel: "CredSSP's login is bound to the TLS session, and the client repeats inside it what was asked for in the clear",
	Remarks: []Remark{
		{"C: X.224 Connection Request", "no cookie, so that nobody reads the user's name"},
		{"S: X.224 Connection Confirm, RDP_NEG_RSP", "the go-ahead, if it names TLS or CredSSP; RDP_NEG_FAILURE refuses"},
	},
	Note: "Inside TLS the client begins: with MCS Connect-Initial if the server chose TLS, with CredSSP's TSRequest if it chose CredSSP, which -v shows. " +
		"The answer to Connect-Initial repeats the protocols that the server was asked for. What follows are packets, not lines.",
}

var _ = register(rdp)

// Protocols that RDP_NEG_REQ asks for and RDP_NEG_RSP chooses.
const (
	rdpStandard = 0
	rdpTLS      = 1
	rdpCredSSP  = 2
)

// Types of X.224's packets, in the upper half of their second byte.
const (
	x224Confirm    = 0xd0
	x224Disconnect = 0x80
)

// rdpFailures names the codes of RDP_NEG_FAILURE (MS-RDPBCGR, 2.2.1.2.2).
func rdpFailures() map[uint32]string {
	return map[uint32]string{
		1: "SSL_REQUIRED_BY_SERVER",
		2: "SSL_NOT_ALLOWED_BY_SERVER",
		3: "SSL_CERT_NOT_ON_SERVER",
		4: "INCONSISTENT_FLAGS",
		5: "HYBRID_REQUIRED_BY_SERVER",
		6: "SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER",
	}
}

func rdpHints() map[uint32]string {
	return map[uint32]string{
		2: "the server is set to Standard RDP Security: xrdp wants security_layer = tls, Windows a security layer of SSL or Negotiate",
		3: "the server has no certificate: Windows makes itself one when its Remote Desktop service starts, xrdp wants certificate and key_file",
	}
}

func upgradeRDP(c *Conn, _ *Options) error {
	c.Step(Upgrade)
	request := []byte{3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, rdpTLS | rdpCredSSP, 0, 0, 0}
	if err := c.WritePacket("X.224 Connection Request, RDP_NEG_REQ: TLS or CredSSP", request); err != nil {
		return err
	}
	packet, err := readX224(c)
	if err != nil {
		return err
	}
	switch packet[0] & 0xf0 {
	case x224Confirm:
		return rdpConfirmed(c, packet[6:])
	case x224Disconnect:
		said := fmt.Sprintf("X.224 Disconnect Request, reason %d", packet[5])
		c.Describe(said)
		return Refused(said)
	}
	return c.unexpected()
}

// readX224 reads a packet, and returns it without its length: a type, two references of two
// bytes each, another byte, and the rest.
func readX224(c *Conn) ([]byte, error) {
	if err := c.Count(); err != nil {
		return nil, err
	}
	if err := c.expect("\x03"); err != nil {
		return nil, err
	}
	var header [4]byte // of TPKT's, a byte without a meaning and the length; X.224's length
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint16(header[1:])
	packet := make([]byte, header[3])
	if len(packet) < 6 || int(length) != len(packet)+5 {
		return nil, c.unexpected()
	}
	_, err := io.ReadFull(c, packet)
	return packet, err
}

// rdpConfirmed looks at RDP's structure in a Connection Confirm.
func rdpConfirmed(c *Conn, structure []byte) error {
	if len(structure) == 0 {
		c.Describe("X.224 Connection Confirm")
		return fmt.Errorf("%w, it knows Standard RDP Security alone", NotOffered("TLS"))
	}
	if len(structure) != 8 || binary.LittleEndian.Uint16(structure[2:]) != 8 {
		return c.unexpected()
	}
	value := binary.LittleEndian.Uint32(structure[4:])
	switch structure[0] {
	case 2:
		return rdpChosen(c, value)
	case 3:
		said := fmt.Sprintf("%s (%d)", rdpFailures()[value], value)
		if rdpFailures()[value] == "" {
			said = fmt.Sprintf("failure %d", value)
		}
		c.Describe("X.224 Connection Confirm, RDP_NEG_FAILURE: " + said)
		if rdpHints()[value] != "" {
			return Hinted(Refused(said), rdpHints()[value])
		}
		return Refused(said)
	}
	return c.unexpected()
}

// rdpChosen returns an error unless the protocol that the server chose runs in TLS and was
// asked for.
func rdpChosen(c *Conn, protocol uint32) error {
	name := map[uint32]string{rdpStandard: "Standard RDP Security", rdpTLS: "TLS", rdpCredSSP: "CredSSP"}[protocol]
	if name == "" {
		return fmt.Errorf("%w: protocol %d, which was not asked for", c.unexpected(), protocol)
	}
	c.Describe("X.224 Connection Confirm, RDP_NEG_RSP: " + name)
	if protocol == rdpStandard {
		return Hinted(fmt.Errorf("%w, it chose %s", NotOffered("TLS"), name), rdpHints()[2])
	}
	return nil
}
