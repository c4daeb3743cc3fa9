package negotiate

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// NBD, Network Block Device, NBD_OPT_STARTTLS (the NBD protocol, "Fixed newstyle
// negotiation" and "TLS support"):
//
//	S: "NBDMAGIC" "IHAVEOPT" 0003        handshake flags: fixed newstyle, no zeroes
//	C: 00000001                          client flags: fixed newstyle
//	C: "IHAVEOPT" 00000005 00000000      NBD_OPT_STARTTLS, of no data
//	S: 0003e889045565a9 00000005         the reply to it
//	   00000001 00000000                 NBD_REP_ACK, of no data
//	   <TLS>
//
// An error has the highest bit of its type set, and may bring a text. Inside TLS the client
// goes on with options; the server does not greet again, and the client's flags hold.
var _ = register(&Protocol{
	Name:      "nbd",
	Aliases:   []string{"nbds"},
	Family:    Files,
	Title:     "disks over the network (Network Block Device)",
	Port:      10809,
	Specs:     []string{"NBD protocol"},
	Greets:    true,
	Recognise: greetsLikeNBD,
	Upgrade:   upgradeNBD,
	Remarks: []Remark{
		{"S: NBDMAGIC IHAVEOPT", "the greeting; fixed newstyle has to be among its flags"},
		{"C: client flags", "they hold inside TLS, where neither side says this again"},
		{"C: NBD_OPT_STARTTLS", "the first option, so that nobody hears the others"},
		{"S: NBD_REP_ACK", "the go-ahead, of no data; every other reply refuses"},
	},
	Note: "Inside TLS the server is silent and does not greet again: the client goes on with options. " +
		"It has said that it knows fixed newstyle, and not that it does without the zeroes behind NBD_OPT_EXPORT_NAME. What follows are packets, not lines.",
})

// Magic numbers of the NBD protocol.
const (
	nbdGreeting = "NBDMAGIC"
	nbdNewstyle = "IHAVEOPT"
	nbdOldstyle = "\x00\x00\x42\x02\x81\x86\x12\x53"
	nbdReply    = "\x00\x03\xe8\x89\x04\x55\x65\xa9"
)

const (
	nbdFixed    = 1       // the flag of either side for fixed newstyle
	nbdStartTLS = 5       // an option
	nbdAck      = 1       // a reply
	nbdError    = 1 << 31 // set in the replies that refuse
)

// nbdMaxText is how long the text of a refusal may be, in bytes: the limit of every string
// in the protocol.
const nbdMaxText = 4096

// nbdErrors names the replies that refuse.
var nbdErrors = map[uint32]string{
	nbdError | 1:  "NBD_REP_ERR_UNSUP",
	nbdError | 2:  "NBD_REP_ERR_POLICY",
	nbdError | 3:  "NBD_REP_ERR_INVALID",
	nbdError | 4:  "NBD_REP_ERR_PLATFORM",
	nbdError | 5:  "NBD_REP_ERR_TLS_REQD",
	nbdError | 6:  "NBD_REP_ERR_UNKNOWN",
	nbdError | 7:  "NBD_REP_ERR_SHUTDOWN",
	nbdError | 8:  "NBD_REP_ERR_BLOCK_SIZE_REQD",
	nbdError | 9:  "NBD_REP_ERR_TOO_BIG",
	nbdError | 10: "NBD_REP_ERR_EXT_HEADER_REQD",
}

var nbdHints = map[uint32]string{
	nbdError | 1: "this server knows no TLS",
	nbdError | 2: "TLS is off at the server: nbd-server wants certfile and keyfile in its configuration, qemu-nbd --tls-creds",
	nbdError | 4: "this server is built without TLS",
}

// greetsLikeNBD recognises both styles of negotiation.
func greetsLikeNBD(b []byte) bool { return strings.HasPrefix(string(b), nbdGreeting) }

func upgradeNBD(c *Conn, _ *Options) error {
	if err := readNBDGreeting(c); err != nil {
		return err
	}

	c.Step(Upgrade)
	if err := c.WritePacket(fmt.Sprintf("client flags %08x: fixed newstyle", nbdFixed), binary.BigEndian.AppendUint32(nil, nbdFixed)); err != nil {
		return err
	}
	option := binary.BigEndian.AppendUint32([]byte(nbdNewstyle), nbdStartTLS)
	if err := c.WritePacket("NBD_OPT_STARTTLS", binary.BigEndian.AppendUint32(option, 0)); err != nil {
		return err
	}
	kind, text, err := readNBDReply(c)
	switch {
	case err != nil:
		return err
	case kind == nbdAck:
		c.Describe("NBD_REP_ACK")
		return nil
	case kind < nbdError:
		return c.unexpected()
	}
	name := nbdErrors[kind]
	if name == "" {
		name = fmt.Sprintf("error %d", kind-nbdError)
	}
	said := strings.TrimSuffix(name+": "+text, ": ")
	c.Describe(said)
	if nbdHints[kind] != "" {
		return Hinted(Refused(said), nbdHints[kind])
	}
	return Refused(said)
}

// readNBDGreeting reads up to the handshake flags and returns an error unless fixed newstyle
// is among them: without it there are no options but one.
func readNBDGreeting(c *Conn) error {
	if err := c.Count(); err != nil {
		return err
	}
	if err := c.expect(nbdGreeting); err != nil {
		return err
	}
	first, err := c.ReadByte()
	if err != nil {
		return err
	}
	if first == nbdOldstyle[0] {
		if err := c.expect(nbdOldstyle[1:]); err != nil {
			return err
		}
		c.Describe("NBDMAGIC, oldstyle")
		return fmt.Errorf("%w, in oldstyle negotiation", NotOffered("TLS"))
	}
	c.at-- // the first byte of what is expected
	if err := c.expect(nbdNewstyle); err != nil {
		return err
	}
	var b [2]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return err
	}
	flags := binary.BigEndian.Uint16(b[:])
	style := "newstyle that is not fixed"
	if flags&nbdFixed != 0 {
		style = "fixed newstyle"
	}
	c.Describe(fmt.Sprintf("NBDMAGIC IHAVEOPT, flags %04x: %s", flags, style))
	if flags&nbdFixed == 0 {
		return fmt.Errorf("%w, in %s", NotOffered("TLS"), style)
	}
	return nil
}

// readNBDReply reads the reply to NBD_OPT_STARTTLS: its type and the text of a refusal.
func readNBDReply(c *Conn) (kind uint32, text string, err error) {
	if err := c.Count(); err != nil {
		return 0, "", err
	}
	if err := c.expect(nbdReply); err != nil {
		return 0, "", err
	}
	var header [12]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return 0, "", err
	}
	option, kind, length := binary.BigEndian.Uint32(header[:]), binary.BigEndian.Uint32(header[4:]), binary.BigEndian.Uint32(header[8:])
	switch {
	case option != nbdStartTLS:
		return 0, "", fmt.Errorf("%w: the reply to option %d, not to %d", c.unexpected(), option, nbdStartTLS)
	case kind < nbdError && length > 0:
		return 0, "", fmt.Errorf("%w: a reply with data", c.unexpected())
	case length > nbdMaxText:
		return 0, "", fmt.Errorf("%w: a reply of %d bytes", ErrTooLong, length)
	}
	data := make([]byte, length)
	_, err = io.ReadFull(c, data)
	return kind, string(data), err
}
