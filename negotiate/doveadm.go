package negotiate

import (
	"fmt"
	"io"
	"strconv"
)

// Dovecot's doveadm, STARTTLS (as its doveadm-server and clients have it since version 2.3.9). Words
// are separated by tabs, lines end in LF:
//
//	C: VERSION	doveadm-server	1	2
//	S: VERSION	doveadm-client	1	2
//	S: -
//	C: STARTTLS
//	   <TLS>
//
// The version is the offer: 1.2 has STARTTLS, which the server does not answer. The hyphen wants
// to know who the client is; a plus sign, that nobody need say, comes on sockets of the machine's
// own, which have no TLS. What comes behind the hyphen in the clear is the server's refusal, for which
// it says another hyphen, or an injection.
var doveadmProtocol = &Protocol{
	Name:    "doveadm",
	Family:  Mail,
	Title:   "administration of Dovecot (doveadm)",
	Port:    24245,
	Specs:   []string{"Dovecot doveadm protocol"},
	Servers: []string{"Dovecot"},
	Upgrade: upgradeDoveadm,
	Refusal: refusedByDoveadm,
	Remarks: []Remark{
		{"C: VERSION", "the client speaks first; lines end in LF alone"},
		{"S: VERSION", "the offer, in the last number: 2 or more; without it there is no session"},
		{"S: -", "the server wants to know who it is, which is for inside TLS"},
		{"C: STARTTLS", "the go-ahead is silence: the next byte belongs to the TLS handshake, another hyphen refuses"},
	},
	Note: "Inside TLS the server is silent: the client logs in with PLAIN, and what the server says to commands comes in packets. " +
		"Lines end in LF. A server without doveadm_password, or without a certificate, says a hyphen where the handshake is due, and closes.",
}

var _ = register(doveadmProtocol)

const doveadmSTARTTLS = 2 // the minor version that has it

var (
	doveadmServer = lazy(`^VERSION\tdoveadm-client\t1\t([0-9]{1,6})$`)
	doveadmClient = lazy(`^VERSION\tdoveadm-server\t1\t([0-9]{1,6})$`)
)

func upgradeDoveadm(c *Conn, _ *Options) error {
	ours := doveadmSTARTTLS
	if c.local != nil {
		var err error
		if ours, err = c.local.doveadmVersion(); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(c, "VERSION\tdoveadm-server\t1\t%d\n", ours); err != nil {
		return err
	}
	line, err := c.ReadLine()
	if err != nil {
		return err
	}
	version := doveadmServer.get().FindStringSubmatch(line)
	if version == nil && line != "-" && line != "+" {
		return Unexpected(line)
	}
	theirs := 0 // older servers say none, or say it last
	if version != nil {
		theirs, _ = strconv.Atoi(version[1])
	}
	if theirs < doveadmSTARTTLS {
		return Hinted(NotOffered("STARTTLS"), "Dovecot has it since version 2.3.9")
	}
	switch line, err = c.ReadLine(); {
	case err != nil:
		return err
	case line == "+":
		return Hinted(NotOffered("STARTTLS"), "the server lets everybody in here, without TLS")
	case line != "-":
		return Unexpected(line)
	}

	c.Step(Upgrade)
	c.Greeting = fmt.Appendf(nil, "VERSION\tdoveadm-client\t1\t%d\n-\n", theirs)
	_, err = io.WriteString(c, "STARTTLS\n")
	return err
}

// refusedByDoveadm reads the hyphen that a server says behind STARTTLS.
func refusedByDoveadm(text []byte) (words, hint string, ok bool) {
	return "-", "a server without doveadm_password, or without a certificate, says a hyphen there", string(text) == "-\n"
}

// doveadmVersion reads the version that the local client speaks.
func (l *Local) doveadmVersion() (int, error) {
	line, err := l.client.ReadLine()
	if err != nil {
		return 0, err
	}
	version := doveadmClient.get().FindStringSubmatch(line)
	if version == nil {
		return 0, l.misspoken(line)
	}
	minor, err := strconv.Atoi(version[1])
	if err != nil || minor < doveadmSTARTTLS {
		return 0, Hinted(l.misspoken(line), "the client is older than version 2.3.9")
	}
	return minor, nil
}
