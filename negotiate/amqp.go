package negotiate

import (
	"fmt"
	"io"
)

// AMQP 1.0, the TLS protocol header (AMQP 1.0, part 5, 5.2):
//
//	C: "AMQP" 02 01 00 00    a protocol's number, here TLS, and its version 1.0.0
//	S: "AMQP" 02 01 00 00
//	   <TLS>
//
// Any other header refuses: it is that of a protocol that the server would take, and the server
// closes the connection behind it. Inside TLS the client sends a header again.
var amqp = &Protocol{
	Name:     "amqp",
	Family:   Chat,
	Title:    "messages between programs (AMQP 1.0)",
	Port:     5672,
	Specs:    []string{"AMQP 1.0"},
	Implicit: "amqps",
	Upgrade:  upgradeAMQP,
	Remarks: []Remark{
		{"C: AMQP 2.1.0.0", "\"AMQP\" and four bytes: the number of TLS, and version 1.0.0"},
		{"S: AMQP 2.1.0.0", "the go-ahead: the same eight bytes; any other header refuses"},
	},
	Note: "Few brokers take this header: most have TLS from the first byte alone, as amqps. " + amqpNote,
}

var amqps = &Protocol{
	Name:    "amqps",
	Family:  Chat,
	Title:   "AMQP in TLS from the first byte",
	Port:    5671,
	Specs:   []string{"AMQP 1.0"},
	Sibling: "amqp",
	Note:    amqpNote,
}

var _ = register(amqp, amqps)

const amqpNote = "Inside TLS the client begins with the header of SASL or AMQP. What follows are frames, not lines."

// amqpTLS is the header of TLS.
var amqpTLS = [8]byte{'A', 'M', 'Q', 'P', 2, 1, 0, 0}

// amqpHeaders names the headers that servers answer with (AMQP 1.0, part 2, 2.2, and part 5; the
// specifications of AMQP 0-8 to 0-10).
func amqpHeaders() map[[4]byte]string {
	return map[[4]byte]string{
		{0, 1, 0, 0}:  "AMQP 1.0",
		{3, 1, 0, 0}:  "AMQP 1.0 with SASL",
		{0, 0, 9, 1}:  "AMQP 0-9-1",
		{1, 1, 0, 9}:  "AMQP 0-9",
		{1, 1, 9, 1}:  "AMQP 0-8",
		{1, 1, 8, 0}:  "AMQP 0-8",
		{1, 1, 0, 10}: "AMQP 0-10",
	}
}

func upgradeAMQP(c *Conn, o *Options) error {
	c.Step(Upgrade)
	if err := c.WritePacket(amqpText([4]byte(amqpTLS[4:])), amqpTLS[:]); err != nil {
		return err
	}
	if err := c.Count(); err != nil {
		return err
	}
	if err := c.expect("AMQP"); err != nil {
		return err
	}
	var header [4]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return err
	}
	c.Describe(amqpText(header))
	if header == [4]byte(amqpTLS[4:]) {
		return nil
	}
	said := amqpText(header)
	if amqpHeaders()[header] != "" {
		said = amqpHeaders()[header]
	}
	return Hinted(fmt.Errorf("%w by this header, it would take %s", NotOffered("TLS"), said),
		"TLS from the first byte has a port of its own, 5671: tlsup "+targetURL("amqps", o.Host))
}

// amqpText is a header for a person.
func amqpText(h [4]byte) string { return fmt.Sprintf("AMQP %d.%d.%d.%d", h[0], h[1], h[2], h[3]) }
