package negotiate

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Conn is the cleartext connection of an upgrade. Its reads are bounded, and what is
// exchanged is traced. It is an io.Reader, io.ByteReader and io.Writer. Errors of the
// connection come back as they are: Client turns them into words.
type Conn struct {
	// Greeting is left by the upgrade for a tunnel; see Upgraded.
	Greeting []byte

	conn     net.Conn
	local    *Local    // a tunnel's client, led beside this exchange; nil in the pipe
	isLocal  bool      // the connection is that client's
	deadline time.Time // of the whole exchange; zero for none
	trace    func(Line)
	step     Step

	buf      []byte // read from the connection, not yet consumed: buf[at:]
	at       int
	traced   int // buf[traced:at] is consumed and not yet traced
	received int // bytes, in all
	lines    int // lines or elements, in all
}

func newConn(conn net.Conn, trace func(Line)) *Conn {
	return &Conn{conn: conn, trace: trace, step: Greeting}
}

// Step names the step that errors from now on belong to.
func (c *Conn) Step(s Step) { c.step = s }

// LocalAddr is the connection's local address.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// fill reads more bytes into the buffer.
func (c *Conn) fill() error {
	if err := c.read(); err != nil {
		return err
	}
	// What could be the beginning of a TLS record is looked at as a whole.
	for c.received == len(c.buf) && len(c.buf) < 3 && (c.buf[0] == recordAlert || c.buf[0] == recordHandshake) {
		if c.read() != nil {
			return nil // the next read meets the error again
		}
	}
	if c.received == len(c.buf) && looksLikeTLS(c.buf) {
		return c.fault(ErrTLS)
	}
	return nil
}

func (c *Conn) read() error {
	if c.received >= MaxBytes {
		return c.fault(fmt.Errorf("%w: over %d bytes", ErrTooLong, MaxBytes))
	}
	var chunk [4096]byte
	n, err := c.conn.Read(chunk[:min(len(chunk), MaxBytes-c.received)])
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	if n == 0 {
		return c.fault(err)
	}
	c.received += n
	c.buf = append(c.buf, chunk[:n]...)
	return nil
}

// looksLikeTLS reports whether b starts with a TLS alert or handshake record
// (RFC 8446, 5.1).
func looksLikeTLS(b []byte) bool {
	return len(b) >= 3 && (b[0] == recordAlert || b[0] == recordHandshake) && b[1] == 3 && 1 <= b[2] && b[2] <= 4
}

// ReadByte reads one byte, and nothing behind it is consumed.
func (c *Conn) ReadByte() (byte, error) {
	for c.at == len(c.buf) {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	b := c.buf[c.at]
	c.at++
	return b, nil
}

// Read reads up to len(p) bytes.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for c.at == len(c.buf) {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buf[c.at:])
	c.at += n
	return n, nil
}

// ReadLine reads one line and returns it without its end, CRLF or LF.
func (c *Conn) ReadLine() (string, error) {
	from := 0
	for {
		if i := bytes.IndexByte(c.buf[c.at+from:], '\n'); i >= 0 {
			line := c.buf[c.at : c.at+from+i]
			c.at += from + i + 1
			if err := c.Count(); err != nil {
				return "", err
			}
			c.TraceRead()
			return string(bytes.TrimSuffix(line, []byte("\r"))), nil
		}
		from = len(c.buf) - c.at
		if err := c.fill(); err != nil {
			if err == io.EOF && from > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
	}
}

// findOffer reads a list of capabilities, one a line, to its end, a line of one dot, and
// returns an error unless one of them is in it (RFC 2449, 5; RFC 3977, 5.2).
func (c *Conn) findOffer(capability string) error {
	offered := false
	for {
		line, err := c.ReadLine()
		if err != nil {
			return err
		}
		if line == "." {
			break
		}
		// A line that starts with a dot has been given one more (RFC 1939, 3; RFC 3977, 3.1.1).
		keyword, _, _ := strings.Cut(strings.TrimPrefix(line, "."), " ")
		offered = offered || strings.EqualFold(keyword, capability)
	}
	if !offered {
		return NotOffered(capability)
	}
	return nil
}

// Count counts one line, element or packet against MaxLines.
func (c *Conn) Count() error {
	if c.lines++; c.lines > MaxLines {
		return c.fault(fmt.Errorf("%w: over %d lines", ErrTooLong, MaxLines))
	}
	return nil
}

// TraceRead traces what has been consumed since the last time as one line. ReadLine
// does so by itself.
func (c *Conn) TraceRead() {
	text := c.buf[c.traced:c.at]
	c.traced = c.at
	if c.trace != nil && len(text) > 0 {
		c.trace(Line{Server: true, Text: strings.TrimRight(string(text), "\r\n")})
	}
}

// Describe traces what has been consumed since the last time as text in place of its bytes,
// for packets that are not text: "ErrorResponse: too many clients".
func (c *Conn) Describe(text string) {
	c.traced = c.at
	if c.trace != nil {
		c.trace(Line{Server: true, Text: text})
	}
}

// WritePacket sends a packet that is not text, and traces it as the description.
func (c *Conn) WritePacket(description string, p []byte) error {
	if c.trace != nil {
		c.trace(Line{Text: description})
	}
	_, err := c.conn.Write(p)
	return c.fault(err)
}

// traceRest traces all that has come in and was not traced, so that a person can see
// what an upgrade stumbled over.
func (c *Conn) traceRest() {
	rest := c.buf[c.traced:]
	c.traced = len(c.buf)
	if c.trace == nil || len(rest) == 0 {
		return
	}
	for line := range strings.Lines(string(rest)) {
		c.trace(Line{Server: true, Text: strings.TrimRight(line, "\r\n")})
	}
}

// Write sends p as one line or packet of the exchange.
func (c *Conn) Write(p []byte) (int, error) {
	if c.trace != nil {
		c.trace(Line{Text: strings.TrimRight(string(p), "\r\n")})
	}
	n, err := c.conn.Write(p)
	return n, c.fault(err)
}

// WriteLine sends a line, ended by CRLF.
func (c *Conn) WriteLine(line string) error { return c.WriteLines(line) }

// WriteLines sends lines at once, each ended by CRLF.
func (c *Conn) WriteLines(lines ...string) error {
	var all []byte
	for _, line := range lines {
		if strings.ContainsAny(line, "\r\n\x00") {
			return fmt.Errorf("a line to be sent contains a line end: %q", line)
		}
		all = append(all, line+"\r\n"...)
	}
	if c.trace != nil {
		for _, line := range lines {
			c.trace(Line{Text: line})
		}
	}
	_, err := c.conn.Write(all)
	return c.fault(err)
}

// rest is what came in and was not consumed.
func (c *Conn) rest() []byte { return c.buf[c.at:] }

// unread is what came in of an answer that was never complete.
func (c *Conn) unread() string { return string(c.buf[min(c.traced, c.at):]) }
