// Package dns asks a resolver for records, and tells whether they are authentic: the resolver
// validates by DNSSEC, and says so with the AD bit (RFC 4035, 3.2.3). That says something only where
// the resolver is trusted and nobody is in the way to it, which is what [System] and [At] see to.
package dns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"tlsup/internal/quote"
	"tlsup/internal/trust"
)

// Bounds of a question.
const (
	attempts = 2               // at each server
	patience = 5 * time.Second // for an answer
	// udpSize is how long an answer may be that comes without TCP: it fits one packet on most ways.
	udpSize = 1232
)

// TypeTLSA is the type of TLSA records (RFC 6698, 7.1).
const TypeTLSA dnsmessage.Type = 52

// A Resolver asks servers that are trusted to validate.
type Resolver struct {
	servers []string // HOST:PORT
}

// String names the servers.
func (r *Resolver) String() string { return strings.Join(r.servers, ", ") }

// ErrBogus tells that records failed their validation.
var ErrBogus = errors.New("DNSSEC validation failed")

// An Error tells why a question has no answer.
type Error struct {
	Question string // type and name, printable
	Server   string
	Err      error
}

// Error gives "TYPE NAME: resolver HOST:PORT: reason".
func (e *Error) Error() string {
	return fmt.Sprintf("%s: resolver %s: %v", e.Question, e.Server, e.Err)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Failures of a server.
var (
	errSilent  = errors.New("no answer in time")
	errGarbled = errors.New("an answer that can't be read")
)

// An Answer is what a resolver knows of a name.
type Answer struct {
	// Name is where the name's aliases lead (CNAME); the name itself without one.
	Name string
	// Alias tells that Name is another one.
	Alias bool
	// Secure tells that all of it was validated, that there are no records too.
	Secure bool

	records []dnsmessage.Resource // of Name, of the type that was asked for
}

// Exists reports whether there are records.
func (a *Answer) Exists() bool { return len(a.records) > 0 }

// Lookup asks for the records of a name. That there are none is no error; that they can't be validated
// is ErrBogus. Errors are *Error, or the context's.
func (r *Resolver) Lookup(ctx context.Context, name string, kind dnsmessage.Type) (*Answer, error) {
	failed := &Error{Question: typeName(kind) + " " + quote.Escape(name)}
	full, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	q := dnsmessage.Question{Name: full, Type: kind, Class: dnsmessage.ClassINET}
	if err == nil {
		_, err = pack(0, q, false)
	}
	if err != nil || full.Length < 2 {
		return nil, fmt.Errorf("%s: this is no domain name", failed.Question)
	}
	for range attempts {
		for _, server := range r.servers {
			answer, err := ask(ctx, server, q)
			if err == nil {
				return answer, nil
			}
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, context.Cause(ctx)
			}
			failed.Server, failed.Err = server, err
			if errors.Is(err, ErrBogus) || ctx.Err() != nil {
				return nil, failed
			}
		}
	}
	return nil, failed
}

// ask asks one server.
func ask(ctx context.Context, server string, q dnsmessage.Question) (*Answer, error) {
	m, err := exchange(ctx, server, q, false)
	if err != nil {
		return nil, err
	}
	switch m.rcode {
	case dnsmessage.RCodeSuccess, dnsmessage.RCodeNameError:
		return m.answer, nil
	case dnsmessage.RCodeServerFailure:
		// Without validation it would answer: then that is what failed (RFC 4035, 3.2.2).
		if m, err := exchange(ctx, server, q, true); err == nil && m.rcode != dnsmessage.RCodeServerFailure {
			return nil, ErrBogus
		}
	}
	return nil, errors.New(rcodeName(m.rcode))
}

// TLSA looks up TLSA records.
func (r *Resolver) TLSA(ctx context.Context, name string) (records []trust.TLSA, secure bool, err error) {
	answer, err := r.Lookup(ctx, name, TypeTLSA)
	if err != nil {
		return nil, false, err
	}
	for _, record := range answer.records {
		// Shorter ones can't be read, and are as unusable as those of unknown kinds (RFC 6698, 4.1).
		if data := record.Body.(*dnsmessage.UnknownResource).Data; len(data) >= 3 {
			records = append(records, trust.TLSA{Usage: data[0], Selector: data[1], Matching: data[2], Data: data[3:]})
		}
	}
	return records, answer.Secure, nil
}

// MX looks up the hosts for a domain's mail, best first (RFC 5321, 5.1). Names that can't be a host's
// are left out.
func (r *Resolver) MX(ctx context.Context, domain string) (records []*net.MX, secure bool, err error) {
	answer, err := r.Lookup(ctx, domain, dnsmessage.TypeMX)
	if err != nil {
		return nil, false, err
	}
	for _, record := range answer.records {
		mx := record.Body.(*dnsmessage.MXResource)
		if !isHost(mx.MX) {
			continue
		}
		records = append(records, &net.MX{Host: mx.MX.String(), Pref: mx.Pref})
	}
	if records == nil && answer.Exists() {
		return nil, false, fmt.Errorf("%s: %s: no record names a host", typeName(dnsmessage.TypeMX), quote.Escape(domain))
	}
	rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	slices.SortStableFunc(records, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
	return records, answer.Secure, nil
}

// SRV looks up the hosts and ports of a domain's service, in the order to try (RFC 2782). Names that
// can't be a host's are left out.
func (r *Resolver) SRV(ctx context.Context, service, domain string) (records []*net.SRV, secure bool, err error) {
	answer, err := r.Lookup(ctx, "_"+service+"._tcp."+domain, dnsmessage.TypeSRV)
	if err != nil {
		return nil, false, err
	}
	for _, record := range answer.records {
		srv := record.Body.(*dnsmessage.SRVResource)
		if !isHost(srv.Target) {
			continue
		}
		records = append(records, &net.SRV{Target: srv.Target.String(), Port: srv.Port, Priority: srv.Priority, Weight: srv.Weight})
	}
	if records == nil && answer.Exists() {
		return nil, false, fmt.Errorf("%s: %s: no record names a host", typeName(dnsmessage.TypeSRV), quote.Escape(domain))
	}
	slices.SortFunc(records, func(a, b *net.SRV) int { return int(a.Priority) - int(b.Priority) })
	for start := 0; start < len(records); {
		end := start
		for end < len(records) && records[end].Priority == records[start].Priority {
			end++
		}
		shuffleByWeight(records[start:end])
		start = end
	}
	return records, answer.Secure, nil
}

// isHost reports whether a name can be a host's, or the root, which stands for none.
func isHost(name dnsmessage.Name) bool {
	for _, c := range name.Data[:name.Length] {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return name.Length > 0 && name.Data[0] != '-'
}

// shuffleByWeight puts servers of one priority in an order in which each comes first with a
// probability by its weight.
func shuffleByWeight(records []*net.SRV) {
	rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	total := 0
	for _, record := range records {
		total += int(record.Weight)
	}
	for ; total > 0 && len(records) > 1; records = records[1:] {
		n, i := rand.IntN(total+1), 0
		for sum := int(records[0].Weight); sum < n; sum += int(records[i].Weight) {
			i++
		}
		records[0], records[i] = records[i], records[0]
		total -= int(records[0].Weight)
	}
}

// Plain returns a resolver that asks the first of the servers, for what needs no validation. The
// system's file of hosts comes first.
func (r *Resolver) Plain() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, r.servers[0])
	}}
}

// typeName is what a type of records is called.
func typeName(kind dnsmessage.Type) string {
	if kind == TypeTLSA {
		return "TLSA"
	}
	return strings.TrimPrefix(kind.String(), "Type")
}

// rcodeName is what a response code is called (RFC 6895, 2.3).
func rcodeName(code dnsmessage.RCode) string {
	switch code {
	case dnsmessage.RCodeFormatError:
		return "FORMERR"
	case dnsmessage.RCodeServerFailure:
		return "SERVFAIL"
	case dnsmessage.RCodeNotImplemented:
		return "NOTIMP"
	case dnsmessage.RCodeRefused:
		return "REFUSED"
	}
	return fmt.Sprintf("response code %d", code)
}
