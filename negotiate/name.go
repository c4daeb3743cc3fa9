package negotiate

import (
	"fmt"
	"net"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// helloName is the name that a client gives itself: the option's, the machine's if it
// is a domain name, else the address literal of the local end (RFC 5321, 4.1.3).
func helloName(c *Conn, o *Options) string {
	if o.Name != "" {
		return o.Name
	}
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") && checkHelloName(name) == nil {
		return name
	}
	if tcp, ok := c.LocalAddr().(*net.TCPAddr); ok {
		if ip4 := tcp.IP.To4(); ip4 != nil {
			return "[" + ip4.String() + "]"
		}
		return "[IPv6:" + tcp.IP.String() + "]"
	}
	return "[127.0.0.1]"
}

// greetingHost is the target's name as a greeting may show it.
func greetingHost(o *Options) string {
	if ip := net.ParseIP(o.Host); ip != nil {
		if ip.To4() == nil {
			return "[IPv6:" + ip.String() + "]"
		}
		return "[" + ip.String() + "]"
	}
	if checkHelloName(o.Host) == nil {
		return o.Host
	}
	return "localhost"
}

// checkHelloName accepts a domain name in ASCII or an address literal (RFC 5321,
// 4.1.2), at most 255 bytes.
func checkHelloName(name string) error {
	inner := strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	allowed := ".-_"
	if inner != name {
		allowed = ".:"
		if name != "["+inner+"]" {
			return fmt.Errorf("%q is not a name that can be sent: half an address literal", name)
		}
	}
	if inner == "" || len(name) > 255 {
		return fmt.Errorf("%q is not a name that can be sent: it has %d bytes, 1 to 255 are allowed", name, len(name))
	}
	for _, r := range inner {
		if r >= utf8.RuneSelf || !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune(allowed, r)) {
			return fmt.Errorf("%q is not a name that can be sent: it contains %q", name, r)
		}
	}
	return nil
}

// checkDomain accepts a domain name, in Unicode too, or an IP address, at most 1023
// bytes (RFC 7622, 3.2): nothing that could end an XML attribute or a line.
func checkDomain(name string) error {
	if name == "" || len(name) > 1023 || !utf8.ValidString(name) {
		return fmt.Errorf("%q is not a domain that can be sent: it has to be UTF-8 of 1 to 1023 bytes", name)
	}
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_:[]", r) {
			return fmt.Errorf("%q is not a domain that can be sent: it contains %q", name, r)
		}
	}
	return nil
}

// targetURL is a target with a host, or a host and a port.
func targetURL(scheme, host string) string {
	if strings.Count(host, ":") > 1 && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	return scheme + "://" + host
}
