package negotiate

import (
	"strings"
)

// The replication of Cyrus IMAP, STARTTLS (as its sync_server and sync_client have it; there
// is no other specification):
//
//	S: * SASL PLAIN
//	S: * STARTTLS
//	S: * COMPRESS DEFLATE
//	S: * OK mail.example.org Cyrus sync server 3.6.1
//	C: STARTTLS
//	S: OK Begin TLS negotiation now
//	   <TLS>
//
// NO, BAD and BYE refuse. Inside TLS the server sends its banner again, without STARTTLS.
var csync = &Protocol{
	Name:      "csync",
	Family:    Mail,
	Title:     "copies of mailboxes, between servers (Cyrus replication)",
	Port:      2005,
	Specs:     []string{"Cyrus replication protocol"},
	Servers:   []string{"Cyrus"},
	Lines:     true,
	Recognise: csyncBanner.Match,
	Greets:    true,
	Upgrade:   upgradeCsync,
	Remarks: []Remark{
		{"S: * STARTTLS", "the offer; without it there is no session"},
		{"S: * OK", "the end of the banner"},
		{"C: STARTTLS", "commands have no tags"},
		{"S: OK", "the go-ahead: the next byte belongs to the TLS handshake"},
	},
	Note: "Inside TLS the server sends its banner again by itself, with the mechanisms that it takes there: it is the beginning of the session.",
}

var _ = register(csync)

var (
	// csyncBanner matches how a banner begins.
	csyncBanner = lazy(`^\* (SASL |(STARTTLS|COMPRESS DEFLATE|SIEVE-MAILBOX|REPLICATION-ARCHIVE)\r?\n|OK \S+ Cyrus sync server )`)
	// csyncEnd matches the banner's last line.
	csyncEnd = lazy(`^\* OK \S+ Cyrus sync server( |$)`)
	// csyncLine matches the others.
	csyncLine = lazy(`^\* [A-Z-]+( |$)`)
	// csyncRefusal matches a refusal, or the last words of a server that can't run.
	csyncRefusal = lazy(`^(\* )?(NO|BAD|BYE|Fatal error:)( |$)`)
)

func upgradeCsync(c *Conn, _ *Options) error {
	offered := false
	for done := false; !done; {
		line, err := readCsync(c)
		switch {
		case err != nil:
			return err
		case line == "* STARTTLS":
			offered = true
		case csyncEnd.get().MatchString(line):
			done = true
		case !csyncLine.get().MatchString(line) || strings.HasPrefix(line+" ", "* OK "):
			return Unexpected(line)
		}
	}
	if !offered {
		return Hinted(NotOffered("STARTTLS"), cyrusHint)
	}

	c.Step(Upgrade)
	if err := c.WriteLine("STARTTLS"); err != nil {
		return err
	}
	line, err := readCsync(c)
	if err == nil && !strings.HasPrefix(line+" ", "OK ") {
		err = Unexpected(line)
	}
	return err
}

// readCsync reads a line. One that refuses is an error.
func readCsync(c *Conn) (string, error) {
	line, err := c.ReadLine()
	if err == nil && csyncRefusal.get().MatchString(line) {
		err = Refused(line)
	}
	return line, err
}
