package negotiate

import (
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
var _ = register(&Protocol{
	Name:    "quassel",
	Family:  Chat,
	Title:   "IRC through a core that stays (Quassel)",
	Port:    4242,
	Specs:   []string{"Quassel protocol"},
	Upgrade: upgradeQuassel,
	Remarks: []Remark{
		{"C: probe", "42b33f01 80000002: the client wants encryption, no compression, and the datastream protocol"},
		{"S: encryption", "the go-ahead, of four bytes; encryption missing from it refuses"},
	},
	Note: "Inside TLS the core is silent: the client begins with ClientInit. What follows are packets, not lines. " +
		"The certificate that Debian's core is installed with is its own, signed by nobody. The core ends the session without close_notify.",
})

const (
	quasselProbe      = "\x42\xb3\x3f\x01\x80\x00\x00\x02"
	quasselEncryption = 1 // a feature of the connection
	quasselDatastream = 2 // a protocol
)

func upgradeQuassel(c *Conn, _ *Options) error {
	c.Step(Upgrade)
	if err := c.WritePacket("probe: encryption, datastream protocol", []byte(quasselProbe)); err != nil {
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
	if answer[0]&^quasselEncryption != 0 || answer[3] != quasselDatastream {
		return c.unexpected()
	}
	if answer[0] != quasselEncryption {
		c.Describe("no encryption, datastream protocol")
		return Hinted(fmt.Errorf("%w, it goes on in the clear", NotOffered("encryption")), "the core has no certificate: --ssl-cert and --ssl-key name one, or quasselCert.pem in its configuration directory")
	}
	c.Describe("encryption, datastream protocol")
	return nil
}
