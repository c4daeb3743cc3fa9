package negotiate

import (
	"fmt"
	"strings"

	"tlsup/internal/quote"
)

// ICAP, by which proxies have content checked and changed, Upgrade: TLS (RFC 3507, 4.3.1 and 7.2,
// which are RFC 2817's way; OPTIONS is 4.10's):
//
//	C: OPTIONS icap://icap.example.org/ ICAP/1.0
//	C: Host: icap.example.org
//	C: Upgrade: TLS/1.2, TLS/1.1, TLS/1.0
//	C: Connection: Upgrade
//	C:
//	S: ICAP/1.0 101 Switching Protocols
//	S: Upgrade: TLS/1.0, ICAP/1.0
//	S: Connection: Upgrade
//	S:
//	   <TLS>
//	S: ICAP/1.0 200 OK
//	S: Methods: RESPMOD
//	S: ISTag: "W3E4R7U9-L2E4-2"
//	S: Encapsulated: null-body=0
//	S:
//
// What the server says inside TLS is its answer to OPTIONS, which it owes. Its content is in
// chunks, where Encapsulated names opt-body.
var icap = &Protocol{
	Name:      "icap",
	Family:    Files,
	Title:     "checks of web content (ICAP)",
	Port:      1344,
	Specs:     []string{"RFC 3507", "RFC 2817"},
	Implicit:  "icaps",
	Lines:     true,
	Names:     ServiceDomain,
	Recognise: greetsLikeHTTP(icapStatusLine),
	Upgrade:   httpKind{implicit: "icaps", port: 1344, request: icapOptions, status: icapStatusLine}.upgrade,
	Inside:    insideICAP,
	Remarks: []Remark{
		{"C: OPTIONS", "a request that asks for nothing but what the server can do, so that nothing is said in the clear"},
		{"C: Host", "the target's name, or --starttls-name, for which the certificate is checked; with the port unless it is 1344"},
		{"C: Upgrade", "any version of TLS may come of it: that is the handshake's to settle"},
		{"S: ICAP/1.0 101", "the go-ahead, up to the empty line; any other answer ends the run"},
		{"S: Upgrade", "has to name TLS"},
		{"S: ICAP/1.0 200", "the answer to OPTIONS, which the server owes inside TLS; it is read and dropped"},
	},
	Note: "The answer to OPTIONS is not part of the session, which begins behind it with the client's next request. " +
		"The specification has this upgrade, and hardly a server does it: c-icap and the like have a port for TLS from the first byte.",
}

var icaps = &Protocol{
	Name:    "icaps",
	Family:  Files,
	Title:   "ICAP in TLS from the first byte",
	Port:    11344,
	Specs:   []string{"RFC 3507"},
	Sibling: "icap",
	Lines:   true,
	Note:    "The client begins, with a request: the server says nothing before. No port is registered for it: 11344 is the one that Squid and c-icap have made usual.",
}

var _ = register(icap, icaps)

// icapStatusLine matches a status line (RFC 3507, 4.3.3).
var icapStatusLine = lazy(`^ICAP/1\.0 [1-5][0-9][0-9]( .*)?$`)

// icapOptions asks for nothing: a request names a service, and this is the shortest name.
func icapOptions(authority string) string { return "OPTIONS icap://" + authority + "/ ICAP/1.0" }

// insideICAP reads the answer to OPTIONS.
func insideICAP(c *Conn, _ *Options) error {
	answer, err := readHTTP(c, icapStatusLine)
	switch {
	case err != nil:
		return err
	case answer.code == 101:
		return Unexpected(answer.line)
	case answer.connection("close"):
		return answer.closing()
	case answer.fields["transfer-encoding"] != nil: // not allowed (RFC 3507, 4.3.1)
		return fmt.Errorf("%w, in the coding %s", Unexpected(answer.line), quote.Short(strings.Join(answer.list("transfer-encoding"), ", ")))
	}
	switch parts := strings.Join(answer.list("encapsulated"), ", "); parts {
	case "", "null-body=0": // errors may come without the field
		return nil
	case "opt-body=0":
		return skipChunks(c)
	default: // (RFC 3507, 4.4.1)
		return fmt.Errorf("%w, with content of the parts %s", Unexpected(answer.line), quote.Short(parts))
	}
}
