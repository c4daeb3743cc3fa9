package negotiate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Auto recognises the server and does what it needs. Servers that speak first are
// recognised from their greeting, the others from the port; nothing is sent until the
// protocol is known.
var auto = &Protocol{
	Name:   "auto",
	Family: General,
	Title:  "whatever the greeting, or else the port, looks like",
	Note: "Nothing is sent before the protocol is known. A server that speaks first is recognised from its greeting; " +
		"one that says nothing, from the port that it has.",
}

var _ = register(auto)

// Set here, since it looks through the registry that auto is in.
func init() { auto.resolve = (*Conn).recognise }

// Auto is the protocol that is recognised during the upgrade.
func Auto() *Protocol { return auto }

// autoWait is how long a server may take to greet on a port where the client speaks first.
const autoWait = 2 * time.Second

// autoPacket is how many bytes of a packet are enough to recognise it.
const autoPacket = 64

// recognise finds out which protocol the server speaks. What it reads stays in the buffer.
func (c *Conn) recognise(o *Options) (p *Protocol, why string, err error) {
	expected := OnPort(o.Port)
	if expected != nil && expected.Upgrade == nil {
		return expected, fmt.Sprintf("port %d is for TLS from the first byte", o.Port), nil
	}
	greeting, err := c.peek(expected == nil || !expected.Greets)
	if err != nil {
		return nil, "", err
	}
	found := Recognise(greeting, o.Port)
	switch {
	case len(greeting) == 0 && expected != nil:
		return expected, fmt.Sprintf("the server says nothing, and port %d is for it", o.Port), nil
	case len(greeting) == 0:
		return nil, "", fmt.Errorf("%w: the server says nothing, and nothing is known of port %d: it could be %s", ErrUnknown, o.Port, names(clientFirst()))
	case len(found) == 0:
		return nil, "", fmt.Errorf("%w: %w", ErrUnknown, Unexpected(string(greeting)))
	case len(found) == 1 || found[0] == expected:
		return found[0], "the greeting looks like it", nil
	}
	return nil, "", fmt.Errorf("%w: the greeting could be that of %s", ErrUnknown, names(found))
}

// peek waits for the server's first line or packet and leaves it in the buffer. Where the
// client may have to speak first, it waits for autoWait only, and returns nothing then.
func (c *Conn) peek(mayBeSilent bool) ([]byte, error) {
	if wait := time.Now().Add(autoWait); mayBeSilent && (c.deadline.IsZero() || wait.Before(c.deadline)) {
		c.conn.SetReadDeadline(wait)
		defer func() { c.conn.SetReadDeadline(c.deadline) }()
	}
	looked := 0 // bytes: a packet shows what it is where it begins
	for !bytes.Contains(c.buf, []byte("\n")) {
		if looked < autoPacket {
			looked = len(c.buf)
			if slices.ContainsFunc(Recognise(c.buf, 0), func(p *Protocol) bool { return !p.Lines }) {
				break
			}
		}
		if err := c.fill(); err != nil {
			if mayBeSilent && errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			return nil, err
		}
	}
	return c.buf, nil
}

// clientFirst lists the protocols in which the server waits.
func clientFirst() []*Protocol {
	return slices.DeleteFunc(All(), func(p *Protocol) bool { return p.Greets || p.Upgrade == nil && p != implicitTLS })
}

// names lists protocols for a message.
func names(ps []*Protocol) string {
	var list []string
	for _, p := range ps {
		list = append(list, p.Name)
	}
	return strings.Join(list, ", ")
}
