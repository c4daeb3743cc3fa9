package negotiate

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"tlsup/internal/quote"
)

// HTTP, Upgrade: TLS (RFC 2817, 3.2 and 3.3):
//
//	C: OPTIONS * HTTP/1.1
//	C: Host: www.example.org
//	C: Upgrade: TLS/1.2, TLS/1.1, TLS/1.0
//	C: Connection: Upgrade
//	C:
//	S: HTTP/1.1 101 Switching Protocols
//	S: Upgrade: TLS/1.0, HTTP/1.1
//	S: Connection: Upgrade
//	S:
//	   <TLS>
//	S: HTTP/1.1 200 OK
//	S: Content-Length: 0
//	S:
//
// What the server says inside TLS is its answer to OPTIONS, which it owes.
var http = &Protocol{
	Name:      "http",
	Family:    Files,
	Title:     "web",
	Port:      80,
	Specs:     []string{"RFC 2817"},
	Servers:   []string{"CUPS"},
	Implicit:  "https",
	Lines:     true,
	Names:     ServiceDomain,
	Recognise: greetsLikeHTTP(httpStatusLine),
	Upgrade:   httpKind{implicit: "https", port: 80, request: httpOptions, status: httpStatusLine}.upgrade,
	Inside:    insideHTTP,
	Remarks:   httpRemarks,
	Note:      httpNote,
}

var https = &Protocol{
	Name:    "https",
	Family:  Files,
	Title:   "web in TLS from the first byte",
	Port:    443,
	ALPN:    []string{"http/1.1"},
	Specs:   []string{"RFC 9110"},
	Servers: []string{"CUPS"},
	Sibling: "http",
	Lines:   true,
	Note:    "The client begins, with a request. It speaks HTTP/1.1: no other version is offered, since a pipe carries what is typed.",
}

var ipp = &Protocol{
	Name:     "ipp",
	Family:   Remote,
	Title:    "printing",
	Port:     631,
	Specs:    []string{"RFC 2817", "RFC 8010"},
	Servers:  []string{"CUPS"},
	Implicit: "ipps",
	Lines:    true,
	Names:    ServiceDomain,
	Upgrade:  httpKind{implicit: "ipps", port: 80, request: httpOptions, status: httpStatusLine}.upgrade,
	Inside:   insideHTTP,
	Remarks:  httpRemarks,
	Note:     httpNote,
}

var ipps = &Protocol{
	Name:    "ipps",
	Family:  Remote,
	Title:   "printing in TLS from the first byte",
	Port:    631,
	ALPN:    []string{"http/1.1"},
	Specs:   []string{"RFC 7472"},
	Servers: []string{"CUPS"},
	Sibling: "ipp",
	Lines:   true,
	Note:    "The client begins, with a request: the server says nothing before.",
}

var _ = register(http, https, ipp, ipps)

var httpRemarks = []Remark{
	{"C: OPTIONS", "a request that asks for nothing, so that nothing is said in the clear"},
	{"C: Host", "the target's name, or --starttls-name, for which the certificate is checked; with the port unless it is 80"},
	{"C: Upgrade", "any version of TLS may come of it: that is the handshake's to settle"},
	{"S: HTTP/1.1 101", "the go-ahead, up to the empty line; any other answer ends the run"},
	{"S: Upgrade", "has to name TLS"},
	{"S: HTTP/1.1 200", "the answer to OPTIONS, which the server owes inside TLS; it is read and dropped"},
}

const httpNote = "The answer to OPTIONS is not part of the session, which begins behind it with the client's next request. " +
	"CUPS knows this upgrade. Apache has had none since 2.4.64: on a port that upgrades, somebody on the way can have " +
	"one request answered with the answer to another (CVE-2025-49812, the Opossum attack). Most servers never had one."

// greetsLikeHTTP returns a function that recognises an answer to something that was no request.
func greetsLikeHTTP(status *expression) func([]byte) bool {
	return func(b []byte) bool {
		line, _, ended := bytes.Cut(b, []byte("\n"))
		return ended && status.Match(bytes.TrimSuffix(line, []byte("\r")))
	}
}

// An httpKind is one of the protocols that upgrade like HTTP.
type httpKind struct {
	implicit string                        // the sibling in TLS from the first byte
	port     int                           // that goes without saying
	request  func(authority string) string // the first line of a request for nothing
	status   *expression                   // matches the first line of an answer
}

// httpOptions asks for nothing of the server as a whole (RFC 9110, 9.3.7).
func httpOptions(string) string { return "OPTIONS * HTTP/1.1" }

func (k httpKind) upgrade(c *Conn, o *Options) error {
	c.Step(Upgrade)
	host, err := httpHost(o)
	if err != nil {
		return err
	}
	authority := host
	if o.Port != 0 && o.Port != k.port {
		authority += ":" + strconv.Itoa(o.Port)
	}
	if err := c.WriteLines(k.request(authority), "Host: "+authority, "Upgrade: TLS/1.2, TLS/1.1, TLS/1.0", "Connection: Upgrade", ""); err != nil {
		return err
	}
	answer, err := readHTTP(c, k.status)
	if err != nil {
		return err
	}
	if answer.code == 101 {
		if !slices.ContainsFunc(answer.list("upgrade"), isTLSToken) {
			return fmt.Errorf("%w, to something that is not TLS", Unexpected(answer.line))
		}
		return nil
	}
	return Hinted(answer.refusal(), answer.hint(k.implicit, host))
}

// refusal is the error for an answer other than 101.
func (a httpAnswer) refusal() error {
	switch {
	case a.code < 300: // a server may ignore the wish (RFC 9110, 7.8)
		return fmt.Errorf("%w to TLS, it answers in the clear: %s", NotOffered("an upgrade"), quote.Short(a.line))
	case a.code == 426:
		return fmt.Errorf("%w, it wants %s and does not switch to it", Refused(a.line), quote.Short(strings.Join(a.list("upgrade"), ", ")))
	}
	return Refused(a.line)
}

// hint says what to do about an answer other than 101.
func (a httpAnswer) hint(implicit, host string) string {
	if a.code == 400 || a.code == 421 {
		return "the server may not serve " + host + ": --starttls-name names another of its names"
	}
	return "few servers have this upgrade, TLS from the first byte is tlsup " + implicit + "://" + host
}

// isTLSToken reports whether a protocol in an Upgrade field is TLS of any version.
func isTLSToken(protocol string) bool {
	name, version, _ := strings.Cut(protocol, "/")
	return strings.EqualFold(name, "TLS") && version != ""
}

// httpHost is the host as the Host field names it (RFC 9110, 7.2): in ASCII.
func httpHost(o *Options) (string, error) {
	host := o.Name
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "[" + host + "]", nil
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	if err := checkHelloName(host); err != nil {
		return "", &OptionError{"Name", err}
	}
	return host, nil
}

// insideHTTP reads the answer to OPTIONS.
func insideHTTP(c *Conn, _ *Options) error {
	answer, err := readHTTP(c, httpStatusLine)
	switch {
	case err != nil:
		return err
	case answer.code == 101:
		return Unexpected(answer.line)
	case !answer.persists():
		return answer.closing()
	}
	return answer.skip(c)
}

// closing is the error for an answer inside TLS behind which the server closes.
func (a httpAnswer) closing() error {
	return fmt.Errorf("%w, inside TLS, and closes the connection", Refused(a.line))
}

// An httpAnswer is an answer without its content.
type httpAnswer struct {
	line   string // the status line
	code   int
	fields map[string][]string // the values by lower-case name
}

var (
	// httpStatusLine matches a status line (RFC 9112, 4).
	httpStatusLine = lazy(`^HTTP/1\.[01] [1-5][0-9][0-9]( .*)?$`)
	// httpField matches a field line (RFC 9112, 5). One that is folded, or has a space before
	// the colon, is an error: others may read it otherwise.
	httpField = lazy("^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$")
)

// readHTTP reads an answer, whose first line status matches, up to the empty line behind its
// fields. Interim answers before it are skipped (RFC 9110, 15.2).
func readHTTP(c *Conn, status *expression) (httpAnswer, error) {
	for {
		line, err := c.ReadLine()
		if err != nil {
			return httpAnswer{}, err
		}
		if !status.get().MatchString(line) {
			return httpAnswer{}, Unexpected(line)
		}
		a := httpAnswer{line: line, fields: make(map[string][]string)}
		a.code, _ = strconv.Atoi(line[len("HTTP/1.1 "):][:3])
		for {
			if line, err = c.ReadLine(); err != nil {
				return httpAnswer{}, err
			}
			if line == "" {
				break
			}
			field := httpField.get().FindStringSubmatch(line)
			if field == nil {
				return httpAnswer{}, Unexpected(line)
			}
			name := strings.ToLower(field[1])
			a.fields[name] = append(a.fields[name], field[2])
		}
		if a.code == 101 || a.code >= 200 {
			return a, nil
		}
	}
}

// list is the value of a field that is a list, as its elements (RFC 9110, 5.6.1).
func (a httpAnswer) list(name string) []string {
	var elements []string
	for _, value := range a.fields[name] {
		for element := range strings.SplitSeq(value, ",") {
			if element = strings.Trim(element, " \t"); element != "" {
				elements = append(elements, element)
			}
		}
	}
	return elements
}

// connection reports whether the field Connection holds an option.
func (a httpAnswer) connection(option string) bool {
	return slices.ContainsFunc(a.list("connection"), func(s string) bool { return strings.EqualFold(s, option) })
}

// persists reports whether the connection outlives the answer (RFC 9112, 9.3), and so
// whether the answer says where it ends (6.3).
func (a httpAnswer) persists() bool {
	if a.connection("close") || strings.HasPrefix(a.line, "HTTP/1.0") && !a.connection("keep-alive") {
		return false
	}
	return a.code == 204 || a.code == 304 || a.fields["content-length"] != nil || a.fields["transfer-encoding"] != nil
}

// skip reads the content of an answer that persists, and drops it.
func (a httpAnswer) skip(c *Conn) error {
	coding, length := a.list("transfer-encoding"), a.list("content-length")
	switch {
	case a.code == 204 || a.code == 304:
		return nil
	case coding != nil && length != nil:
		// What one takes for the content may be the next answer to another (RFC 9112, 6.3).
		return fmt.Errorf("%w, of two different lengths", Unexpected(a.line))
	case len(coding) == 1 && strings.EqualFold(coding[0], "chunked"):
		return skipChunks(c)
	case coding != nil:
		return fmt.Errorf("%w, in the unknown coding %s", Unexpected(a.line), quote.Short(strings.Join(coding, ", ")))
	case len(slices.Compact(length)) != 1:
		return fmt.Errorf("%w, of the length %s", Unexpected(a.line), quote.Short(strings.Join(length, ", ")))
	}
	return skipContent(c, length[0], 10)
}

// skipChunks reads content in chunks, and the fields behind it (RFC 9112, 7.1).
func skipChunks(c *Conn) error {
	for {
		line, err := c.ReadLine()
		if err != nil {
			return err
		}
		size, _, _ := strings.Cut(line, ";") // extensions mean nothing to us
		size = strings.TrimRight(size, " \t")
		if err := skipContent(c, size, 16); err != nil {
			return err
		}
		last := strings.Trim(size, "0") == ""
		for {
			if line, err = c.ReadLine(); err != nil {
				return err
			}
			if line == "" {
				break
			}
			if !last || !httpField.get().MatchString(line) {
				return Unexpected(line)
			}
		}
		if last {
			return nil
		}
	}
}

// skipContent reads as many bytes as a number says, and drops them.
func skipContent(c *Conn, number string, base int) error {
	n, err := strconv.ParseUint(number, base, 63)
	switch {
	case err != nil:
		return fmt.Errorf("%w for a length", Unexpected(number))
	case n > MaxBytes:
		return fmt.Errorf("%w: %d bytes of content", ErrTooLong, n)
	case n == 0:
		return nil
	}
	if _, err := io.CopyN(io.Discard, c, int64(n)); err != nil {
		return err
	}
	c.Describe(fmt.Sprintf("(%d bytes of content)", n))
	return nil
}
