package negotiate

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
)

// Munin, between its master and a node, STARTTLS (as both have it since version 1.4; the rest is in
// Munin's guide, "Data exchange between master and node"). Lines end in LF:
//
//	S: # munin node at host.example.org
//	C: STARTTLS
//	S: TLS OK
//	   <TLS>
//
// "TLS MAYBE" comes from a node without a key of its own: it would be the client in the handshake,
// and the master the server. Other answers are comments, and refuse.
var munin = &Protocol{
	Name:      "munin",
	Family:    Remote,
	Title:     "figures of machines (Munin)",
	Port:      4949,
	Specs:     []string{"Munin node protocol"},
	Servers:   []string{"Munin"},
	Recognise: muninGreeting.Match,
	Greets:    true,
	Upgrade:   upgradeMunin,
	// munin-node takes all that is in a record for one command, and forgets the lines behind the first.
	Packet: muninCommand,
	Remarks: []Remark{
		{"S: # munin node at", "the greeting, with the name that the node goes by"},
		{"C: STARTTLS", "lines end in LF alone"},
		{"S: TLS OK", "the go-ahead: the next byte belongs to the TLS handshake; TLS MAYBE refuses"},
	},
	Note: "Inside TLS the node is silent: it does not greet again. Lines end in LF. The node takes one command from each TLS record, and gets it so from tlsup. It ends the session without close_notify.",
}

var _ = register(munin)

var (
	muninGreeting = lazy(`^# munin node at `)
	muninNode     = lazy(`^# munin node at ([A-Za-z0-9._:-]{1,253})$`)
)

func upgradeMunin(c *Conn, _ *Options) error {
	greeting, err := c.ReadLine()
	if err != nil {
		return err
	}
	node := muninNode.get().FindStringSubmatch(greeting)
	if node == nil {
		return Unexpected(greeting)
	}
	c.Greeting = []byte("# munin node at " + node[1] + "\n")

	c.Step(Upgrade)
	if _, err := io.WriteString(c, "STARTTLS\n"); err != nil {
		return err
	}
	switch answer, err := c.ReadLine(); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Hinted(err, "a node says nothing where tls is disabled in munin-node.conf, and where Perl has no Net::SSLeay")
	case err != nil:
		return err
	case answer == "TLS OK":
		return nil
	case answer == "TLS MAYBE":
		return Hinted(Refused(answer), "the node has no key of its own: tls_private_key and tls_certificate name one in munin-node.conf")
	case strings.HasPrefix(answer, "# "):
		return Refused(answer)
	default:
		return Unexpected(answer)
	}
}

// muninCommand is how long the command is that data begins with; what has no end in sight is none.
func muninCommand(data []byte) int {
	n := bytes.IndexByte(data, '\n') + 1
	if n == 0 && len(data) > MaxBytes {
		return -1
	}
	return n
}
