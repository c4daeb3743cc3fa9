package negotiate

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
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
var nbd = &Protocol{
	Name:      "nbd",
	Aliases:   []string{"nbds"},
	Family:    Files,
	Title:     "disks over the network (Network Block Device)",
	Port:      10809,
	Specs:     []string{"NBD protocol"},
	Servers:   []string{"QEMU"},
	Greets:    true,
	Recognise: greetsLikeNBD,
	Upgrade:   upgradeNBD,
	Ends:      nbdEnds,
	Remarks: []Remark{
		{"S: NBDMAGIC IHAVEOPT", "the greeting; fixed newstyle has to be among its flags"},
		{"C: client flags", "they hold inside TLS, where neither side says this again"},
		{"C: NBD_OPT_STARTTLS", "the first option, so that nobody hears the others"},
		{"S: NBD_REP_ACK", "the go-ahead, of no data; every other reply refuses"},
	},
	Note: "Inside TLS the server is silent and does not greet again: the client goes on with options. " +
		"It has said that it knows fixed newstyle, and not that it does without the zeroes behind NBD_OPT_EXPORT_NAME. What follows are packets, not lines. " +
		"A tunnel greets its client before that, and passes its flags on; its own NBD_OPT_STARTTLS is refused.",
}

var _ = register(nbd)

// Magic numbers of the NBD protocol.
const (
	nbdGreeting = "NBDMAGIC"
	nbdNewstyle = "IHAVEOPT"
	nbdOldstyle = "\x00\x00\x42\x02\x81\x86\x12\x53"
	nbdReply    = "\x00\x03\xe8\x89\x04\x55\x65\xa9"
)

const (
	nbdFixed    = 1            // the flag of either side for fixed newstyle
	nbdNoZeroes = 2            // that for no zeroes behind NBD_OPT_EXPORT_NAME
	nbdStartTLS = 5            // an option
	nbdAck      = 1            // a reply
	nbdError    = 1 << 31      // set in the replies that refuse
	nbdPolicy   = nbdError | 2 // NBD_REP_ERR_POLICY
)

// nbdMaxText is how long the text of a refusal may be, in bytes: the limit of every string
// in the protocol.
const nbdMaxText = 4096

// nbdErrors names the replies that refuse.
func nbdErrors() map[uint32]string {
	return map[uint32]string{
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
}

func nbdHints() map[uint32]string {
	return map[uint32]string{
		nbdError | 1: "this server knows no TLS",
		nbdError | 2: "TLS is off at the server: nbd-server wants certfile and keyfile in its configuration, qemu-nbd --tls-creds",
		nbdError | 4: "this server is built without TLS",
	}
}

// greetsLikeNBD recognises both styles of negotiation.
func greetsLikeNBD(b []byte) bool { return strings.HasPrefix(string(b), nbdGreeting) }

func upgradeNBD(c *Conn, o *Options) error {
	offered, err := readNBDGreeting(c)
	if err != nil {
		return err
	}
	flags := uint32(nbdFixed)
	if o.Local != nil {
		if flags, err = greetNBD(o.Local, offered); err != nil {
			return err
		}
	}

	c.Step(Upgrade)
	said := "fixed newstyle"
	if flags&nbdNoZeroes != 0 {
		said += ", no zeroes"
	}
	if err := c.WritePacket(fmt.Sprintf("client flags %08x: %s", flags, said), binary.BigEndian.AppendUint32(nil, flags)); err != nil {
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
	name := nbdErrors()[kind]
	if name == "" {
		name = fmt.Sprintf("error %d", kind-nbdError)
	}
	said = strings.TrimSuffix(name+": "+text, ": ")
	c.Describe(said)
	if nbdHints()[kind] != "" {
		return Hinted(Refused(said), nbdHints()[kind])
	}
	return Refused(said)
}

// readNBDGreeting reads up to the handshake flags and returns an error unless fixed newstyle
// is among them: without it there are no options but one.
func readNBDGreeting(c *Conn) (flags uint16, err error) {
	if err := c.Count(); err != nil {
		return 0, err
	}
	if err := c.expect(nbdGreeting); err != nil {
		return 0, err
	}
	first, err := c.ReadByte()
	if err != nil {
		return 0, err
	}
	if first == nbdOldstyle[0] {
		if err := c.expect(nbdOldstyle[1:]); err != nil {
			return 0, err
		}
		c.Describe("NBDMAGIC, oldstyle")
		return 0, fmt.Errorf("%w, in oldstyle negotiation", NotOffered("TLS"))
	}
	c.at-- // the first byte of what is expected
	if err := c.expect(nbdNewstyle); err != nil {
		return 0, err
	}
	var b [2]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return 0, err
	}
	flags = binary.BigEndian.Uint16(b[:])
	style := "newstyle that is not fixed"
	if flags&nbdFixed != 0 {
		style = "fixed newstyle"
	}
	c.Describe(fmt.Sprintf("NBDMAGIC IHAVEOPT, flags %04x: %s", flags, style))
	if flags&nbdFixed == 0 {
		return 0, fmt.Errorf("%w, in %s", NotOffered("TLS"), style)
	}
	return flags, nil
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

// greetNBD greets a tunnel's client with those of the server's flags that are known, and returns the
// flags of both: what the client says holds inside TLS. An older client, which does not know fixed
// newstyle, has one option, to which there is no reply.
func greetNBD(l *Local, offered uint16) (uint32, error) {
	offered &= nbdFixed | nbdNoZeroes
	if _, err := l.client.Write(binary.BigEndian.AppendUint16([]byte(nbdGreeting+nbdNewstyle), offered)); err != nil {
		return 0, err
	}
	var b [4]byte
	if _, err := io.ReadFull(l.client, b[:]); err != nil {
		return 0, err
	}
	flags := binary.BigEndian.Uint32(b[:])
	if flags&^uint32(offered) != 0 {
		return 0, l.misspoken(fmt.Sprintf("client flags %08x, of which %08x were offered", flags, offered))
	}
	return flags | nbdFixed, nil
}

// nbdEnds are the two ends of a session in which the client's own wish for TLS is refused.
func nbdEnds(_ *Local, client, server net.Conn) (net.Conn, net.Conn) {
	return &nbdClient{Conn: client}, server
}

// nbdClient is the client's end. Its wish for TLS is the first of its options, when the server has
// nothing to say; one behind others is the server's to refuse, as it has to inside TLS.
type nbdClient struct {
	net.Conn
	held   []byte // of an option, not whole, and then what is not yet returned
	err    error  // what follows
	passed bool   // what follows is the server's
}

// nbdOption is how long an option is without its data: magic number, option, length of its data.
const nbdOption = len(nbdNewstyle) + 4 + 4

// Read returns what the client says behind its wish for TLS.
func (c *nbdClient) Read(p []byte) (int, error) {
	if !c.passed {
		if err := c.refuse(); err != nil {
			return 0, err
		}
	}
	if len(c.held) == 0 && c.err == nil {
		return c.Conn.Read(p)
	}
	if len(c.held) == 0 {
		return 0, c.err
	}
	n := copy(p, c.held)
	c.held = c.held[n:]
	return n, nil
}

// refuse refuses TLS up to something else.
func (c *nbdClient) refuse() error {
	for {
		const wish = nbdNewstyle + "\x00\x00\x00\x05\x00\x00\x00\x00" // NBD_OPT_STARTTLS, of no data
		for len(c.held) < nbdOption && c.err == nil && strings.HasPrefix(wish, string(c.held)) {
			var n int
			chunk := make([]byte, nbdOption-len(c.held))
			n, c.err = c.Conn.Read(chunk)
			c.held = append(c.held, chunk[:n]...)
		}
		if string(c.held) != wish {
			c.passed = true
			return nil
		}
		c.held = c.held[:0]
		const text = "the tunnel does TLS in the client's place"
		reply := binary.BigEndian.AppendUint32([]byte(nbdReply), nbdStartTLS)
		reply = binary.BigEndian.AppendUint32(reply, nbdPolicy)
		reply = binary.BigEndian.AppendUint32(reply, uint32(len(text)))
		if _, err := c.Conn.Write(append(reply, text...)); err != nil {
			return err
		}
	}
}

// CloseWrite ends the writing side.
func (c *nbdClient) CloseWrite() error { return closeWrite(c.Conn) }
