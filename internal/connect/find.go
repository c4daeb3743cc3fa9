package connect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"tlsup/internal/quote"
)

// A Lookup says where a target's host comes from.
type Lookup int

const (
	// AsGiven: the target names the host.
	AsGiven Lookup = iota
	// SRV: the target names a domain, whose SRV records name hosts and ports (RFC 2782).
	SRV
	// MX: the target names a domain, whose MX records name hosts (RFC 5321, 5.1).
	MX
)

// A Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
}

// find returns the servers of the target's domain, best first. Errors are *Error.
func (t Target) find(ctx context.Context, o *Options) ([]Target, error) {
	var found []Target
	var err error
	switch o.Lookup {
	case SRV:
		found, err = t.findSRV(ctx, o.Resolver)
	case MX:
		found, err = t.findMX(ctx, o)
	default:
		return []Target{t}, nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, &Error{Target: t.Address(), Step: Resolve, Err: err}
	}
	return found, nil
}

// findSRV follows the SRV records, and without any tries the domain itself (RFC 6120,
// 3.2). The name to verify stays the domain.
func (t Target) findSRV(ctx context.Context, r Resolver) ([]Target, error) {
	_, records, err := r.LookupSRV(ctx, t.Protocol.Service, "tcp", t.Host)
	if notFound(err) {
		return []Target{t}, nil
	}
	if err != nil && len(records) == 0 {
		return nil, lookupError("SRV", err)
	}
	var found []Target
	for _, record := range records {
		if record.Target == "." {
			return nil, fmt.Errorf("SRV: %s does not offer %s", quote.Escape(t.Host), t.Protocol.Name)
		}
		found = append(found, t.at(record.Target, int(record.Port)))
	}
	return found, nil
}

// findMX follows the MX records, and without any tries the domain itself. The name to
// verify is that of the host, which nobody vouches for.
func (t Target) findMX(ctx context.Context, o *Options) ([]Target, error) {
	records, err := o.Resolver.LookupMX(ctx, t.Host)
	if notFound(err) {
		return []Target{t}, nil
	}
	if err != nil && len(records) == 0 {
		return nil, lookupError("MX", err)
	}
	var found []Target
	for _, record := range records {
		if record.Host == "." {
			return nil, fmt.Errorf("MX: %s takes no mail (RFC 7505)", quote.Escape(t.Host))
		}
		host := t.at(record.Host, t.Port)
		host.domain = ""
		found = append(found, host)
	}
	if o.Notice != nil {
		o.Notice(fmt.Sprintf("the name %s comes from the DNS, which is not authenticated: its certificate does not prove that it serves %s",
			quote.Escape(found[0].Host), quote.Escape(t.Host)))
	}
	return found, nil
}

// at is the target on a host that a record names.
func (t Target) at(host string, port int) Target {
	found := t
	found.domain = t.ServerName()
	found.Host, found.Port = strings.TrimSuffix(host, "."), port
	return found
}

func notFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

func lookupError(kind string, err error) error {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return fmt.Errorf("%s: %s", kind, quote.Escape(dns.Err))
	}
	return fmt.Errorf("%s: %w", kind, err)
}
