package testserver

import (
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
)

// Namespaces of RFC 6120.
const (
	xmppStreamNS = "http://etherx.jabber.org/streams"
	xmppTLSNS    = "urn:ietf:params:xml:ns:xmpp-tls"
	xmppSASLNS   = "urn:ietf:params:xml:ns:xmpp-sasl"
)

func xmppServers(servers map[string]protocol) {
	const starttls = "<starttls xmlns='" + xmppTLSNS + "'><required/></starttls>"
	const plain = "<mechanisms xmlns='" + xmppSASLNS + "'><mechanism>PLAIN</mechanism></mechanisms>"
	const external = "<mechanisms xmlns='" + xmppSASLNS + "'><mechanism>EXTERNAL</mechanism></mechanisms>" +
		"<dialback xmlns='urn:xmpp:features:dialback'/>"

	for _, kind := range []struct{ name, implicit, content, from, features string }{
		{"xmpp", "xmpps", "jabber:client", "", plain},
		{"xmpp-server", "xmpps-server", "jabber:server", " from='client.example.org'", external},
	} {
		upgrade := func(c *conn) error { return xmppStream(c, kind.content, starttls, xmppStartTLS) }
		inside := protocol{
			session: func(c *conn) error { return xmppStream(c, kind.content, kind.features, xmppSession) },
			talk: []string{
				"<?xml version='1.0'?><stream:stream" + kind.from + " to='" + Host + "' xmlns='" + kind.content +
					"' xmlns:stream='" + xmppStreamNS + "' version='1.0'>",
				"</stream:stream>",
			},
		}
		servers[kind.implicit] = inside
		inside.upgrade = upgrade
		servers[kind.name] = inside
	}
}

// xmppStream answers the client's stream header with one of its own and features, and
// lets answer see to each element that the client sends in it. It returns nil when
// answer says that it is done, io.EOF when the stream was ended.
func xmppStream(c *conn, content, features string, answer func(*conn, xml.StartElement) (done bool, err error)) error {
	opened := false
	open := func(from string) error {
		opened = true
		return xmppSend(c, fmt.Sprintf("<?xml version='1.0'?><stream:stream from='%s' id='%s' version='1.0' xml:lang='en' xmlns='%s' xmlns:stream='%s'>",
			from, rand.Text(), content, xmppStreamNS))
	}
	// A stream is opened for an error too (RFC 6120, 4.9.1.2).
	refuse := func(condition string) error {
		if !opened {
			if err := open(Host); err != nil {
				return err
			}
		}
		return xmppError(c, condition)
	}
	// The decoder reads no byte ahead, since c.r is an io.ByteReader.
	d := xml.NewDecoder(c.r)
	header, err := xmppNextElement(c, d, refuse)
	if err != nil {
		return err
	}
	attribute := func(name string) string {
		i := slices.IndexFunc(header.Attr, func(a xml.Attr) bool { return a.Name == xml.Name{Local: name} })
		if i < 0 {
			return ""
		}
		return header.Attr[i].Value
	}
	to := attribute("to")
	known := to == Host || to == "example.org"
	from := Host
	if known {
		from = to
	}
	if err := open(from); err != nil {
		return err
	}
	switch {
	case header.Name != xml.Name{Space: xmppStreamNS, Local: "stream"} || attribute("xmlns") != content:
		return refuse("invalid-namespace")
	case attribute("version") != "1.0":
		return refuse("unsupported-version")
	case !known:
		return refuse("host-unknown")
	}
	if err := xmppSend(c, "<stream:features>"+features+"</stream:features>"); err != nil {
		return err
	}
	for {
		element, err := xmppNextElement(c, d, refuse)
		if err != nil {
			return err
		}
		if err := d.Skip(); err != nil {
			return xmppError(c, "not-well-formed")
		}
		if done, err := answer(c, element); done || err != nil {
			return err
		}
	}
}

// xmppNextElement reads up to the start of the client's next element: its stream, or one
// directly inside. The end of the stream is answered with the same.
func xmppNextElement(c *conn, d *xml.Decoder, refuse func(string) error) (xml.StartElement, error) {
	for {
		token, err := d.Token()
		if err != nil {
			if _, ok := err.(*xml.SyntaxError); ok {
				err = refuse("not-well-formed")
			}
			return xml.StartElement{}, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			return t, nil
		case xml.EndElement:
			if err := xmppSend(c, "</stream:stream>"); err != nil {
				return xml.StartElement{}, err
			}
			return xml.StartElement{}, io.EOF
		case xml.Comment, xml.Directive: // RFC 6120, 11.1
			return xml.StartElement{}, refuse("restricted-xml")
		}
	}
}

// xmppStartTLS gives the go-ahead to a client that asks for TLS. There is nothing else
// to ask for in the clear (RFC 6120, 5.3.1).
func xmppStartTLS(c *conn, element xml.StartElement) (bool, error) {
	if element.Name != (xml.Name{Space: xmppTLSNS, Local: "starttls"}) {
		return false, xmppError(c, "policy-violation")
	}
	return true, xmppSend(c, "<proceed xmlns='"+xmppTLSNS+"'/>")
}

// xmppSession refuses to let anybody in (RFC 6120, 6.5.10), and whoever goes on
// regardless (4.9.3.12).
func xmppSession(c *conn, element xml.StartElement) (bool, error) {
	if element.Name != (xml.Name{Space: xmppSASLNS, Local: "auth"}) {
		return false, xmppError(c, "not-authorized")
	}
	return false, xmppSend(c, "<failure xmlns='"+xmppSASLNS+"'><not-authorized/></failure>")
}

// xmppError ends the stream with an error (RFC 6120, 4.9).
func xmppError(c *conn, condition string) error {
	if err := xmppSend(c, "<stream:error><"+condition+" xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"); err != nil {
		return err
	}
	return io.EOF
}

// xmppSend sends XML as it stands: white space between elements would count.
func xmppSend(c *conn, text string) error {
	_, err := io.WriteString(c.Conn, text)
	return err
}
