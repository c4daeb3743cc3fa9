package testserver

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Identifiers of what an LDAP message holds (RFC 4511, appendix B).
const (
	ldapBind             = 0x60
	ldapBindResponse     = 0x61
	ldapUnbind           = 0x42
	ldapSearch           = 0x63
	ldapSearchEntry      = 0x64
	ldapSearchDone       = 0x65
	ldapExtended         = 0x77
	ldapExtendedResponse = 0x78
)

// Object identifiers of extended operations (RFC 4511, RFC 4532).
const (
	ldapOIDStartTLS   = "1.3.6.1.4.1.1466.20037"
	ldapOIDDisconnect = "1.3.6.1.4.1.1466.20036"
	ldapOIDWhoAmI     = "1.3.6.1.4.1.4203.1.11.3"
)

// ldapUser is the name that User has in the directory.
const ldapUser = "uid=" + User + ",dc=example,dc=org"

// ldapMax is how long a message may be, in bytes.
const ldapMax = 10000

func ldapServers(servers map[string]protocol) {
	// The root of the directory: base object, never an alias, no limits, any object.
	root := ber(4, "") + ber(0x0a, "\x00") + ber(0x0a, "\x00") + ber(2, "\x00") + ber(2, "\x00") + ber(1, "\x00") +
		ber(0x87, "objectClass") + ber(0x30, "")
	inside := protocol{
		session: func(c *conn) error { return ldapLoop(c, true) },
		talk: []string{
			ldapMessage("\x02", ldapBind, ber(2, "\x03"), ber(4, ldapUser), ber(0x80, Password)),
			ldapMessage("\x03", ldapSearch, root),
			ldapMessage("\x04", ldapUnbind),
		},
		packets: &Packets{Split: ldapSplit, Name: ldapName},
	}
	servers["ldaps"] = inside
	inside.upgrade = func(c *conn) error { return ldapLoop(c, false) }
	servers["ldap"] = inside
}

// ber returns an element of fewer than 65,536 bytes.
func ber(identifier byte, content ...string) string {
	all := strings.Join(content, "")
	switch n := len(all); {
	case n < 0x80:
		return string([]byte{identifier, byte(n)}) + all
	case n < 0x100:
		return string([]byte{identifier, 0x81, byte(n)}) + all
	default:
		return string([]byte{identifier, 0x82, byte(n >> 8), byte(n)}) + all
	}
}

// ldapMessage returns a message with the bytes of its ID.
func ldapMessage(id string, identifier byte, content ...string) string {
	return ber(0x30, ber(2, id), ber(identifier, content...))
}

// ldapResult returns the fields that every response begins with.
func ldapResult(code byte, text string) string {
	return ber(0x0a, string([]byte{code})) + ber(4, "") + ber(4, text)
}

// berLength reads the length behind an identifier, in its definite forms.
func berLength(next func() (byte, error)) (int, error) {
	first, err := next()
	if err != nil || first < 0x80 {
		return int(first), err
	}
	if first == 0x80 || first > 0x84 {
		return 0, errors.New("a length in a form that has no place here")
	}
	length := 0
	for range first - 0x80 {
		b, err := next()
		if err != nil {
			return 0, err
		}
		if length = length<<8 | int(b); length > ldapMax {
			return 0, errors.New("an element that is too long")
		}
	}
	return length, nil
}

// readLDAP reads a message and returns the bytes of its ID, and what it holds.
func readLDAP(c *conn) (id string, op asn1.RawValue, err error) {
	if b, err := c.r.ReadByte(); err != nil {
		return "", op, err
	} else if b != 0x30 {
		return "", op, errors.New("not a message")
	}
	length, err := berLength(c.r.ReadByte)
	if err != nil {
		return "", op, err
	}
	content := make([]byte, length)
	if _, err := io.ReadFull(c.r, content); err != nil {
		return "", op, err
	}
	var number asn1.RawValue
	rest, err := asn1.Unmarshal(content, &number)
	if err == nil {
		_, err = asn1.Unmarshal(rest, &op)
	}
	if err == nil && (number.FullBytes[0] != 2 || len(number.Bytes) == 0) {
		err = errors.New("a message without an ID")
	}
	return string(number.Bytes), op, err
}

// ldapFields returns the elements that an operation consists of.
func ldapFields(op asn1.RawValue) ([]asn1.RawValue, error) {
	var fields []asn1.RawValue
	for rest := op.Bytes; len(rest) > 0; {
		var field asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &field); err != nil {
			return nil, err
		}
		fields = append(fields, field)
	}
	return fields, nil
}

// ldapLoop answers operations in the clear until StartTLS, or inside TLS until the client
// unbinds. What it can't read ends the connection with a notice (RFC 4511, 4.1.1).
func ldapLoop(c *conn, inTLS bool) error {
	bound := ""
	for {
		id, op, err := readLDAP(c)
		if err == io.EOF {
			return err
		}
		var fields []asn1.RawValue
		if err == nil && op.FullBytes[0] == ldapUnbind {
			if inTLS {
				return nil
			}
			return io.EOF
		}
		if err == nil {
			fields, err = ldapFields(op)
		}
		var answer []string
		done := false
		if err == nil {
			switch op.FullBytes[0] {
			case ldapBind:
				answer, err = ldapBindAnswer(fields, inTLS, &bound)
			case ldapSearch:
				answer, err = ldapSearchAnswer(fields, inTLS)
			case ldapExtended:
				answer, done, err = ldapExtendedAnswer(fields, inTLS, bound)
			default:
				err = fmt.Errorf("no operation that is known: %#x", op.FullBytes[0])
			}
		}
		if err != nil {
			return errors.Join(ldapSend(c, ldapMessage("\x00", ldapExtendedResponse, ldapResult(2, err.Error()), ber(0x8a, ldapOIDDisconnect))), io.EOF)
		}
		for i, a := range answer {
			answer[i] = ber(0x30, ber(2, id), a)
		}
		if err := ldapSend(c, answer...); err != nil || done {
			return err
		}
	}
}

// ldapBindAnswer lets ldapUser in with its password, and anybody without a name and a
// password (RFC 4513, 5.1).
func ldapBindAnswer(fields []asn1.RawValue, inTLS bool, bound *string) ([]string, error) {
	if len(fields) != 3 {
		return nil, errors.New("not a BindRequest")
	}
	version, name, authentication := string(fields[0].Bytes), string(fields[1].Bytes), fields[2]
	code, text := byte(0), ""
	*bound = ""
	switch {
	case version != "\x03":
		code, text = 2, "version 3 is wanted"
	case authentication.FullBytes[0] != 0x80:
		code, text = 7, "only passwords are known"
	case name == "" && len(authentication.Bytes) == 0:
	case !inTLS:
		code, text = 13, "say StartTLS before a password"
	case name == ldapUser && string(authentication.Bytes) == Password:
		*bound = "dn:" + ldapUser
	default:
		code = 49
	}
	return []string{ber(ldapBindResponse, ldapResult(code, text))}, nil
}

// ldapSearchAnswer finds the root of the directory, and nothing else.
func ldapSearchAnswer(fields []asn1.RawValue, inTLS bool) ([]string, error) {
	switch {
	case len(fields) != 8:
		return nil, errors.New("not a SearchRequest")
	case len(fields[0].Bytes) > 0:
		return []string{ber(ldapSearchDone, ldapResult(32, ""))}, nil
	}
	extensions := []string{ber(4, ldapOIDWhoAmI)}
	if !inTLS {
		extensions = append(extensions, ber(4, ldapOIDStartTLS))
	}
	attribute := func(name string, values ...string) string { return ber(0x30, ber(4, name), ber(0x31, values...)) }
	entry := ber(ldapSearchEntry, ber(4, ""), ber(0x30,
		attribute("objectClass", ber(4, "top")), attribute("supportedLDAPVersion", ber(4, "3")), attribute("supportedExtension", extensions...)))
	return []string{entry, ber(ldapSearchDone, ldapResult(0, ""))}, nil
}

// ldapExtendedAnswer answers StartTLS, with which it is done, and Who Am I?
func ldapExtendedAnswer(fields []asn1.RawValue, inTLS bool, bound string) (answer []string, done bool, err error) {
	if len(fields) == 0 || fields[0].FullBytes[0] != 0x80 {
		return nil, false, errors.New("not an ExtendedRequest")
	}
	switch string(fields[0].Bytes) {
	case ldapOIDStartTLS:
		switch {
		case len(fields) > 1: // RFC 4511, 4.14.1
			return []string{ber(ldapExtendedResponse, ldapResult(2, "StartTLS has no value"))}, false, nil
		case inTLS:
			return []string{ber(ldapExtendedResponse, ldapResult(1, "TLS already started"))}, false, nil
		}
		return []string{ber(ldapExtendedResponse, ldapResult(0, ""), ber(0x8a, ldapOIDStartTLS))}, true, nil
	case ldapOIDWhoAmI:
		return []string{ber(ldapExtendedResponse, ldapResult(0, ""), ber(0x8b, bound))}, false, nil
	}
	return []string{ber(ldapExtendedResponse, ldapResult(2, "unsupported extended operation"))}, false, nil
}

func ldapSend(c *conn, messages ...string) error {
	_, err := io.WriteString(c.Conn, strings.Join(messages, ""))
	return err
}

// ldapSplit cuts messages.
func ldapSplit(data []byte, atEOF bool) (int, []byte, error) {
	at := 1
	length, err := berLength(func() (byte, error) {
		if at >= len(data) {
			return 0, io.EOF
		}
		at++
		return data[at-1], nil
	})
	switch {
	case err == nil && at+length <= len(data):
		return at + length, data[:at+length], nil
	case atEOF && len(data) > 0:
		return len(data), data, nil
	case err != nil && err != io.EOF:
		return 0, nil, err
	}
	return 0, nil, nil
}

// ldapName names a message of either side.
func ldapName(m []byte) string {
	var message struct {
		ID int
		Op asn1.RawValue
	}
	if _, err := asn1.Unmarshal(m, &message); err != nil {
		return string(m)
	}
	var fields [3]asn1.RawValue
	all, err := ldapFields(message.Op)
	if err != nil {
		all = nil // of an operation that is not a sequence
	}
	copy(fields[:], all)
	result := func() string {
		said := map[string]string{"\x00": "success", "\x01": "operationsError", "\x02": "protocolError", "\x0d": "confidentialityRequired", "\x31": "invalidCredentials"}
		return strings.TrimSuffix(fmt.Sprintf("%s: %s", said[string(fields[0].Bytes)], fields[2].Bytes), ": ")
	}
	switch message.Op.FullBytes[0] {
	case ldapBind:
		return "BindRequest: " + string(fields[1].Bytes)
	case ldapBindResponse:
		return "BindResponse: " + result()
	case ldapUnbind:
		return "UnbindRequest"
	case ldapSearch:
		return fmt.Sprintf("SearchRequest: base %q", fields[0].Bytes)
	case ldapSearchEntry:
		return fmt.Sprintf("SearchResultEntry: %q, %s", fields[0].Bytes, ldapAttributes(fields[1]))
	case ldapSearchDone:
		return "SearchResultDone: " + result()
	case ldapExtended:
		return "ExtendedRequest: " + string(fields[0].Bytes)
	case ldapExtendedResponse:
		return "ExtendedResponse: " + result()
	}
	return string(m)
}

// ldapAttributes lists attributes with their values.
func ldapAttributes(list asn1.RawValue) string {
	var attributes []struct {
		Name   []byte
		Values []asn1.RawValue `asn1:"set"`
	}
	if _, err := asn1.Unmarshal(list.FullBytes, &attributes); err != nil {
		return string(list.Bytes)
	}
	var said []string
	for _, a := range attributes {
		for _, v := range a.Values {
			said = append(said, fmt.Sprintf("%s %s", a.Name, v.Bytes))
		}
	}
	return strings.Join(said, ", ")
}
