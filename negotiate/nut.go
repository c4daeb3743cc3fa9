package negotiate

import (
	"io"
	"strings"
)

// NUT, Network UPS Tools, STARTTLS (RFC 9271). Lines end in LF:
//
//	C: STARTTLS
//	S: OK STARTTLS
//	   <TLS>
//
// "ERR" and a word in place of "OK" refuse. Inside TLS the server is silent and the
// client says who it is.
var nut = &Protocol{
	Name:    "nut",
	Family:  Remote,
	Title:   "uninterruptible power supplies (Network UPS Tools)",
	Port:    3493,
	Specs:   []string{"RFC 9271"},
	Servers: []string{"NUT"},
	Upgrade: upgradeNUT,
	Remarks: []Remark{
		{"C: STARTTLS", "the client speaks first; lines end in LF alone"},
		{"S: OK STARTTLS", "the go-ahead: the next byte belongs to the TLS handshake; ERR refuses"},
	},
	Note: "Inside TLS the server is silent. Lines end in LF. upsd ends the session without close_notify.",
}

var _ = register(nut)

// nutHints say what to do about errors (RFC 9271, 4.3).
func nutHints() map[string]string {
	return map[string]string{
		"FEATURE-NOT-CONFIGURED": "upsd has no certificate: CERTFILE in upsd.conf names one, or CERTPATH and CERTIDENT where upsd is built with NSS",
		"FEATURE-NOT-SUPPORTED":  "this upsd is built without TLS",
		"ALREADY-SSL-MODE":       "the connection is in TLS already, by something between here and upsd",
		"UNKNOWN-COMMAND":        "this server knows no TLS",
	}
}

func upgradeNUT(c *Conn, _ *Options) error {
	c.Step(Upgrade)
	if _, err := io.WriteString(c, "STARTTLS\n"); err != nil {
		return err
	}
	answer, err := c.ReadLine()
	if err != nil {
		return err
	}
	if answer == "OK STARTTLS" {
		return nil
	}
	words := strings.Fields(answer)
	if len(words) == 0 || words[0] != "ERR" {
		return Unexpected(answer)
	}
	if len(words) > 1 && nutHints()[words[1]] != "" {
		return Hinted(Refused(answer), nutHints()[words[1]])
	}
	return Refused(answer)
}
