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
		found, err = t.findSRV(ctx, o)
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
func (t Target) findSRV(ctx context.Context, o *Options) ([]Target, error) {
	records, secure, err := t.lookupSRV(ctx, o)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return []Target{t}, nil
	}
	var found []Target
	for _, record := range records {
		if record.Target == "." {
			return nil, fmt.Errorf("SRV: %s does not offer %s", quote.Escape(t.Host), t.Protocol.Name)
		}
		host := t.at(record.Target, int(record.Port))
		if !secure {
			host.unsigned = unsignedRecords("SRV", t.Host)
		}
		found = append(found, host)
	}
	return found, nil
}

// findMX follows the MX records, and without any tries the domain itself. The name to
// verify is that of the host, which nobody vouches for unless the records are signed.
func (t Target) findMX(ctx context.Context, o *Options) ([]Target, error) {
	records, secure, err := t.lookupMX(ctx, o)
	if err != nil {
		return nil, err
	}
	t.mail = true
	if len(records) == 0 {
		return []Target{t}, nil
	}
	var found []Target
	for _, record := range records {
		if record.Host == "." {
			return nil, fmt.Errorf("MX: %s takes no mail (RFC 7505)", quote.Escape(t.Host))
		}
		host := t.at(record.Host, t.Port)
		host.domain, host.led = "", t.ServerName()
		if !secure {
			host.unsigned = unsignedRecords("MX", t.Host)
		}
		found = append(found, host)
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

// lookupError is an error of a *net.Resolver that found n records. That there are none is no error, nor
// that there are some besides those that were found.
func lookupError(kind string, err error, n int) error {
	var dns *net.DNSError
	switch {
	case err == nil, n > 0:
		return nil
	case errors.As(err, &dns) && dns.IsNotFound:
		return nil
	case errors.As(err, &dns):
		return fmt.Errorf("%s: %s", kind, quote.Escape(dns.Err))
	}
	return fmt.Errorf("%s: %w", kind, err)
}
