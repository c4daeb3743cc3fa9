package testserver

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

const (
	beepTLS  = "http://iana.org/beep/TLS"
	beepEcho = "http://mail.example.org/beep/echo"
	beepType = "Content-Type: application/beep+xml\r\n\r\n"
)

func beepServers(servers map[string]protocol) {
	const greeting, start, end = "<greeting />\r\n", "<start number='1'>\r\n   <profile uri='" + beepEcho + "' />\r\n</start>\r\n", "<close number='0' code='200' />\r\n"
	sequence := 0
	said := func(keyword string, message int, xml string) string {
		frame := beepFrame(keyword, 0, message, sequence, beepType+xml)
		sequence += len(beepType + xml)
		return strings.TrimSuffix(frame, "\r\n")
	}
	servers["beep"] = protocol{
		upgrade: func(c *conn) error { return beepListen(c, beepTLS) },
		session: func(c *conn) error { return beepListen(c, beepEcho) },
		talk: []string{
			said("RPY", 0, greeting),
			said("MSG", 1, start),
			strings.TrimSuffix(beepFrame("MSG", 1, 0, 0, "\r\nhello\r\n"), "\r\n"),
			said("MSG", 2, end),
		},
	}
}

// beepFrame returns a frame that is a whole message (RFC 3080, 2.2.1).
func beepFrame(keyword string, channel, message, sequence int, payload string) string {
	return fmt.Sprintf("%s %d %d . %d %d\r\n%sEND\r\n", keyword, channel, message, sequence, len(payload), payload)
}

// A beepPeer is a session with one client: what it has said and heard on the channels 0 and 1.
type beepPeer struct {
	c       *conn
	profile string // the one that there is
	header  *regexp.Regexp
	open    bool   // channel 1
	sent    [2]int // bytes, by channel
	heard   [2]int
}

// beepHeader matches a frame's header, but not that of an ANS, which no client sends here.
const beepHeader = `^(MSG|RPY|ERR) ([01]) ([0-9]{1,9}) ([.*]) ([0-9]{1,9}) ([0-9]{1,4})$`

// beepListen greets with one profile, and answers requests until the channel is opened, if it is
// TLS', or the session closed.
func beepListen(c *conn, profile string) error {
	p := &beepPeer{c: c, profile: profile, header: regexp.MustCompile(beepHeader)}
	if err := p.send("RPY", 0, 0, beepType+"<greeting>\r\n   <profile uri='"+profile+"' />\r\n</greeting>\r\n"); err != nil {
		return err
	}
	for greeted := false; ; {
		keyword, channel, message, payload, err := p.read()
		switch {
		case err != nil:
			return err
		case !greeted:
			_, text, _ := strings.Cut(payload, "\r\n\r\n")
			if greeting, ok := beepParse(text); keyword != "RPY" || channel != 0 || message != 0 || !ok || greeting.XMLName.Local != "greeting" {
				return errors.New("no greeting")
			}
			greeted = true
		case keyword != "MSG":
			return errors.New("a reply to nothing")
		case channel == 1: // an echo
			err = p.send("RPY", 1, message, payload)
		default:
			var done bool
			if done, err = p.manage(message, payload); done {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// send sends a message.
func (p *beepPeer) send(keyword string, channel, message int, payload string) error {
	_, err := io.WriteString(p.c.Conn, beepFrame(keyword, channel, message, p.sent[channel], payload))
	p.sent[channel] += len(payload)
	return err
}

// read reads a message. One that is poorly formed ends the session (RFC 3080, 2.2.1.1).
func (p *beepPeer) read() (keyword string, channel, message int, payload string, err error) {
	for more := true; more; {
		line, err := p.c.readLine()
		if err != nil {
			return "", 0, 0, "", err
		}
		if strings.HasPrefix(line, "SEQ ") { // our messages are short
			continue
		}
		header := p.header.FindStringSubmatch(line)
		if header == nil {
			return "", 0, 0, "", fmt.Errorf("no frame: %q", line)
		}
		keyword, more = header[1], header[4] == "*"
		channel, _ = strconv.Atoi(header[2])
		message, _ = strconv.Atoi(header[3])
		size, _ := strconv.Atoi(header[6])
		if header[5] != strconv.Itoa(p.heard[channel]) || channel == 1 && !p.open {
			return "", 0, 0, "", fmt.Errorf("a frame out of order: %q", line)
		}
		p.heard[channel] += size
		b := make([]byte, size+len("END\r\n"))
		if _, err := io.ReadFull(p.c.r, b); err != nil {
			return "", 0, 0, "", err
		}
		text, ok := strings.CutSuffix(string(b), "END\r\n")
		if payload += text; !ok || len(payload) > 4096 {
			return "", 0, 0, "", errors.New("a frame without its end")
		}
	}
	return keyword, channel, message, payload, nil
}

// A beepElement is one of channel management's elements (RFC 3080, 7.1).
type beepElement struct {
	XMLName  xml.Name
	Number   string `xml:"number,attr"`
	Profiles []struct {
		URI     string `xml:"uri,attr"`
		Content string `xml:",chardata"`
	} `xml:"profile"`
}

func beepParse(text string) (e beepElement, ok bool) {
	return e, xml.Unmarshal([]byte(text), &e) == nil
}

// manage answers a request on channel 0. It is done when TLS is due, or the session closed.
func (p *beepPeer) manage(message int, payload string) (done bool, err error) {
	refuse := func(code, text string) (bool, error) {
		return false, p.send("ERR", 0, message, beepType+"<error code='"+code+"'>"+text+"</error>\r\n")
	}
	fields, text, _ := strings.Cut(payload, "\r\n\r\n")
	e, ok := beepParse(text)
	switch {
	case !ok || fields != "Content-Type: application/beep+xml":
		return refuse("500", "poorly formed")
	case e.XMLName.Local == "close" && (e.Number == "0" || e.Number == ""):
		return true, errors.Join(p.send("RPY", 0, message, beepType+"<ok />\r\n"), p.closing())
	case e.XMLName.Local != "start":
		return refuse("500", "neither start nor the end of the session")
	case e.Number != "1" || p.open:
		return refuse("501", "there is one channel, number 1")
	}
	for _, profile := range e.Profiles {
		switch {
		case profile.URI != p.profile:
		case p.profile != beepTLS:
			p.open = true
			return false, p.send("RPY", 0, message, beepType+"<profile uri='"+p.profile+"' />\r\n")
		case strings.TrimSpace(profile.Content) == "<ready />":
			return true, p.send("RPY", 0, message, beepType+"<profile uri='"+beepTLS+"'>\r\n    <![CDATA[<proceed />]]>\r\n</profile>\r\n")
		default:
			p.open = true
			return false, p.send("RPY", 0, message, beepType+"<profile uri='"+beepTLS+"'>\r\n    <![CDATA[<error code='501'>ready was due</error>]]>\r\n</profile>\r\n")
		}
	}
	return refuse("550", "all requested profiles are unsupported")
}

// closing is the end of the session: nil inside TLS, and no way to TLS before.
func (p *beepPeer) closing() error {
	if p.c.inTLS() {
		return nil
	}
	return io.EOF
}
