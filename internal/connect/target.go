package connect

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"tlsup/internal/quote"
	"tlsup/internal/suggest"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// A Target is a server and how to speak to it.
type Target struct {
	Protocol *negotiate.Protocol
	Host     string // name or address, without brackets
	Port     int
	Socket   string // path of a Unix socket, in place of host and port

	// PortGiven tells that Port was given, and is not the protocol's own.
	PortGiven bool
	// Verb is the subcommand that was run for it, which a hint's command has too; "" for the pipe.
	Verb string

	unicode string // the host as it was given, where Host is its ASCII form
	domain  string // what the certificate has to be valid for, where that is not Host

	led      string      // the domain whose MX records led to Host
	mail     bool        // MX records were asked for
	unsigned string      // what led to Host and is not authentic; "" for nothing
	dane     *trust.DANE // what the DNS has to say of the certificate; nil if it was not asked
}

// ParseTarget reads SCHEME://HOST[:PORT], HOST[:PORT], HOST with a port of its own, or
// unix:PATH in place of HOST:PORT. p is the protocol chosen by an option, or nil: a scheme
// names it, and without one it is TLS from the first byte. Errors are faults of the command
// line.
func ParseTarget(text, port string, p *negotiate.Protocol) (Target, error) {
	fault := func(format string, args ...any) (Target, error) {
		return Target{}, fmt.Errorf("target %s: %w", quote.Short(text), fmt.Errorf(format, args...))
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "", text
	} else {
		if p != nil {
			return fault("the scheme %s:// can't be used with an option that chooses how TLS starts", quote.Escape(scheme))
		}
		var err error
		if p, err = FindProtocol(scheme); err != nil {
			return fault("%w", err)
		}
	}
	if p == nil {
		p = negotiate.TLS()
	}
	t := Target{Protocol: p}
	if path, ok := strings.CutPrefix(rest, "unix:"); ok {
		if path == "" || port != "" {
			return fault("a Unix socket is unix:PATH, without a port")
		}
		t.Socket = path
		return t, nil
	}

	rest = strings.TrimSuffix(rest, "/")
	host, inside, err := splitHostPort(rest)
	if err != nil {
		return fault("%w", err)
	}
	if inside != "" && port != "" {
		return fault("two ports, %s and %s", quote.Escape(inside), quote.Escape(port))
	}
	if port == "" {
		port = inside
	}
	if t.Host = host; strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) {
		if t.Host, err = idna.Lookup.ToASCII(host); err != nil {
			return fault("it is no domain name: %w", err)
		}
		t.unicode = host
	}
	if t.Port, t.PortGiven = p.Port, port != ""; t.PortGiven {
		if t.Port, err = parsePort(port); err != nil {
			return fault("%w", err)
		}
	}
	if t.Port == 0 {
		return fault("%s has no port of its own, name one", p.Name)
	}
	return t, nil
}

// splitHostPort splits HOST, HOST:PORT, [ADDRESS], [ADDRESS]:PORT or a bare IPv6 address.
func splitHostPort(s string) (host, port string, err error) {
	host = s
	switch {
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", fmt.Errorf("a [ without its ]")
		}
		var ok bool
		host = s[1:end]
		if port, ok = strings.CutPrefix(s[end+1:], ":"); !ok && s[end+1:] != "" || ok && port == "" {
			return "", "", fmt.Errorf("only :PORT may follow the ]")
		}
		if ip, err := netip.ParseAddr(host); err != nil || !ip.Is6() {
			return "", "", fmt.Errorf("%s is not an IPv6 address", quote.Short(host))
		}
		return host, port, nil
	case strings.Count(s, ":") > 1:
		if _, err := netip.ParseAddr(s); err != nil {
			return "", "", fmt.Errorf("neither HOST:PORT nor an IPv6 address")
		}
		return s, "", nil
	case strings.Contains(s, ":"):
		host, port, _ = strings.Cut(s, ":")
		if port == "" {
			return "", "", fmt.Errorf("nothing behind the colon")
		}
	}
	if host == "" {
		return "", "", fmt.Errorf("no host")
	}
	for _, r := range host {
		if strings.ContainsRune("/@?#%\\\"'<>[]`$&;|*(){}", r) || r <= ' ' || r == 0x7f {
			return "", "", fmt.Errorf("%q does not belong into a host", r)
		}
	}
	if strings.HasPrefix(host, "-") {
		return "", "", fmt.Errorf("a host does not begin with -")
	}
	return host, port, nil
}

// parsePort reads a number from 1 to 65535 or the name of a service.
func parsePort(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil || strings.Trim(s, "+-0123456789") == "" {
		if err != nil || n < 1 || n > 65535 {
			return 0, fmt.Errorf("port %s is not between 1 and 65535", quote.Escape(s))
		}
		return n, nil
	}
	if p := negotiate.Find(s); p != nil && p.Port != 0 {
		return p.Port, nil
	}
	n, err := net.LookupPort("tcp", s)
	if err != nil {
		return 0, fmt.Errorf("port %s is neither a number nor a known service", quote.Short(s))
	}
	return n, nil
}

// FindProtocol returns the protocol of that name, or an error that names the one that was
// probably meant.
func FindProtocol(name string) (*negotiate.Protocol, error) {
	if p := negotiate.Find(name); p != nil {
		return p, nil
	}
	var names []string
	for _, p := range negotiate.All() {
		names = append(append(names, p.Name), p.Aliases...)
	}
	if like := suggest.Closest(name, names); like != "" {
		return nil, fmt.Errorf("unknown protocol %s, did you mean %s?", quote.Short(name), like)
	}
	return nil, fmt.Errorf("unknown protocol %s, see tlsup --list", quote.Short(name))
}

// Address is what messages call the target: HOST:PORT, or the socket's path.
func (t Target) Address() string {
	if t.Socket != "" {
		return quote.Escape(t.Socket)
	}
	return net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
}

// ServerName is the name that the certificate has to be valid for: the domain that led to
// the host, or the host itself, without a final dot or a zone.
func (t Target) ServerName() string {
	switch {
	case t.Socket != "":
		return ""
	case t.domain != "":
		return t.domain
	}
	host, _, _ := strings.Cut(t.Host, "%")
	return strings.TrimSuffix(host, ".")
}

// sentName is the name that the upgrade sends, if it is not to be the default. Where that is
// the service's domain, it goes out in Unicode (RFC 7622, 3.2).
func (t Target) sentName(o *Options) string {
	if o.Name == "" && t.Protocol.Names == negotiate.ServiceDomain {
		return strings.TrimSuffix(t.unicode, ".")
	}
	return o.Name
}

// Command is a command line that reaches the target by another protocol.
func (t Target) Command(p *negotiate.Protocol) string {
	words := "tlsup "
	if t.Verb != "" {
		words += t.Verb + " "
	}
	if t.Socket != "" {
		return words + shellWord(p.Name+"://unix:"+t.Socket)
	}
	return words + shellWord(p.Name+"://"+t.Address())
}

// shellWord quotes a word for a shell where it has to be, and makes it printable.
func shellWord(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-") == "" {
		return word
	}
	for _, r := range word {
		if !strconv.IsPrint(r) {
			return quote.Short(word) // no shell would read it back
		}
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
