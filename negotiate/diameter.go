package negotiate

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
)

// Diameter, inband security (RFC 3588, 5.3, 6.10 and 13.2, kept by RFC 6733, 5.3, for older
// servers; messages and AVPs are those of RFC 6733, 3 and 4):
//
//	C: 01 000088 80 000101         version 1, a message of 136 bytes, a request: Capabilities-Exchange
//	   00000000 746c7375 746c7375  of no application, and two numbers that the answer repeats
//	   00000108 40 00001a          Origin-Host, mandatory, of 26 bytes
//	   "client.example.org" 0000   padded to a multiple of four
//	   00000128 40 000013          Origin-Realm
//	   "example.org" 00
//	   00000101 40 00000e          Host-IP-Address, 192.0.2.1
//	   0001 c0000201 0000
//	   0000010a 40 00000c 00000000 Vendor-Id: none
//	   0000010d 00 00000d          Product-Name
//	   "tlsup" 000000
//	   00000102 40 00000c ffffffff Auth-Application-Id: Relay, which stands for all of them
//	   0000012b 40 00000c 00000001 Inband-Security-Id: TLS
//	S: 01 0000ac 00 000101         the answer, with the same numbers
//	   ...
//	   0000010c 40 00000c 000007d1 Result-Code: DIAMETER_SUCCESS
//	   ...
//	   0000012b 40 00000c 00000001 Inband-Security-Id: TLS
//	   <TLS>
//
// The go-ahead is both together. Inside TLS the session is open: capabilities are not exchanged
// again.
var diameter = &Protocol{
	Name:     "diameter",
	Family:   Directory,
	Title:    "who may use a network, and for how much (Diameter)",
	Port:     3868,
	Specs:    []string{"RFC 3588", "RFC 6733"},
	Servers:  []string{"freeDiameter"},
	Implicit: "diameters",
	Names:    OwnName,
	From:     true,
	Upgrade:  upgradeDiameter,
	Lead:     leadDiameter,
	Remarks: []Remark{
		{"C: Capabilities-Exchange-Request", "Inband-Security-Id is TLS; Origin-Host is --starttls-name, which servers want to know, Origin-Realm --starttls-from, else what is behind its first dot"},
		{"S: Capabilities-Exchange-Answer: DIAMETER_SUCCESS", "the go-ahead, if Inband-Security-Id is TLS; other results refuse, by name"},
	},
	Note: "Inside TLS the session is open, and capabilities are not exchanged again: the client goes on with Device-Watchdog-Request or what it likes, as Relay for any application. " +
		"What follows are packets, not lines. Servers want a certificate of the client. " +
		"In front of a tunnel the client exchanges them with the tunnel, which hands its own on. " +
		"RFC 6733 advises against this way, since in the clear anybody can read and change what both sides are and can do: only TLS itself says who the server is.",
}

var diameters = &Protocol{
	Name:    "diameters",
	Family:  Directory,
	Title:   "Diameter in TLS from the first byte",
	Port:    5868,
	Specs:   []string{"RFC 6733"},
	Servers: []string{"freeDiameter"},
	Sibling: "diameter",
	Note: "The client begins with Capabilities-Exchange-Request. What follows are packets, not lines. Servers want a certificate of the client. " +
		"The port was printed as 5658 in RFC 6733, which is corrected in its errata.",
}

var _ = register(diameter, diameters)

const (
	diameterCapabilities = 257        // Capabilities-Exchange
	diameterNumber       = 0x746c7375 // Hop-by-Hop and End-to-End Identifier
	diameterRelay        = 0xffffffff // application
	diameterTLS          = 1          // Inband-Security-Id
	diameterSuccess      = 2001

	diameterRequest = 0x80 // flags of a message
	diameterFailed  = 0x20

	diameterHeader = 20       // bytes
	diameterMax    = 16 << 10 // of an answer, in bytes
)

// Codes of AVPs (RFC 6733, 4.5).
const (
	avpHostIPAddress     = 257
	avpAuthApplicationID = 258
	avpOriginHost        = 264
	avpVendorID          = 266
	avpResultCode        = 268
	avpProductName       = 269
	avpErrorMessage      = 281
	avpOriginRealm       = 296
	avpInbandSecurityID  = 299
)

// Flags of AVPs (RFC 6733, 4.1).
const (
	avpVendor    = 0x80
	avpMandatory = 0x40
)

// diameterResults names results (RFC 6733, 7.1).
func diameterResults() map[uint32]string {
	return map[uint32]string{
		2001: "DIAMETER_SUCCESS",
		3001: "DIAMETER_COMMAND_UNSUPPORTED",
		3002: "DIAMETER_UNABLE_TO_DELIVER",
		3003: "DIAMETER_REALM_NOT_SERVED",
		3004: "DIAMETER_TOO_BUSY",
		3005: "DIAMETER_LOOP_DETECTED",
		3006: "DIAMETER_REDIRECT_INDICATION",
		3007: "DIAMETER_APPLICATION_UNSUPPORTED",
		3008: "DIAMETER_INVALID_HDR_BITS",
		3009: "DIAMETER_INVALID_AVP_BITS",
		3010: "DIAMETER_UNKNOWN_PEER",
		4001: "DIAMETER_AUTHENTICATION_REJECTED",
		4002: "DIAMETER_OUT_OF_SPACE",
		4003: "ELECTION_LOST",
		5001: "DIAMETER_AVP_UNSUPPORTED",
		5003: "DIAMETER_AUTHORIZATION_REJECTED",
		5004: "DIAMETER_INVALID_AVP_VALUE",
		5005: "DIAMETER_MISSING_AVP",
		5006: "DIAMETER_RESOURCES_EXCEEDED",
		5007: "DIAMETER_CONTRADICTING_AVPS",
		5008: "DIAMETER_AVP_NOT_ALLOWED",
		5009: "DIAMETER_AVP_OCCURS_TOO_MANY_TIMES",
		5010: "DIAMETER_NO_COMMON_APPLICATION",
		5011: "DIAMETER_UNSUPPORTED_VERSION",
		5012: "DIAMETER_UNABLE_TO_COMPLY",
		5013: "DIAMETER_INVALID_BIT_IN_HEADER",
		5014: "DIAMETER_INVALID_AVP_LENGTH",
		5015: "DIAMETER_INVALID_MESSAGE_LENGTH",
		5016: "DIAMETER_INVALID_AVP_BIT_COMBO",
		5017: "DIAMETER_NO_COMMON_SECURITY",
	}
}

func upgradeDiameter(c *Conn, o *Options) error {
	c.Step(Upgrade)
	ask := func() ([]byte, string, error) { return diameterOwn(c, o) }
	if c.local != nil {
		ask = func() ([]byte, string, error) { return c.local.askDiameter(o) }
	}
	request, says, err := ask()
	if err != nil {
		return err
	}
	if err := c.WritePacket("Capabilities-Exchange-Request: TLS, "+says, request); err != nil {
		return err
	}
	answer, err := readCEA(c, request)
	if err != nil {
		if c.received == 0 { // what it does not know, it may discard (RFC 6733, 5.3)
			return Hinted(err, diameterHint(3010, o))
		}
		return err
	}
	said := diameterResults()[answer.result]
	if said == "" {
		said = fmt.Sprintf("result %d", answer.result)
	}
	if answer.message != "" && answer.message != said {
		said += ": " + answer.message
	}
	if answer.secure {
		c.Describe("Capabilities-Exchange-Answer: " + said + ", TLS")
	} else {
		c.Describe("Capabilities-Exchange-Answer: " + said)
	}
	switch {
	case answer.result != diameterSuccess:
		return Hinted(Refused(said), diameterHint(answer.result, o))
	case !answer.secure:
		return Hinted(NotOffered("TLS"), diameterHint(5017, o))
	case c.local != nil:
		return c.local.keepDiameter(request, answer)
	}
	return nil
}

// diameterHint says what to do about a result, "" where nothing is known.
func diameterHint(result uint32, o *Options) string {
	switch result {
	case 3010:
		return "servers know their peers by name: say how this one knows us with --starttls-name HOST"
	case 5017:
		return "TLS from the first byte is tlsup " + targetURL("diameters", o.Host)
	}
	return ""
}

// diameterNames returns how we name ourselves, a host and its realm (RFC 6733, 4.3.1).
func diameterNames(c *Conn, o *Options) (host, realm string, err error) {
	host, realm = helloName(c, o), o.From
	if strings.HasPrefix(host, "[") {
		if o.Name != "" {
			return "", "", &OptionError{"Name", fmt.Errorf("%q is not a name that can be sent: it is an address", o.Name)}
		}
		host = "tlsup.invalid" // no domain name is known, and one is wanted
	}
	if realm == "" {
		if _, realm, _ = strings.Cut(host, "."); realm == "" {
			realm = host
		}
	}
	if !isDiameterIdentity(realm) {
		return "", "", &OptionError{"From", fmt.Errorf("%q is not a realm that can be sent: it has to be a domain name in ASCII", realm)}
	}
	return host, realm, nil
}

// isDiameterIdentity reports whether a name may be one (RFC 6733, 4.3.1).
func isDiameterIdentity(name string) bool {
	return checkHelloName(name) == nil && name[0] != '['
}

// diameterOwn returns a Capabilities-Exchange-Request of our own (RFC 6733, 5.3.1), and from whom
// it is.
func diameterOwn(c *Conn, o *Options) (request []byte, says string, err error) {
	host, realm, err := diameterNames(c, o)
	if err != nil {
		return nil, "", err
	}
	avps := appendAVP(nil, avpOriginHost, avpMandatory, []byte(host))
	avps = appendAVP(avps, avpOriginRealm, avpMandatory, []byte(realm))
	avps = appendRelay(avps, c.LocalAddr())
	avps = appendAVP(avps, avpInbandSecurityID, avpMandatory, diameterWord(diameterTLS))
	return diameterMessage(diameterRequest, diameterNumber, diameterNumber, avps), host + " of " + realm, nil
}

// diameterWord is the data of an AVP that is a number.
func diameterWord(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// appendRelay appends what we say of ourselves: our address (RFC 6733, 4.3.1), no vendor, and any
// application.
func appendRelay(avps []byte, local net.Addr) []byte {
	address := []byte{0, 1, 127, 0, 0, 1}
	if tcp, ok := local.(*net.TCPAddr); ok {
		if ip4 := tcp.IP.To4(); ip4 != nil {
			address = append([]byte{0, 1}, ip4...)
		} else {
			address = append([]byte{0, 2}, tcp.IP.To16()...)
		}
	}
	avps = appendAVP(avps, avpHostIPAddress, avpMandatory, address)
	avps = appendAVP(avps, avpVendorID, avpMandatory, diameterWord(0))
	avps = appendAVP(avps, avpProductName, 0, []byte("tlsup"))
	return appendAVP(avps, avpAuthApplicationID, avpMandatory, diameterWord(diameterRelay))
}

// diameterMessage returns a message of Capabilities-Exchange (RFC 6733, 3).
func diameterMessage(flags byte, hopByHop, endToEnd uint32, avps []byte) []byte {
	message := binary.BigEndian.AppendUint32(nil, 1<<24|uint32(diameterHeader+len(avps)))
	for _, word := range []uint32{uint32(flags)<<24 | diameterCapabilities, 0, hopByHop, endToEnd} {
		message = binary.BigEndian.AppendUint32(message, word)
	}
	return append(message, avps...)
}

// appendAVP appends an AVP without a vendor (RFC 6733, 4.1).
func appendAVP(message []byte, code uint32, flags byte, data []byte) []byte {
	message = binary.BigEndian.AppendUint32(message, code)
	message = binary.BigEndian.AppendUint32(message, uint32(flags)<<24|uint32(8+len(data)))
	message = append(message, data...)
	return append(message, make([]byte, -len(data)&3)...)
}

// A diameterAnswer is what counts in a Capabilities-Exchange-Answer.
type diameterAnswer struct {
	result      uint32
	message     string // words to the result
	secure      bool   // Inband-Security-Id is TLS
	host, realm string // of the server
}

// readDiameter reads a message of Capabilities-Exchange (RFC 6733, 3): its header, its AVPs.
func readDiameter(c *Conn, request bool) (header, avps []byte, err error) {
	if err := c.Count(); err != nil {
		return nil, nil, err
	}
	header = make([]byte, diameterHeader)
	if _, err := io.ReadFull(c, header[:8]); err != nil {
		return nil, nil, err
	}
	length := int(binary.BigEndian.Uint32(header) & 0xffffff)
	command := binary.BigEndian.Uint32(header[4:]) & 0xffffff
	switch {
	case header[0] != 1 || (header[4]&diameterRequest != 0) != request || command != diameterCapabilities || length < diameterHeader || length%4 != 0:
		return nil, nil, c.unexpected()
	case length > diameterMax:
		return nil, nil, fmt.Errorf("%w: a message of %d bytes", ErrTooLong, length)
	}
	if _, err := io.ReadFull(c, header[8:]); err != nil {
		return nil, nil, err
	}
	avps = make([]byte, length-diameterHeader)
	_, err = io.ReadFull(c, avps)
	return header, avps, err
}

// readCEA reads the answer to a request (RFC 6733, 5.3.2).
func readCEA(c *Conn, request []byte) (a diameterAnswer, err error) {
	header, avps, err := readDiameter(c, false)
	if err != nil {
		return a, err
	}
	a, ok := parseCEA(avps)
	answers := string(header[12:]) == string(request[12:diameterHeader])
	succeeded := a.result == diameterSuccess && header[4]&diameterFailed == 0
	if !ok || !answers || !succeeded && (a.result < 3000 || a.result >= 6000) {
		return a, c.unexpected()
	}
	return a, nil
}

// parseCEA takes the AVPs of an answer apart. A vendor's are its own, whatever their code.
func parseCEA(avps []byte) (a diameterAnswer, ok bool) {
	for len(avps) > 0 {
		code, flags, data, rest, ok := nextAVP(avps)
		if !ok {
			return a, false
		}
		avps = rest
		if flags&avpVendor != 0 {
			continue
		}
		switch code {
		case avpResultCode:
			if len(data) != 4 || a.result != 0 {
				return a, false
			}
			a.result = binary.BigEndian.Uint32(data)
		case avpErrorMessage:
			a.message = string(data)
		case avpOriginHost:
			a.host = string(data)
		case avpOriginRealm:
			a.realm = string(data)
		case avpInbandSecurityID:
			if len(data) != 4 {
				return a, false
			}
			a.secure = a.secure || binary.BigEndian.Uint32(data) == diameterTLS
		}
	}
	return a, true
}

// nextAVP cuts the first AVP off (RFC 6733, 4.1); not ok if it does not fit.
func nextAVP(avps []byte) (code uint32, flags byte, data, rest []byte, ok bool) {
	if len(avps) < 8 {
		return 0, 0, nil, nil, false
	}
	code, flags = binary.BigEndian.Uint32(avps), avps[4]
	length := int(binary.BigEndian.Uint32(avps[4:]) & 0xffffff)
	from := 8
	if flags&avpVendor != 0 {
		from = 12
	}
	padded := (length + 3) &^ 3
	if length < from || padded > len(avps) {
		return 0, 0, nil, nil, false
	}
	return code, flags, avps[from:length], avps[padded:], true
}
