package trust

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tlsup/internal/quote"
)

// A Server is whom a session is with.
type Server struct {
	Address  string // host:port, or a socket's path
	Protocol string // what is spoken
	// DANE is what the DNS has to say of its certificate; nil if it was not asked.
	DANE *DANE
	// Sessions, if not nil, keeps its TLS sessions for resumption, in place of a file.
	Sessions tls.ClientSessionCache
	// Notice, if not nil, is told what a person should know though it is no error.
	Notice func(string)
}

// For returns the settings for sessions with one server, as known hosts and DANE need them.
func (c *Config) For(server Server) *Config {
	bound := *c
	bound.server = server
	return &bound
}

func (c *Config) notice(format string, args ...any) {
	if c.server.Notice != nil {
		c.server.Notice(fmt.Sprintf(format, args...))
	}
}

// known are servers whose keys were seen before, in a file that has a line for each:
//
//	HOST:PORT PROTOCOL sha256//BASE64 FIRST LAST SUBJECT
//
// FIRST and LAST are the days, in UTC, on which the key was seen. Lines that are not like this are
// left as they are.
type known struct {
	file   string
	gnutls string // GnuTLS's own file, which is only read; "" for none
	// ask asks a person; nil: there is nobody.
	ask func(question string) (bool, error)
}

// A knownHost is one line of the file.
type knownHost struct {
	address, protocol, pin, first, last, subject string

	line int // its number, from 1
}

func (h knownHost) String() string {
	return strings.Join([]string{h.address, h.protocol, h.pin, h.first, h.last, h.subject}, " ")
}

func parseKnownHost(line string) (h knownHost, ok bool) {
	fields := strings.SplitN(strings.TrimSpace(line), " ", 6)
	if len(fields) < 5 || strings.HasPrefix(fields[0], "#") {
		return h, false
	}
	h = knownHost{address: fields[0], protocol: fields[1], pin: fields[2], first: fields[3], last: fields[4]}
	if len(fields) == 6 {
		h.subject = fields[5]
	}
	_, err := parsePin(h.pin)
	return h, err == nil
}

// oneWord escapes what would make an address more than one word of a line.
func oneWord(address string) string {
	return strings.NewReplacer("%", "%25", " ", "%20", "\t", "%09", "\n", "%0A", "\r", "%0D", "#", "%23").Replace(address)
}

// seen is the line that a server makes today.
func (s *Server) seen(leaf *x509.Certificate) knownHost {
	today := date(time.Now())
	return knownHost{
		address: oneWord(strings.ToLower(s.Address)), protocol: s.Protocol,
		pin: Pin(leaf), first: today, last: today, subject: subject(leaf),
	}
}

// find returns the line in data that is about the same server as h.
func (h knownHost) find(data []byte) (found knownHost, ok bool) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		if other, ok := parseKnownHost(lines.Text()); ok && other.address == h.address && other.protocol == h.protocol {
			other.line = n
			return other, true
		}
	}
	return knownHost{}, false
}

// Reasons why a known host is not trusted.
var (
	ErrUnknownHost = errors.New("the server is not known")
	ErrChangedHost = errors.New("the server has another key than before")
)

// problems is what is known against a server's certificate.
func (k *known) problems(server Server, leaf *x509.Certificate) []problem {
	data, err := os.ReadFile(k.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return []problem{{says: fmt.Sprintf("the known hosts cannot be read, %s: %v", pathText(k.file), withoutPath(err)), err: err}}
	}
	now := server.seen(leaf)
	before, ok := now.find(data)
	if ok && before.pin != now.pin {
		return []problem{k.changed(before, now, leaf)}
	}
	if ok {
		return nil
	}
	switch known, changed := k.inGnutls(server, leaf); {
	case changed:
		return []problem{{
			cert: leaf, err: ErrChangedHost,
			says: fmt.Sprintf("has another key than GnuTLS knows, in %s: now it is %s", pathText(k.gnutls), now.pin),
			hint: "somebody may be in the way; if its operator says that the key is a new one, take the server's lines out of that file",
		}}
	case !known:
		return []problem{{
			cert: leaf, err: ErrUnknownHost,
			says: "is of a server that is not known: its key is " + now.pin,
			hint: "if its operator says that this is its key, give it to tlsup --tofu, which asks on a terminal",
		}}
	}
	return nil
}

// besides is how much of a key or subject stands beside another, so that both fit a terminal: the keys are
// told in full above.
const besides = 26

// changed puts the key that is known and another one side by side.
func (k *known) changed(before, now knownHost, leaf *x509.Certificate) problem {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, " \tknown\tnow\n")
	fmt.Fprintf(w, "key\t%s\t%s\n", cut(before.pin, besides), cut(now.pin, besides))
	fmt.Fprintf(w, "subject\t%s\t%s\n", quote.Escape(cut(before.subject, besides)), cut(now.subject, besides))
	fmt.Fprintf(w, "dates\tseen %s to %s\tvalid %s to %s\n", value(before.first), value(before.last), date(leaf.NotBefore), date(leaf.NotAfter))
	w.Flush()
	return problem{
		cert: leaf, err: ErrChangedHost,
		says:   fmt.Sprintf("has another key than the server had before: known is %s, now it is %s", before.pin, now.pin),
		detail: strings.Split(strings.TrimRight(b.String(), "\n"), "\n"),
		hint:   fmt.Sprintf("somebody may be in the way; if its operator says that the key is a new one, take line %d out of %s", before.line, pathText(k.file)),
	}
}

// settle is what becomes of a verification that found err: it asks about a server that is not
// known, and notes that a known one was seen.
func (c *Config) settle(cs tls.ConnectionState, name string, err error) error {
	k := c.known
	var refused *Error
	switch {
	case err == nil:
		if err := k.note(c.server.seen(cs.PeerCertificates[0])); err != nil {
			c.notice("the day can't be noted in the known hosts: %v", err)
		}
		return nil
	case !errors.As(err, &refused) || k.ask == nil || slices.ContainsFunc(refused.problems, func(p problem) bool { return p.err != ErrUnknownHost }):
		return err
	}
	leaf := cs.PeerCertificates[0]
	yes, failed := k.ask(c.question(cs, name))
	switch {
	case failed != nil:
		refused.problems[0].says += fmt.Sprintf("; asking about it failed: %v", failed)
		refused.Err = failed
		return refused
	case !yes:
		refused.problems[0].says += "; the answer was no"
		return refused
	}
	if err := k.note(c.server.seen(leaf)); err != nil {
		return refuse(cs.PeerCertificates, problem{
			cert: leaf, err: err,
			says: fmt.Sprintf("cannot be added to the known hosts, %s: %v", pathText(k.file), withoutPath(err)),
		})
	}
	return nil
}

// question is what a person has to know of a server that is not known, line by line.
func (c *Config) question(cs tls.ConnectionState, name string) string {
	leaf := cs.PeerCertificates[0]
	chain := "trusted"
	if _, problems := c.verifyChain(cs.PeerCertificates, c.reference(name)); problems != nil {
		chain = "not trusted: " + refuse(cs.PeerCertificates, problems...).Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s) is not known yet. Its certificate:\n", value(c.server.Address), c.server.Protocol)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  key\t%s\n", Pin(leaf))
	fmt.Fprintf(w, "  SHA-256\t%s\n", certPin(leaf))
	fmt.Fprintf(w, "  subject\t%s\n", subject(leaf))
	if names := altNames(leaf); len(names) > 0 {
		fmt.Fprintf(w, "  names\t%s\n", list(names))
	}
	fmt.Fprintf(w, "  issued by\t%s\n", issuer(leaf))
	fmt.Fprintf(w, "  valid\tfrom %s to %s\n", date(leaf.NotBefore), date(leaf.NotAfter))
	fmt.Fprintf(w, "  chain\t%s\n", chain)
	w.Flush()
	b.WriteString("Trust this key from now on?")
	return b.String()
}

// note writes down that a server was seen today. It returns ErrChangedHost if by now the file has
// another key of it.
func (k *known) note(now knownHost) error {
	if data, err := os.ReadFile(k.file); err == nil {
		if before, ok := now.find(data); ok && before.pin == now.pin && before.last == now.last {
			return nil
		}
	}
	return rewrite(k.file, func(old []byte) ([]byte, error) {
		before, ok := now.find(old)
		if !ok {
			if len(old) > 0 && old[len(old)-1] != '\n' {
				old = append(old, '\n')
			}
			return append(old, now.String()+"\n"...), nil
		}
		if before.pin != now.pin {
			return nil, ErrChangedHost
		}
		now.first = before.first
		lines := strings.SplitAfter(string(old), "\n")
		lines[before.line-1] = now.String() + "\n"
		return []byte(strings.Join(lines, "")), nil
	})
}
