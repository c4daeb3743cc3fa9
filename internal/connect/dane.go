package connect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"tlsup/internal/dns"
	"tlsup/internal/quote"
	"tlsup/internal/trust"
)

// authentic is TLSA where that is wanted, else what is known already.
func (t Target) authentic(ctx context.Context, o *Options) (*trust.DANE, error) {
	if o.DANE == nil {
		return t.dane, nil
	}
	d, err := t.TLSA(ctx, o.DANE)
	if err == nil && o.TLSA != nil {
		o.TLSA(d)
	}
	return d, err
}

// TLSA asks what the DNS has to say of the target's certificate (RFC 6698). That there is nothing is no
// error; that it can't be validated is one. Errors are *Error.
func (t Target) TLSA(ctx context.Context, r *dns.Resolver) (*trust.DANE, error) {
	host := strings.TrimSuffix(t.Host, ".")
	d := &trust.DANE{Owner: t.owner(host), Insecure: t.unsigned, Mail: t.mail, Names: []string{host}}
	for _, name := range []string{t.domain, t.led} {
		if name != "" && name != host {
			d.Names = append(d.Names, name)
		}
	}
	if t.unsigned != "" { // it may be anybody's host
		return d, nil
	}
	address, err := r.Lookup(ctx, host, dnsmessage.TypeA)
	if err != nil {
		return nil, t.resolveError(ctx, err)
	}
	bases := []string{host}
	if address.Alias && address.Secure { // RFC 7671, 7
		bases = []string{address.Name, host}
	}
	for _, base := range bases {
		d.Owner = t.owner(base)
		if d.Records, d.Secure, err = r.TLSA(ctx, d.Owner); err != nil {
			return nil, t.resolveError(ctx, err)
		}
		if d.Secure && d.Records != nil {
			d.Names = append([]string{base}, slices.DeleteFunc(d.Names, func(name string) bool { return name == base })...)
			break
		}
	}
	return d, nil
}

// owner is whose the TLSA records are (RFC 6698, 3).
func (t Target) owner(base string) string { return fmt.Sprintf("_%d._tcp.%s", t.Port, base) }

func (t Target) resolveError(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	return &Error{Target: t.Address(), Step: Resolve, Err: err}
}

// lookupSRV returns the records in the order to try; none is no error. secure tells that they are
// authentic.
func (t Target) lookupSRV(ctx context.Context, o *Options) (records []*net.SRV, secure bool, err error) {
	if o.DANE != nil {
		return o.DANE.SRV(ctx, t.Protocol.Service, t.Host)
	}
	_, records, err = o.Resolver.LookupSRV(ctx, t.Protocol.Service, "tcp", t.Host)
	return records, false, lookupError("SRV", err, len(records))
}

// lookupMX is lookupSRV for MX records.
func (t Target) lookupMX(ctx context.Context, o *Options) (records []*net.MX, secure bool, err error) {
	if o.DANE != nil {
		return o.DANE.MX(ctx, t.Host)
	}
	records, err = o.Resolver.LookupMX(ctx, t.Host)
	return records, false, lookupError("MX", err, len(records))
}

// unsignedRecords says that the host's name is not authentic.
func unsignedRecords(kind, domain string) string {
	return fmt.Sprintf("the %s records of %s, which name the host, are not signed", kind, quote.Escape(domain))
}
