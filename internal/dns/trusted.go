package dns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"tlsup/internal/quote"
)

// systemFile is where the system's resolvers are named (resolv.conf(5)).
const systemFile = "/etc/resolv.conf"

// At returns the resolver at ADDRESS[:PORT], which is trusted because the person names it. The port
// is 53 if none is given.
func At(text string) (*Resolver, error) {
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		return &Resolver{[]string{netip.AddrPortFrom(ip, 53).String()}}, nil
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil || at.Port() == 0 {
		return nil, fmt.Errorf("%s is no ADDRESS or ADDRESS:PORT", quote.Short(text))
	}
	return &Resolver{[]string{at.String()}}, nil
}

// System returns the system's resolvers that are trusted to validate: those on this machine, or all if
// its resolv.conf says "options trust-ad". Its error says what to do if there is none, but for naming
// one.
func System() (*Resolver, error) {
	text, err := os.ReadFile(systemFile)
	if err != nil {
		return nil, fmt.Errorf("no resolver is known to validate DNSSEC: %w", err)
	}
	return parseSystem(string(text))
}

func parseSystem(text string) (*Resolver, error) {
	var servers []netip.Addr
	trusted := false
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) < 2:
		case words[0] == "nameserver":
			if ip, err := netip.ParseAddr(words[1]); err == nil {
				servers = append(servers, ip)
			}
		case words[0] == "options":
			trusted = trusted || slices.Contains(words[1:], "trust-ad")
		}
	}
	if servers == nil { // as the C library has it
		servers = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	var named []string
	r := new(Resolver)
	for _, ip := range servers {
		named = append(named, ip.String())
		if trusted || ip.IsLoopback() {
			r.servers = append(r.servers, net.JoinHostPort(ip.String(), strconv.Itoa(53)))
		}
	}
	if r.servers == nil {
		return nil, errors.New("no resolver is trusted to validate DNSSEC: " + systemFile + " names " + strings.Join(named, ", ") +
			", which is not this machine; run one here (unbound, systemd-resolved), or write \"options trust-ad\" there if the way to it is safe")
	}
	return r, nil
}
