package negotiate

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// VNC, VeNCrypt with a certificate (RFC 6143, 7.1, for RFB; VeNCrypt 0.2, the same section of
// its own description):
//
//	S: "RFB 003.008" 0a
//	C: "RFB 003.008" 0a
//	S: 02 13 02                 two security types: VeNCrypt, VNC authentication
//	C: 13                       VeNCrypt
//	S: 00 02                    its version 0.2
//	C: 00 02
//	S: 00                       the version is accepted
//	S: 02 00000104 00000105     two sub-types: X509None, X509Vnc
//	C: 00000104                 X509None
//	S: 01                       the sub-type is accepted
//	   <TLS>
//
// No security types, but a reason, is a refusal. So is a SecurityResult in place of the last
// byte, with a reason from version 3.8 on:
//
//	S: 00000001 00000012 "No valid sub-type."
//
// Before version 3.7 the server settles the type, and VeNCrypt is none of those.
var vnc = &Protocol{
	Name:      "vnc",
	Aliases:   []string{"rfb"},
	Family:    Remote,
	Title:     "desktops over the network (VNC)",
	Port:      5900,
	Specs:     []string{"RFC 6143", "VeNCrypt 0.2"},
	Servers:   []string{"TigerVNC"},
	Greets:    true,
	Recognise: greetsLikeVNC,
	Upgrade:   upgradeVNC,
	Login:     true,
	Lead:      leadVNC,
	Ends:      vncEnds,
	Remarks: []Remark{
		{"S: RFB ", "the newest version that the server knows"},
		{"C: RFB ", "the version that is spoken: 3.7 or 3.8"},
		{"S: security types", "one of them has to be VeNCrypt; \"TLS\" has no certificates"},
		{"S: VeNCrypt", "its version: 0.2 or newer"},
		{"S: sub-types", "those that start with X509 have certificates"},
		{"C: X509", "the first there is of X509None, X509Vnc, X509Plain and X509SASL"},
		{"S: 01", "the go-ahead"},
	},
	Note: "Inside TLS both go on with what the sub-type says, which -v shows. X509None: the server sends SecurityResult. " +
		"X509Vnc: it sends a challenge of 16 bytes first. X509Plain: the client sends lengths, user and password. X509SASL: the server lists mechanisms. " +
		"TLSNone, TLSVnc and TLSPlain are refused: the server has no certificate there, so that anybody on the way can pose as it. " +
		"TigerVNC takes a connection that ends before the login for a failed one, and after some refuses an address for a while. What follows are packets, not lines. " +
		"A tunnel leads viewers of RFB 3.3, 3.7 and 3.8 on with None or VNC authentication; with --user and a password it logs in to X509Plain by itself.",
}

var _ = register(vnc)

const (
	vncVeNCrypt = 19 // a security type
	vncVNC      = 2  // another, and a sub-type of VeNCrypt
	vncTLS      = 18 // another, TLS without certificates
)

// vncMaxReason is how long the reason of a refusal may be, in bytes.
const vncMaxReason = 4096

// vncTypes names security types (IANA's registry of Remote Framebuffer) and VeNCrypt's
// sub-types.
func vncTypes() map[uint32]string {
	return map[uint32]string{
		1: "None", vncVNC: "VNC authentication", 5: "RA2", 6: "RA2ne", 16: "Tight", 17: "Ultra", vncTLS: "TLS", vncVeNCrypt: "VeNCrypt", 20: "SASL", 30: "Apple",
		256: "Plain", 257: "TLSNone", 258: "TLSVnc", 259: "TLSPlain", 260: "X509None", 261: "X509Vnc", 262: "X509Plain", 263: "TLSSASL", 264: "X509SASL",
	}
}

// vncUsable are the sub-types with certificates, those first that ask least of the user.
var vncUsable = []uint32{vncX509None, vncX509VNC, vncX509Plain, 264}

// vncAnonymous are the types and sub-types with TLS, but without certificates.
var vncAnonymous = []uint32{vncTLS, 257, 258, 259, 263}

// greetsLikeVNC recognises the line with the version (RFC 6143, 7.1.1).
func greetsLikeVNC(b []byte) bool {
	return len(b) >= 12 && string(b[:4]) == "RFB " && b[7] == '.' && b[11] == '\n' && isDecimal(b[4:7]) && isDecimal(b[8:11])
}

func isDecimal(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c < '0' || c > '9' })
}

func upgradeVNC(c *Conn, o *Options) error {
	major, minor, err := readVNCVersion(c)
	if err != nil {
		return err
	}
	c.Step(Capabilities)
	if major < 3 || major == 3 && minor < 7 {
		return vncOld(c)
	}
	if major > 3 || minor > 8 {
		minor = 8
	}
	if _, err := fmt.Fprintf(c, "RFB 003.%03d\n", minor); err != nil {
		return err
	}
	types, err := readVNCTypes(c)
	switch {
	case err != nil:
		return err
	case !slices.Contains(types, vncVeNCrypt):
		return vncNotOffered("VeNCrypt", types)
	}
	if err := vncAgree(c); err != nil {
		return err
	}
	subTypes, err := readVNCSubTypes(c)
	if err != nil {
		return err
	}
	subType, err := vncSubType(o.Local, subTypes)
	if err != nil {
		return err
	}
	if o.Local != nil {
		o.Local.state = &vncState{subType: subType, server: minor}
	}

	c.Step(Upgrade)
	if err := c.WritePacket(vncTypes()[subType], binary.BigEndian.AppendUint32(nil, subType)); err != nil {
		return err
	}
	if err := c.Count(); err != nil {
		return err
	}
	switch answer, err := c.ReadByte(); {
	case err != nil:
		return err
	case answer == 0:
		return vncFailed(c)
	case answer != 1:
		return c.unexpected()
	}
	c.Describe("01: accepted")
	return nil
}

// readVNCVersion reads the newest version that the server knows.
func readVNCVersion(c *Conn) (major, minor int, err error) {
	if err := c.Count(); err != nil {
		return 0, 0, err
	}
	if err := c.expect("RFB "); err != nil {
		return 0, 0, err
	}
	line := []byte("RFB 000.000\n")
	for i := len("RFB "); i < len(line); i++ {
		if line[i], err = c.ReadByte(); err != nil {
			return 0, 0, err
		}
		if i < len(line)-1 && line[i] == '\n' {
			return 0, 0, c.unexpected()
		}
	}
	if !greetsLikeVNC(line) {
		return 0, 0, c.unexpected()
	}
	c.TraceRead()
	major, _ = strconv.Atoi(string(line[4:7]))
	minor, _ = strconv.Atoi(string(line[8:11]))
	return major, minor, nil
}

// vncOld returns the error for a server of a version in which it settles the type, and asks it
// for the reason if there is one.
func vncOld(c *Conn) error {
	// The server may have closed already: it does when the reason follows.
	io.WriteString(c, "RFB 003.003\n")
	if err := c.Count(); err != nil {
		return err
	}
	var b [4]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return err
	}
	kind := binary.BigEndian.Uint32(b[:])
	if kind == 0 {
		return vncRefused(c)
	}
	c.Describe("security type " + vncNames([]uint32{kind}))
	return fmt.Errorf("%w, only %s, in a version of RFB before 3.7", NotOffered("VeNCrypt"), vncNames([]uint32{kind}))
}

// readVNCTypes reads the security types (RFC 6143, 7.1.2).
func readVNCTypes(c *Conn) ([]uint32, error) {
	if err := c.Count(); err != nil {
		return nil, err
	}
	count, err := c.ReadByte()
	switch {
	case err != nil:
		return nil, err
	case count == 0:
		return nil, vncRefused(c)
	}
	b := make([]byte, count)
	if _, err := io.ReadFull(c, b); err != nil {
		return nil, err
	}
	var types []uint32
	for _, t := range b {
		types = append(types, uint32(t))
	}
	c.Describe("security types: " + vncNames(types))
	return types, nil
}

// vncAgree chooses VeNCrypt and its version 0.2.
func vncAgree(c *Conn) error {
	if err := c.WritePacket("VeNCrypt", []byte{vncVeNCrypt}); err != nil {
		return err
	}
	if err := c.Count(); err != nil {
		return err
	}
	var version [2]byte
	if _, err := io.ReadFull(c, version[:]); err != nil {
		return err
	}
	said := fmt.Sprintf("VeNCrypt %d.%d", version[0], version[1])
	c.Describe(said)
	if version[0] == 0 && version[1] < 2 {
		return fmt.Errorf("%w, only %s", NotOffered("VeNCrypt 0.2"), said)
	}
	if err := c.WritePacket("VeNCrypt 0.2", []byte{0, 2}); err != nil {
		return err
	}
	if err := c.Count(); err != nil {
		return err
	}
	answer, err := c.ReadByte()
	if err != nil {
		return err
	}
	if answer != 0 {
		c.Describe(fmt.Sprintf("%02x: version refused", answer))
		return Refused(fmt.Sprintf("VeNCrypt 0.2: %d", answer))
	}
	c.Describe("00: version accepted")
	return nil
}

// readVNCSubTypes reads VeNCrypt's sub-types.
func readVNCSubTypes(c *Conn) ([]uint32, error) {
	if err := c.Count(); err != nil {
		return nil, err
	}
	count, err := c.ReadByte()
	if err != nil {
		return nil, err
	}
	subTypes := make([]uint32, count)
	if err := binary.Read(c, binary.BigEndian, subTypes); err != nil {
		return nil, err
	}
	c.Describe("sub-types: " + vncNames(subTypes))
	return subTypes, nil
}

// vncNotOffered is the error for a server that has other types than those wanted.
func vncNotOffered(what string, types []uint32) error {
	err := NotOffered(what)
	if len(types) > 0 {
		err = fmt.Errorf("%w, only %s", err, vncNames(types))
	}
	if slices.ContainsFunc(types, func(t uint32) bool { return slices.Contains(vncAnonymous, t) }) {
		return Hinted(err, "TLS without a certificate protects from nobody on the way, who could pose as the server: "+
			"TigerVNC's -SecurityTypes X509Vnc with -X509Cert and -X509Key has one")
	}
	return err
}

// vncNames lists types for a person.
func vncNames(types []uint32) string {
	var names []string
	for _, t := range types {
		name := vncTypes()[t]
		if name == "" {
			name = fmt.Sprintf("type %d", t)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// vncRefused reads the reason for which there are no security types.
func vncRefused(c *Conn) error {
	reason, err := readVNCReason(c)
	if err != nil {
		return err
	}
	c.Describe("refused: " + reason)
	return Refused(reason)
}

// vncFailed is the error for a sub-type that is not accepted. What follows the first zero may be
// the rest of a SecurityResult, and the reason.
func vncFailed(c *Conn) error {
	var rest [3]byte
	if _, err := io.ReadFull(c, rest[:]); err != nil || rest != [3]byte{0, 0, 1} {
		return Refused("00")
	}
	reason, err := readVNCReason(c)
	if err != nil {
		return Refused("SecurityResult 1") // before version 3.8 there is no reason
	}
	c.Describe("SecurityResult: " + reason)
	return Refused(reason)
}

// readVNCReason reads a text behind its length.
func readVNCReason(c *Conn) (string, error) {
	var b [4]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return "", err
	}
	n := binary.BigEndian.Uint32(b[:])
	if n > vncMaxReason {
		return "", fmt.Errorf("%w: a reason of %d bytes", ErrTooLong, n)
	}
	reason := make([]byte, n)
	_, err := io.ReadFull(c, reason)
	return string(reason), err
}
