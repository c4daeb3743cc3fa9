package negotiate

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"tlsup/internal/quote"
)

// XMPP, STARTTLS (RFC 6120, 5):
//
//	C: <?xml version='1.0'?><stream:stream to='example.net' xmlns='jabber:client'
//	   xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>
//	S: <?xml version='1.0'?><stream:stream from='example.net' id='x' version='1.0' ...>
//	S: <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>
//	C: <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
//	S: <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
//	   <TLS>
//
// Between servers the namespace is jabber:server, and the stream may say from whom it
// comes. Inside TLS the client opens a new stream.
var xmpp = &Protocol{
	Name:      "xmpp",
	Aliases:   []string{"xmpp-client"},
	Family:    Chat,
	Title:     "chat (Jabber) between client and server",
	Service:   "xmpp-client",
	Port:      5222,
	ALPN:      []string{"xmpp-client"},
	Specs:     []string{"RFC 6120"},
	Servers:   []string{"Prosody"},
	Implicit:  "xmpps",
	Names:     ServiceDomain,
	Recognise: greetsLikeXMPP(xmppClient),
	Upgrade:   upgradeXMPP(xmppClient),
	Remarks:   xmppRemarks,
	Note:      xmppNote,
}

var xmppServerProtocol = &Protocol{
	Name:      "xmpp-server",
	Family:    Chat,
	Title:     "chat (Jabber) between servers",
	Service:   "xmpp-server",
	Port:      5269,
	ALPN:      []string{"xmpp-server"},
	Specs:     []string{"RFC 6120"},
	Servers:   []string{"Prosody"},
	Implicit:  "xmpps-server",
	Names:     ServiceDomain,
	From:      true,
	Recognise: greetsLikeXMPP(xmppServer),
	Upgrade:   upgradeXMPP(xmppServer),
	Remarks:   xmppRemarks,
	Note:      xmppNote,
}

var xmpps = &Protocol{
	Name:    "xmpps",
	Aliases: []string{"xmpps-client"},
	Family:  Chat,
	Title:   "chat (Jabber) in TLS from the first byte",
	Service: "xmpps-client",
	Port:    5223,
	ALPN:    []string{"xmpp-client"},
	Specs:   []string{"XEP-0368"},
	Servers: []string{"Prosody"},
	Sibling: "xmpp",
	Names:   ServiceDomain,
	Note:    "The client begins, with the header of a stream. " + xmppDomainNote,
}

var xmppsServer = &Protocol{
	Name:    "xmpps-server",
	Family:  Chat,
	Title:   "chat (Jabber) between servers in TLS from the first byte",
	Service: "xmpps-server",
	Port:    5270,
	ALPN:    []string{"xmpp-server"},
	Specs:   []string{"XEP-0368"},
	Servers: []string{"Prosody"},
	Sibling: "xmpp-server",
	Names:   ServiceDomain,
	Note:    "The client begins, with the header of a stream. " + xmppDomainNote,
}

var _ = register(xmpp, xmppServerProtocol, xmpps, xmppsServer)

var xmppRemarks = []Remark{
	{"C: <?xml", "to: the domain, --starttls-name, else the target's name; between servers from: --starttls-from"},
	{"S: <?xml", "the stream's header; without version='1.0' the server is too old to upgrade"},
	{"S: <stream:features>", "the offer is starttls, by its namespace; without it there is no session"},
	{"C: <starttls", "nothing may follow it in the clear, on either side"},
	{"S: <proceed", "the go-ahead: the next byte belongs to the TLS handshake"},
}

const (
	xmppNote       = "Inside TLS open a new stream, what the server offered before no longer counts. " + xmppDomainNote
	xmppDomainNote = "The certificate is checked for the domain, not for the host that serves it."
)

// XML namespaces (RFC 6120, 4.8 and 14).
const (
	xmppStreams = "http://etherx.jabber.org/streams"
	xmppErrors  = "urn:ietf:params:xml:ns:xmpp-streams"
	xmppTLS     = "urn:ietf:params:xml:ns:xmpp-tls"
)

// xmlSpace is what XML calls white space.
const xmlSpace = " \t\r\n"

// xmppDepth is how deep elements may be nested in the cleartext phase: features and
// errors need four.
const xmppDepth = 16

// xmppKind is one of the two kinds of streams: the names of the protocol and its sibling,
// and the namespace of what the stream contains (RFC 6120, 4.8.2).
type xmppKind struct{ scheme, implicit, content string }

var (
	xmppClient = xmppKind{"xmpp", "xmpps", "jabber:client"}
	xmppServer = xmppKind{"xmpp-server", "xmpps-server", "jabber:server"}
)

// other returns the other kind.
func (k xmppKind) other() xmppKind {
	if k == xmppClient {
		return xmppServer
	}
	return xmppClient
}

// greetsLikeXMPP returns a function that recognises a stream of that kind, or one that
// does not say what it is for.
func greetsLikeXMPP(kind xmppKind) func([]byte) bool {
	return func(b []byte) bool {
		text := strings.TrimLeft(string(b), xmlSpace)
		return (strings.HasPrefix(text, "<?xml") || strings.HasPrefix(text, "<stream:stream")) &&
			!strings.Contains(text, kind.other().content)
	}
}

// upgradeXMPP returns the upgrade of a stream of that kind.
func upgradeXMPP(kind xmppKind) func(*Conn, *Options) error {
	return func(c *Conn, o *Options) error {
		if _, err := io.WriteString(c, xmppHeader(kind, o)); err != nil {
			return err
		}
		s := newXMPPStream(c, kind, o)
		if err := s.readHeader(); err != nil {
			return err
		}

		c.Step(Capabilities)
		var features struct {
			StartTLS *struct{} `xml:"urn:ietf:params:xml:ns:xmpp-tls starttls"`
		}
		start, err := s.next()
		if err != nil {
			return err
		}
		if start.Name != (xml.Name{Space: xmppStreams, Local: "features"}) {
			return s.unexpected("the stream's features were due")
		}
		if err := s.decode(&features, start); err != nil {
			return err
		}
		if features.StartTLS == nil {
			return NotOffered("STARTTLS")
		}

		c.Step(Upgrade)
		if _, err := io.WriteString(c, "<starttls xmlns='"+xmppTLS+"'/>"); err != nil {
			return err
		}
		return s.readProceed()
	}
}

// xmppHeader returns the header of the client's stream (RFC 6120, 4.7).
func xmppHeader(kind xmppKind, o *Options) string {
	var b strings.Builder
	b.WriteString("<?xml version='1.0'?><stream:stream")
	attribute := func(name, domain string) {
		if domain != "" {
			b.WriteString(" " + name + "='")
			xml.EscapeText(&b, []byte(xmppDomain(domain)))
			b.WriteString("'")
		}
	}
	attribute("from", o.From)
	attribute("to", o.Name)
	fmt.Fprintf(&b, " xmlns='%s' xmlns:stream='%s' version='1.0'>", kind.content, xmppStreams)
	return b.String()
}

// xmppDomain gives a domain the form that it has in an address: an IPv6 address in
// brackets, a name without the dot of the root (RFC 7622, 3.2).
func xmppDomain(domain string) string {
	if strings.Contains(domain, ":") && !strings.HasPrefix(domain, "[") {
		return "[" + domain + "]"
	}
	return strings.TrimSuffix(domain, ".")
}

// xmppStream reads the server's stream: a decoder above, which knows namespaces, takes
// from a decoder below only the tokens that a stream may hold.
type xmppStream struct {
	c    *Conn
	kind xmppKind
	o    *Options

	above, below *xml.Decoder
	err          error   // why reading ended, if the XML is not to blame
	last         [2]byte // the bytes read last
	begun        bool    // something was read
	depth        int     // of open elements, the stream's own included
}

func newXMPPStream(c *Conn, kind xmppKind, o *Options) *xmppStream {
	s := &xmppStream{c: c, kind: kind, o: o}
	s.below = xml.NewDecoder(s)
	s.below.CharsetReader = func(string, io.Reader) (io.Reader, error) {
		return nil, s.fail(s.unexpected("the encoding has to be UTF-8"))
	}
	s.above = xml.NewTokenDecoder(s)
	return s
}

// fail makes err the reason why reading ended: the decoders have words of their own.
func (s *xmppStream) fail(err error) error {
	s.err = err
	return err
}

// Read is there since a decoder wants an io.Reader; it uses ReadByte, and so reads no
// byte ahead.
func (s *xmppStream) Read([]byte) (int, error) { return 0, s.fail(errors.ErrUnsupported) }

// ReadByte gives the decoder below its next byte. It fails at the start of a comment or
// of a document type, since the decoder would first read them whole (RFC 6120, 11.1).
func (s *xmppStream) ReadByte() (byte, error) {
	b, err := s.c.ReadByte()
	if err != nil {
		return 0, s.fail(err)
	}
	if string(s.last[:]) == "<!" && b != '[' {
		return 0, s.fail(s.unexpected("comments and document types have no place in a stream"))
	}
	s.last = [2]byte{s.last[1], b}
	return b, nil
}

// Token gives the decoder above its next token, if a stream may hold it.
func (s *xmppStream) Token() (xml.Token, error) {
	token, err := s.below.RawToken()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case xml.StartElement:
		if err := s.c.Count(); err != nil {
			return nil, s.fail(err)
		}
		if s.depth++; s.depth > xmppDepth {
			return nil, s.fail(fmt.Errorf("%w: elements nested over %d deep", ErrTooLong, xmppDepth))
		}
	case xml.EndElement:
		s.depth--
	case xml.ProcInst:
		if t.Target != "xml" || s.begun {
			return nil, s.fail(s.unexpected("processing instructions have no place in a stream"))
		}
	}
	s.begun = true
	return token, nil
}

// unexpected is the error for XML that is not allowed here.
func (s *xmppStream) unexpected(why string) error {
	return fmt.Errorf("%w: %s", Unexpected(s.said()), why)
}

// said is what was read since the last complete element.
func (s *xmppStream) said() string {
	return strings.Trim(string(s.c.buf[s.c.traced:s.c.at]), xmlSpace)
}

// explain returns the reason for an error of the decoder above.
func (s *xmppStream) explain(err error) error {
	if s.err != nil {
		return s.err
	}
	why := strings.TrimPrefix(err.Error(), "xml: ")
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		why = syntax.Msg
	}
	return s.unexpected(quote.Escape(why)) // it may repeat what the server said
}

// next reads up to the start of the next element at the outermost level, which is the
// stream itself at first. A stream's error is returned as one.
func (s *xmppStream) next() (xml.StartElement, error) {
	for {
		token, err := s.above.Token()
		if err != nil {
			return xml.StartElement{}, s.explain(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if t.Name == (xml.Name{Space: xmppStreams, Local: "error"}) {
				return t, s.readError(t)
			}
			return t, nil
		case xml.EndElement:
			return xml.StartElement{}, fmt.Errorf("%w: it ended the stream", ErrClosed)
		case xml.CharData:
			if strings.Trim(string(t), xmlSpace) != "" {
				return xml.StartElement{}, s.unexpected("text outside of an element")
			}
		}
	}
}

// decode reads the rest of the element that start began.
func (s *xmppStream) decode(v any, start xml.StartElement) error {
	if err := s.above.DecodeElement(v, &start); err != nil {
		return s.explain(err)
	}
	s.c.TraceRead()
	return nil
}

// readHeader reads the header of the server's stream.
func (s *xmppStream) readHeader() error {
	if err := s.expectXML(); err != nil {
		return err
	}
	start, err := s.next()
	if err != nil {
		return err
	}
	if start.Name != (xml.Name{Space: xmppStreams, Local: "stream"}) {
		return s.unexpected("not the header of an XMPP stream")
	}
	content, version := "", ""
	for _, a := range start.Attr {
		switch a.Name {
		case xml.Name{Local: "xmlns"}:
			content = a.Value
		case xml.Name{Local: "version"}:
			version = a.Value
		}
	}
	// A header may leave the content's namespace to its elements (RFC 6120, 4.8.2).
	if content != "" && content != xmppStreams && content != s.kind.content {
		err := fmt.Errorf("%w: the stream is for %s, not %s", ErrUnexpected, quote.Short(content), s.kind.content)
		if other := s.kind.other(); content == other.content {
			return Hinted(err, "the port speaks "+other.content+": "+s.command(other.scheme, s.o.Host))
		}
		return err
	}
	// No version means 0.9, and no features follow (RFC 6120, 4.7.5).
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < 1 {
		has := "no version"
		if version != "" {
			has = "version " + quote.Short(version)
		}
		return fmt.Errorf("%w: its stream has %s, as before XMPP 1.0", NotOffered("STARTTLS"), has)
	}
	s.c.TraceRead()
	return nil
}

// expectXML returns an error unless the server's first words are XML: of a greeting
// without any "<" the decoder would wait for the end.
func (s *xmppStream) expectXML() error {
	for {
		b, err := s.c.ReadByte()
		switch {
		case err != nil && s.c.received == 0 && !errors.Is(err, os.ErrDeadlineExceeded):
			// Prosody resets the connection where TLS is due, without an alert.
			return Hinted(err, "the port may be for TLS from the first byte: "+s.command(s.kind.implicit, s.o.Host))
		case err != nil:
			return err
		case strings.IndexByte(xmlSpace, b) >= 0:
			continue
		case b != '<':
			return Unexpected(s.c.unread())
		}
		s.c.at-- // the decoder's
		return nil
	}
}

// readProceed reads the go-ahead: an empty element of that namespace and nothing else.
func (s *xmppStream) readProceed() error {
	start, err := s.next()
	if err != nil {
		return err
	}
	switch start.Name {
	case xml.Name{Space: xmppTLS, Local: "failure"}:
		return Refused(s.said())
	case xml.Name{Space: xmppTLS, Local: "proceed"}:
	default:
		return s.unexpected("neither <proceed/> nor <failure/>")
	}
	token, err := s.above.Token()
	if err != nil {
		return s.explain(err)
	}
	if _, ok := token.(xml.EndElement); !ok {
		return s.unexpected("<proceed/> has to be empty")
	}
	s.c.TraceRead()
	return nil
}

// readError reads a stream's error (RFC 6120, 4.9) and returns it as one.
func (s *xmppStream) readError(start xml.StartElement) error {
	var e struct {
		Text       string `xml:"urn:ietf:params:xml:ns:xmpp-streams text"`
		Bare       string `xml:",chardata"` // servers before XMPP 1.0 have nothing else
		Conditions []struct {
			XMLName xml.Name
			Value   string `xml:",chardata"`
		} `xml:",any"`
	}
	if err := s.decode(&e, start); err != nil {
		return err
	}
	condition, value := "", ""
	for _, c := range e.Conditions {
		if c.XMLName.Space == xmppErrors {
			condition, value = c.XMLName.Local, strings.TrimSpace(c.Value)
			break
		}
	}
	var said []string
	for _, part := range []string{condition, value, strings.TrimSpace(e.Text), strings.TrimSpace(e.Bare)} {
		if part != "" {
			said = append(said, part)
		}
	}
	return Hinted(Refused(strings.Join(said, ": ")), s.hint(condition, value))
}

// hint says what to do about a stream's error, "" where nothing is known.
func (s *xmppStream) hint(condition, value string) string {
	switch condition {
	case "host-unknown", "host-gone":
		return fmt.Sprintf("the server does not serve %s: name its domain with --starttls-name DOMAIN", s.o.Name)
	case "see-other-host":
		if checkDomain(value) == nil {
			return "the server sends us elsewhere: " + s.command(s.kind.scheme, value)
		}
	case "improper-addressing", "invalid-from":
		if s.kind == xmppServer && s.o.From == "" {
			return "the server wants to know who calls: name our own domain with --starttls-from DOMAIN"
		}
	case "invalid-namespace", "bad-namespace-prefix":
		other := s.kind.other()
		return "the port may speak " + other.content + ": " + s.command(other.scheme, s.o.Host)
	}
	return ""
}

// command is a command line that asks host for the same domain, on the same port if it is
// the host that we speak to.
func (s *xmppStream) command(scheme, host string) string {
	name, port := "", ""
	if host != s.o.Name {
		name = "--starttls-name " + s.o.Name + " "
	}
	if host == s.o.Host && s.o.Port != 0 {
		port = ":" + strconv.Itoa(s.o.Port)
	}
	if strings.Count(host, ":") > 1 && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	return "tlsup " + name + scheme + "://" + host + port
}
