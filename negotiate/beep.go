package negotiate

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"tlsup/internal/quote"
)

// BEEP, the TLS transport security profile (RFC 3080, 3.1; frames are 2.2's, SEQ is that of RFC
// 3081, 3.1.3):
//
//	S: RPY 0 0 . 0 110                  a reply, on channel 0, to message 0, whole, from byte 0, of 110 bytes
//	S: Content-Type: application/beep+xml
//	S:
//	S: <greeting>
//	S:    <profile uri='http://iana.org/beep/TLS' />
//	S: </greeting>
//	S: END
//	C: RPY 0 0 . 0 52
//	C: Content-Type: application/beep+xml
//	C:
//	C: <greeting />
//	C: END
//	C: MSG 0 1 . 52 171                 message 1, from byte 52
//	C: Content-Type: application/beep+xml
//	C:
//	C: <start number='1' serverName='beep.example.org'>
//	C: <profile uri='http://iana.org/beep/TLS'><![CDATA[<ready />]]></profile>
//	C: </start>
//	C: END
//	S: RPY 0 1 . 110 121                the reply to message 1
//	S: Content-Type: application/beep+xml
//	S:
//	S: <profile uri='http://iana.org/beep/TLS'>
//	S:     <![CDATA[<proceed />]]>
//	S: </profile>
//	S: END
//	   <TLS>
//
// A reply may be an ERR, with <error/>, and may come in frames, all but the last with * in place
// of the dot. <error/> in place of <proceed /> refuses as well: the channel is open, and nothing else.
// Inside TLS both sides greet again.
var beep = &Protocol{
	Name:      "beep",
	Family:    General,
	Title:     "protocols that share a connection (BEEP)",
	Specs:     []string{"RFC 3080", "RFC 3081"},
	Lines:     true,
	Names:     ServiceDomain,
	Greets:    true,
	Recognise: greetsLikeBEEP,
	Upgrade:   upgradeBEEP,
	Remarks: []Remark{
		{"S: RPY 0 0", "the server's greeting; ERR in its place refuses"},
		{"S: <greeting", "the profiles that the server has; without that of TLS there is no session"},
		{"C: RPY 0 0", "our greeting, without a profile, so that the server has nothing to ask of us"},
		{"C: <start", "serverName: the target's name, or --starttls-name, for which the certificate is checked"},
		{"S: RPY 0 1", "the go-ahead if it contains <proceed />, up to END; <error/> refuses"},
	},
	Note: "Inside TLS both sides greet again, the server by itself, and numbers begin anew; what the server offered before no longer counts. " +
		"BEEP has no port of its own, each protocol above it has: 601 for syslog (RFC 3195), 602 for XML-RPC, 603 for IDXP, 605 for SOAP.",
}

var _ = register(beep)

const (
	beepTLS  = "http://iana.org/beep/TLS"
	beepType = "Content-Type: application/beep+xml"

	beepWindow = 4096     // bytes that the server may send ahead of us (RFC 3081, 3.1.1)
	beepMax    = 32 << 10 // of messages, in bytes
)

// beepCodes names reply codes (RFC 3080, 8).
func beepCodes() map[string]string {
	return map[string]string{
		"421": "service not available",
		"450": "requested action not taken",
		"451": "requested action aborted",
		"454": "temporary authentication failure",
		"500": "general syntax error",
		"501": "syntax error in parameters",
		"504": "parameter not implemented",
		"530": "authentication required",
		"534": "authentication mechanism insufficient",
		"535": "authentication failure",
		"537": "action not authorized for user",
		"538": "authentication mechanism requires encryption",
		"550": "requested action not taken",
		"553": "parameter invalid",
		"554": "transaction failed",
	}
}

var (
	// beepGreeting matches the first line of a server's greeting, or of an error in its place.
	beepGreeting = lazy(`^(RPY|ERR) 0 0 [.*] 0 [0-9]{1,10}\r?\n`)
	// beepReply matches the header of a reply on channel 0 (RFC 3080, 2.2.1): the message's
	// number, whether there is more, the number of the first byte, and how many there are.
	beepReply = lazy(`^(RPY|ERR) 0 ([0-9]{1,10}) ([.*]) ([0-9]{1,10}) ([0-9]{1,10})$`)
	// beepSEQ matches a permission to send more (RFC 3081, 3.1.3).
	beepSEQ = lazy(`^SEQ 0 [0-9]{1,10} [0-9]{1,10}$`)
)

func greetsLikeBEEP(b []byte) bool { return beepGreeting.get().Match(b) }

func upgradeBEEP(c *Conn, o *Options) error {
	host, err := httpHost(o)
	if err != nil {
		return err
	}
	s := &beepStream{c: c}
	greeting, refused, err := s.read(0)
	switch {
	case err != nil:
		return err
	case refused:
		return greeting.refusal()
	case !greeting.is("greeting"):
		return s.unexpected("a greeting was due")
	}

	c.Step(Capabilities)
	if !greeting.offers(beepTLS) {
		return NotOffered("the profile " + beepTLS)
	}

	c.Step(Upgrade)
	if err := s.start(o, host); err != nil {
		return err
	}
	reply, refused, err := s.read(1)
	switch {
	case err != nil:
		return err
	case refused:
		return Hinted(reply.refusal(), reply.hint(host))
	case !reply.is("profile") || reply.URI != beepTLS:
		return s.unexpected("the profile of TLS was due")
	}
	answer, ok := reply.inner()
	switch {
	case !ok:
		return s.unexpected("neither <proceed /> nor <error/> is in the profile")
	case answer.is("error"):
		return Hinted(answer.refusal(), answer.hint(host))
	case !answer.is("proceed") || len(answer.Attributes) > 0 || strings.Trim(answer.Text, xmlSpace) != "":
		return s.unexpected("neither <proceed /> nor <error/> is in the profile")
	}
	return nil
}

// A beepStream is what the server sends on channel 0.
type beepStream struct {
	c            *Conn
	next         uint64 // number of the next byte
	acknowledged uint64 // number of the first byte that is not yet
	payload      []byte // of the message read last
}

// start greets, and asks for a channel of TLS. Both are sent at once.
func (s *beepStream) start(o *Options, host string) error {
	server := ""
	if net.ParseIP(o.Name) == nil {
		server = " serverName='" + host + "'"
	}
	greeting := []string{beepType, "", "<greeting />"}
	start := []string{
		beepType, "", "<start number='1'" + server + ">",
		"<profile uri='" + beepTLS + "'><![CDATA[<ready />]]></profile>", "</start>",
	}
	size := func(lines []string) int { return len(strings.Join(lines, "\r\n")) + len("\r\n") }
	lines := append([]string{fmt.Sprintf("RPY 0 0 . 0 %d", size(greeting))}, greeting...)
	lines = append(lines, "END", fmt.Sprintf("MSG 0 1 . %d %d", size(greeting), size(start)))
	return s.c.WriteLines(append(append(lines, start...), "END")...)
}

// read reads the reply to a message, which may come in frames, and whether it is a refusal.
func (s *beepStream) read(message int) (e beepElement, refused bool, err error) {
	s.payload = nil
	for keyword, more := "", true; more; {
		if s.next-s.acknowledged >= beepWindow/2 {
			if err := s.c.WriteLine(fmt.Sprintf("SEQ 0 %d %d", s.next, beepWindow)); err != nil {
				return e, false, err
			}
			s.acknowledged = s.next
		}
		line, err := s.c.ReadLine()
		if err != nil {
			return e, false, err
		}
		if beepSEQ.get().MatchString(line) {
			continue
		}
		header := beepReply.get().FindStringSubmatch(line)
		if header == nil || header[2] != strconv.Itoa(message) || keyword != "" && header[1] != keyword || header[4] != strconv.FormatUint(s.next, 10) {
			return e, false, Unexpected(line)
		}
		keyword, more = header[1], header[3] == "*"
		size, _ := strconv.ParseUint(header[5], 10, 64)
		if s.next += size; s.next > beepMax {
			return e, false, fmt.Errorf("%w: messages of over %d bytes", ErrTooLong, beepMax)
		}
		if err := s.readFrame(int(size)); err != nil {
			return e, false, err
		}
		refused = keyword == "ERR"
	}
	_, text, _ := strings.Cut("\r\n"+string(s.payload), "\r\n\r\n") // behind the fields
	e, ok := parseBEEP(text)
	if !ok || refused && !e.is("error") {
		return e, false, s.unexpected("not XML as it may be here")
	}
	return e, refused, nil
}

// readFrame reads the payload of a frame, and the line behind it (RFC 3080, 2.2.1.3).
func (s *beepStream) readFrame(size int) error {
	for range size {
		b, err := s.c.ReadByte()
		if err != nil {
			return err
		}
		if s.payload = append(s.payload, b); b == '\n' {
			s.c.TraceRead()
		}
	}
	s.c.TraceRead()
	line, err := s.c.ReadLine()
	if err == nil && line != "END" {
		return fmt.Errorf("%w: END was due", Unexpected(line))
	}
	return err
}

// unexpected is the error for a message that is not allowed here.
func (s *beepStream) unexpected(why string) error {
	return fmt.Errorf("%w: %s", Unexpected(string(s.payload)), why)
}

// A beepElement is an element of a message on channel 0.
type beepElement struct {
	XMLName    xml.Name
	Attributes []xml.Attr    `xml:",any,attr"`
	URI        string        `xml:"uri,attr"`
	Code       string        `xml:"code,attr"`
	Encoding   string        `xml:"encoding,attr"`
	Text       string        `xml:",chardata"`
	Profiles   []beepElement `xml:"profile"`
}

// parseBEEP parses a document that is one element: a declaration may stand before it, and nothing
// behind it.
func parseBEEP(text string) (e beepElement, ok bool) {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		switch t := token.(type) {
		case xml.StartElement:
			if ok || d.DecodeElement(&e, &t) != nil {
				return e, false
			}
			ok = true
		case xml.CharData:
			if strings.Trim(string(t), xmlSpace) != "" {
				return e, false
			}
		case xml.ProcInst:
			if ok || t.Target != "xml" {
				return e, false
			}
		case nil:
			return e, ok && err == io.EOF
		default: // a comment or a document type
			return e, false
		}
	}
}

// is reports whether that is the element's name. BEEP has no namespaces.
func (e beepElement) is(name string) bool { return e.XMLName == xml.Name{Local: name} }

// offers reports whether a profile is in a greeting.
func (e beepElement) offers(uri string) bool {
	for _, p := range e.Profiles {
		if p.URI == uri {
			return true
		}
	}
	return false
}

// inner is the element that a profile contains as text, in base64 if it says so (RFC 3080, 2.3.1.2).
func (e beepElement) inner() (beepElement, bool) {
	text := strings.Trim(e.Text, xmlSpace)
	if e.Encoding == "base64" {
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return beepElement{}, false
		}
		text = string(decoded)
	}
	return parseBEEP(text)
}

// refusal is the error for an <error/>: its words, or what its code means (RFC 3080, 2.3.1.5).
func (e beepElement) refusal() error {
	words := strings.Join(strings.Fields(e.Text), " ")
	if words == "" {
		words = beepCodes()[e.Code]
	}
	return Refused(strings.TrimSpace(e.Code + " " + words))
}

// hint says what to do about an <error/>, "" where nothing is known.
func (e beepElement) hint(host string) string {
	switch e.Code {
	case "504", "550", "553":
		return "the server may not serve " + quote.Escape(host) + ": --starttls-name names another of its names"
	}
	return ""
}
