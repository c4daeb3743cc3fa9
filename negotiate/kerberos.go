package negotiate

import (
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Kerberos, STARTTLS (RFC 6251, 2, an extension of the transport as RFC 5021, 3, has them): where
// the length of a message is due, its upper bit says that the others are extensions.
//
//	C: 80000001          an extension: bit 0, STARTTLS
//	S: 00000000
//	   <TLS>
//
// A server that knows other extensions answers with theirs, in the same form; one that knows
// none with an error (RFC 4120, 5.9.1), or closes:
//
//	S: 0000005e          94 bytes, which Shishi leaves out
//	   7e 5c             KRB-ERROR
//	      30 5a
//	         …
//	         a6 03 02 01 3d    error-code KRB_ERR_FIELD_TOOLONG
//	         …
//	         ab … 1b …         e-text, if there is one
//
// Inside TLS the client asks for tickets, with a length before each message.
var kerberos = &Protocol{
	Name:    "kerberos",
	Aliases: []string{"krb5"},
	Family:  Directory,
	Title:   "tickets for those who log in (Kerberos)",
	Port:    88,
	Specs:   []string{"RFC 6251", "RFC 5021"},
	Servers: []string{"Shishi", "MIT Kerberos"},
	Upgrade: upgradeKerberos,
	Remarks: []Remark{
		{"C: extension STARTTLS", "80000001 in place of a message's length: bit 0 of the extensions"},
		{"S: extension accepted", "the go-ahead, four bytes of zero; a length, and an error behind it, refuses"},
	},
	Note: "Inside TLS the server is silent: the client asks for tickets, with a length before each message. What follows are packets, not lines. " +
		"Shishi's server does it; MIT's does not, and no other is known to. " +
		"The certificate is checked for the name of the host; RFC 6251 has the realm in it too (id-krb5starttls-san), which is not looked at.",
}

var _ = register(kerberos)

const (
	kerberosExtension = 1 << 31 // in place of a length
	kerberosSTARTTLS  = 1 << 0  // one of the extensions
	kerberosMaxError  = 16 << 10
	kerberosErrorTag  = 0x7e // APPLICATION 30, constructed
	kerberosTooLong   = 61
)

// kerberosErrors names the errors that may come in place of an answer (RFC 4120, 7.5.9).
func kerberosErrors() map[int]string {
	return map[int]string{
		12: "KDC_ERR_POLICY",
		29: "KDC_ERR_SVC_UNAVAILABLE",
		39: "KRB_AP_ERR_BADVERSION",
		40: "KRB_AP_ERR_MSG_TYPE",
		60: "KRB_ERR_GENERIC",
		61: "KRB_ERR_FIELD_TOOLONG",
		68: "KDC_ERR_WRONG_REALM",
	}
}

// kerberosHint is for servers that don't know the extension.
const kerberosHint = "this server has no STARTTLS: among those of Kerberos, Shishi's has it, with --x509certfile"

func upgradeKerberos(c *Conn, _ *Options) error {
	c.Step(Upgrade)
	request := binary.BigEndian.AppendUint32(nil, kerberosExtension|kerberosSTARTTLS)
	if err := c.WritePacket("extension STARTTLS", request); err != nil {
		return err
	}
	if err := c.Count(); err != nil {
		return err
	}
	head := make([]byte, 4)
	_, err := io.ReadFull(c, head)
	if err == io.EOF {
		return Hinted(err, kerberosHint)
	} else if err != nil {
		return err
	}
	answer := binary.BigEndian.Uint32(head)
	switch {
	case answer == 0:
		c.Describe("extension accepted")
		return nil
	case answer&(kerberosExtension|kerberosSTARTTLS) == kerberosExtension:
		c.Describe(fmt.Sprintf("extensions %08x", answer&^kerberosExtension))
		return Hinted(NotOffered("STARTTLS"), kerberosHint)
	}
	message, err := readKerberosError(c, head)
	if err != nil {
		return err
	}
	code, text, ok := parseKerberosError(message)
	if !ok {
		return c.unexpected()
	}
	said := kerberosErrors()[code]
	if said == "" {
		said = "error"
	}
	if said = fmt.Sprintf("%s (%d)", said, code); text != "" {
		said += ": " + text
	}
	c.Describe("KRB-ERROR: " + said)
	if code == kerberosTooLong {
		return Hinted(Refused(said), kerberosHint)
	}
	return Refused(said)
}

// readKerberosError reads a message that begins with head: its length, or, where that was left
// out, its own first bytes.
func readKerberosError(c *Conn, head []byte) ([]byte, error) {
	var message []byte
	length := int64(binary.BigEndian.Uint32(head))
	if head[0] == kerberosErrorTag {
		// The long form of a length has the number of its bytes in place of it (X.690, 8.1.3.5).
		message, length = head, int64(head[1])-2
		switch head[1] {
		case 0x81:
			length = int64(head[2]) - 1
		case 0x82:
			length = int64(head[2])<<8 + int64(head[3])
		}
		if head[1] == 0x80 || head[1] > 0x82 || length < 0 {
			return nil, c.unexpected()
		}
	}
	switch {
	case length > MaxBytes:
		return nil, c.unexpected() // four bytes of something else
	case length > kerberosMaxError:
		return nil, fmt.Errorf("%w: a message of %d bytes", ErrTooLong, length)
	}
	rest := make([]byte, length)
	_, err := io.ReadFull(c, rest)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return append(message, rest...), err
}

// parseKerberosError takes an error apart (RFC 4120, 5.9.1): its code, and words to it.
func parseKerberosError(message []byte) (code int, text string, ok bool) {
	var outer, sequence asn1.RawValue
	rest, err := asn1.Unmarshal(message, &outer)
	if err != nil || len(rest) > 0 || outer.FullBytes[0] != kerberosErrorTag {
		return 0, "", false
	}
	rest, err = asn1.Unmarshal(outer.Bytes, &sequence)
	if err != nil || len(rest) > 0 || sequence.Class != asn1.ClassUniversal || sequence.Tag != asn1.TagSequence {
		return 0, "", false
	}
	version, kind := 0, 0
	for rest = sequence.Bytes; len(rest) > 0; {
		var field, content asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &field); err != nil || field.Class != asn1.ClassContextSpecific {
			return 0, "", false
		}
		switch field.Tag {
		case 0:
			_, err = asn1.Unmarshal(field.Bytes, &version)
		case 1:
			_, err = asn1.Unmarshal(field.Bytes, &kind)
		case 6:
			_, err = asn1.Unmarshal(field.Bytes, &code)
		case 11:
			_, err = asn1.Unmarshal(field.Bytes, &content)
			text = string(content.Bytes)
		}
		if err != nil {
			return 0, "", false
		}
	}
	return code, text, version == 5 && kind == 30 && code > 0
}
