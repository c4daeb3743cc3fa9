package negotiate

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// LDAP, StartTLS (RFC 4511, 4.14), in BER:
//
//	C: 30 1d                   LDAPMessage
//	      02 01 01             message ID 1
//	      77 18                ExtendedRequest
//	         80 16 "1.3.6.1.4.1.1466.20037"
//	S: 30 0c                   LDAPMessage
//	      02 01 01             message ID 1
//	      78 07                ExtendedResponse
//	         0a 01 00          resultCode success
//	         04 00             matchedDN
//	         04 00             diagnosticMessage
//	   <TLS>
//
// Inside TLS the server is silent. In place of an answer it may send a Notice of
// Disconnection, an ExtendedResponse of its own accord with message ID 0 (4.4.1).
var ldap = &Protocol{
	Name:     "ldap",
	Family:   Directory,
	Title:    "directory, Active Directory included",
	Port:     389,
	Specs:    []string{"RFC 4511", "RFC 4513"},
	Servers:  []string{"OpenLDAP"},
	Implicit: "ldaps",
	Upgrade:  upgradeLDAP,
	Remarks: []Remark{
		{"C: ExtendedRequest StartTLS", "1.3.6.1.4.1.1466.20037, the first message"},
		{"S: ExtendedResponse: success", "the go-ahead; every other result refuses"},
	},
	Note: "Inside TLS the server is silent: what it told of itself before no longer counts. " + ldapNote +
		" The global catalogue of Active Directory is the same on port 3268, and 3269 in TLS from the first byte.",
}

var ldaps = &Protocol{
	Name:    "ldaps",
	Family:  Directory,
	Title:   "LDAP in TLS from the first byte",
	Port:    636,
	Specs:   []string{"RFC 4511"},
	Servers: []string{"OpenLDAP"},
	Sibling: "ldap",
	Note:    "The client speaks first. " + ldapNote,
}

var _ = register(ldap, ldaps)

const ldapNote = "What follows are messages in BER, not lines; what is not answered when the client unbinds never will be."

// Names of extended operations (RFC 4511, 4.4.1 and 4.14).
const (
	ldapStartTLS      = "1.3.6.1.4.1.1466.20037"
	ldapDisconnection = "1.3.6.1.4.1.1466.20036"
)

// ldapMaxMessage is how long a message may be, in bytes.
const ldapMaxMessage = 16 << 10

// ldapResults names the results that a server may answer with (RFC 4511, 4.1.9). Those
// that only other operations have are left out.
func ldapResults() map[int64]string {
	return map[int64]string{
		0:  "success",
		1:  "operationsError",
		2:  "protocolError",
		3:  "timeLimitExceeded",
		7:  "authMethodNotSupported",
		8:  "strongerAuthRequired",
		10: "referral",
		11: "adminLimitExceeded",
		12: "unavailableCriticalExtension",
		13: "confidentialityRequired",
		48: "inappropriateAuthentication",
		50: "insufficientAccessRights",
		51: "busy",
		52: "unavailable",
		53: "unwillingToPerform",
		80: "other",
	}
}

func upgradeLDAP(c *Conn, o *Options) error {
	c.Step(Upgrade)
	request := "\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + ldapStartTLS
	if err := c.WritePacket("ExtendedRequest StartTLS", []byte(request)); err != nil {
		return err
	}
	message, err := readLDAP(c)
	if err != nil {
		return err
	}
	answer, ok := parseLDAP(message)
	switch {
	case !ok:
		return c.unexpected()
	case answer.id == 0 && answer.name == ldapDisconnection:
		c.Describe("Notice of Disconnection: " + answer.String())
		return fmt.Errorf("%w, and disconnects", Refused(answer.String()))
	case answer.id != 1:
		return fmt.Errorf("%w: the answer to message %d, not to 1", c.unexpected(), answer.id)
	case answer.name != "" && answer.name != ldapStartTLS:
		return fmt.Errorf("%w: the answer to another operation", c.unexpected())
	}
	c.Describe("ExtendedResponse: " + answer.String())
	if answer.code == 0 {
		return nil
	}
	return ldapHint(answer, o)
}

// ldapHint is the error for a result that refuses, with what there is to do.
func ldapHint(r ldapResponse, o *Options) error {
	refused := Refused(r.String())
	switch r.code {
	case 2:
		return Hinted(refused, "the server knows no StartTLS, or has no certificate; TLS from the first byte has a port of its own, 636: tlsup "+
			targetURL("ldaps", o.Host))
	case 52:
		return Hinted(refused, "the server knows StartTLS and can't do it now: look for its certificate")
	case 10:
		for _, uri := range r.referral {
			u, err := url.Parse(uri)
			if err == nil && (u.Scheme == "ldap" || u.Scheme == "ldaps") && checkDomain(u.Host) == nil {
				return Hinted(refused, "the server sends us elsewhere: tlsup "+targetURL(u.Scheme, u.Host))
			}
		}
	}
	return refused
}

// readLDAP reads a message whole. The library that decodes it is given no more bytes than
// came, since it reads as far as lengths go.
func readLDAP(c *Conn) ([]byte, error) {
	if err := c.Count(); err != nil {
		return nil, err
	}
	header := make([]byte, 2)
	for i := range header {
		var err error
		if header[i], err = c.ReadByte(); err != nil {
			return nil, err
		}
		if i == 0 && header[0] != 0x30 {
			return nil, c.unexpected()
		}
	}
	// The long form has the number of the length's bytes in place of a length, however short
	// that is (X.690, 8.1.3.5). The indefinite form is not allowed (RFC 4511, 5.1).
	length := uint32(header[1])
	if more := length &^ 0x80; more != length {
		if more == 0 || more > 4 {
			return nil, c.unexpected()
		}
		length = 0
		for range more {
			b, err := c.ReadByte()
			if err != nil {
				return nil, err
			}
			header, length = append(header, b), length<<8|uint32(b)
		}
	}
	if length > ldapMaxMessage {
		return nil, fmt.Errorf("%w: a message of %d bytes", ErrTooLong, length)
	}
	message := make([]byte, len(header)+int(length))
	_, err := io.ReadFull(c, message[copy(message, header):])
	return message, err
}

// ldapResponse is an ExtendedResponse (RFC 4511, 4.1.9 and 4.12).
type ldapResponse struct {
	id       int64
	code     int64
	text     string   // for a person; "" for none
	referral []string // URIs
	name     string   // of the operation; "" if left out
}

// String gives the result's name and number, and what the server says of it.
func (r ldapResponse) String() string {
	s, known := ldapResults()[r.code]
	switch {
	case !known:
		s = fmt.Sprintf("result %d", r.code)
	case r.code != 0:
		s = fmt.Sprintf("%s (%d)", s, r.code)
	}
	for _, said := range append([]string{r.text}, r.referral...) {
		if said != "" {
			s += ": " + said
		}
	}
	return s
}

// parseLDAP decodes a message if it is an ExtendedResponse.
func parseLDAP(message []byte) (r ldapResponse, ok bool) {
	envelope, err := ber.DecodePacketErr(message)
	if err != nil || !ldapIs(envelope, ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence) || len(envelope.Children) < 2 {
		return r, false
	}
	id, response := envelope.Children[0], envelope.Children[1]
	if !ldapIs(response, ber.ClassApplication, ber.TypeConstructed, 24) || len(response.Children) < 3 {
		return r, false
	}
	code, matched, text := response.Children[0], response.Children[1], response.Children[2]
	if !ldapInteger(id, ber.TagInteger, &r.id) || !ldapInteger(code, ber.TagEnumerated, &r.code) ||
		!ldapIs(matched, ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString) ||
		!ldapIs(text, ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString) {
		return r, false
	}
	r.text = strings.TrimRight(text.Data.String(), "\x00\r\n") // Active Directory's ends in a zero byte
	for _, field := range response.Children[3:] {
		switch {
		case ldapIs(field, ber.ClassContext, ber.TypeConstructed, 3):
			for _, uri := range field.Children {
				r.referral = append(r.referral, uri.Data.String())
			}
		case ldapIs(field, ber.ClassContext, ber.TypePrimitive, 10):
			r.name = field.Data.String()
		}
	}
	return r, true
}

// ldapIs reports whether an element has that identifier.
func ldapIs(p *ber.Packet, class ber.Class, kind ber.Type, tag ber.Tag) bool {
	return p.ClassType == class && p.TagType == kind && p.Tag == tag
}

// ldapInteger gives n the value of an INTEGER or ENUMERATED. The library takes one without
// bytes, or with more than it can hold, for 0, which would be success.
func ldapInteger(p *ber.Packet, tag ber.Tag, n *int64) bool {
	value, ok := p.Value.(int64)
	*n = value
	return ok && ldapIs(p, ber.ClassUniversal, ber.TypePrimitive, tag) && 1 <= len(p.ByteValue) && len(p.ByteValue) <= 4
}
