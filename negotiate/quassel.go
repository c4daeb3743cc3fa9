package negotiate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Quassel, between its client and its core: the probe that opens a connection since version
// 0.10, as Quassel's own client and core have it:
//
//	C: 42b33f01          a magic number, and in its last byte what the client wants: 01 is encryption
//	   80000002          protocol 02, the datastream, of no features; 80: there is no other
//	S: 01 0000 02        what both want, features of the protocol, and the protocol
//	   <TLS>
//
// Without 01 in the first byte the core refuses. Inside TLS the client says who it is.
var quassel = &Protocol{
	Name:    "quassel",
	Family:  Chat,
	Title:   "IRC through a core that stays (Quassel)",
	Port:    4242,
	Specs:   []string{"Quassel protocol"},
	Servers: []string{"Quassel"},
	Upgrade: upgradeQuassel,
	Lead:    leadQuassel,
	Remarks: []Remark{
		{"C: probe", "42b33f01 80000002: the client wants encryption, no compression, and the datastream protocol"},
		{"S: encryption", "the go-ahead, of four bytes; encryption missing from it refuses"},
	},
	Note: "Inside TLS the core is silent: the client begins with ClientInit. What follows are packets, not lines. " +
		"The certificate that Debian's core is installed with is its own, signed by nobody. The core ends the session without close_notify. " +
		"A tunnel's client is asked for its probe, and told that there is no encryption, but compression if it wants that.",
}

var _ = register(quassel)

const (
	quasselMagic       = 0x42b33f00
	quasselEncryption  = 1 // features of the connection
	quasselCompression = 2
	quasselDatastream  = 2       // a protocol
	quasselLast        = 1 << 31 // in the last of the protocols
)

// quasselMaxProtocols is how many protocols a client may speak; there have been two.
const quasselMaxProtocols = 16

// A quasselClient is what a client wants, and in a tunnel the answer to it.
type quasselClient struct {
	compression byte   // a feature of the connection, or 0
	features    uint16 // of the protocol
	answer      []byte
}

func upgradeQuassel(c *Conn, o *Options) error {
	c.Step(Upgrade)
	client := &quasselClient{}
	if o.Local != nil {
		if err := client.read(o.Local); err != nil {
			return err
		}
		o.Local.state = client
	}
	probe := binary.BigEndian.AppendUint32(nil, quasselMagic|quasselEncryption|uint32(client.compression))
	probe = binary.BigEndian.AppendUint32(probe, quasselLast|uint32(client.features)<<8|quasselDatastream)
	said := "encryption, "
	if client.compression != 0 {
		said += "compression, "
	}
	said += "datastream protocol"
	if err := c.WritePacket("probe: "+said, probe); err != nil {
		return err
	}
	if err := c.Count(); err != nil {
		return err
	}
	var answer [4]byte
	_, err := io.ReadFull(c, answer[:])
	if errors.Is(err, io.EOF) {
		// Older cores know no probe and close.
		return Hinted(err, "a core from before version 0.10 has TLS in its older protocol alone")
	} else if err != nil {
		return err
	}
	// What was not asked for can't be in the answer.
	if answer[0]&^(quasselEncryption|client.compression) != 0 || answer[3] != quasselDatastream {
		return c.unexpected()
	}
	if answer[0]&quasselEncryption == 0 {
		c.Describe("no encryption, datastream protocol")
		return Hinted(fmt.Errorf("%w, it goes on in the clear", NotOffered("encryption")), "the core has no certificate: --ssl-cert and --ssl-key name one, or quasselCert.pem in its configuration directory")
	}
	if answer[0]&quasselCompression == 0 {
		said = "encryption, datastream protocol"
	}
	c.Describe(said)
	features := binary.BigEndian.Uint16(answer[1:]) & client.features
	client.answer = []byte{answer[0] &^ quasselEncryption, byte(features >> 8), byte(features), quasselDatastream}
	return nil
}

// read reads a client's probe: what it wants of the connection, and protocols up to one that is
// marked as the last.
func (q *quasselClient) read(l *Local) error {
	var b [4]byte
	if _, err := io.ReadFull(l.client, b[:]); err != nil {
		return err
	}
	magic := binary.BigEndian.Uint32(b[:])
	if magic&^0xff != quasselMagic {
		return Hinted(l.client.unexpected(), "a Quassel client since version 0.10 begins with a probe")
	}
	q.compression = byte(magic) & quasselCompression
	known := false
	for range quasselMaxProtocols {
		if _, err := io.ReadFull(l.client, b[:]); err != nil {
			return err
		}
		protocol := binary.BigEndian.Uint32(b[:])
		if protocol&0xff == quasselDatastream {
			known, q.features = true, uint16(protocol>>8)
		}
		switch {
		case protocol&quasselLast == 0:
		case !known:
			return l.misspoken("it does not speak the datastream protocol")
		default:
			return nil
		}
	}
	return l.misspoken("a probe without end")
}

// leadQuassel answers the client's probe.
func leadQuassel(l *Local, _ *Conn) error {
	_, err := l.client.Write(l.state.(*quasselClient).answer)
	return err
}
