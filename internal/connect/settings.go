package connect

import (
	"context"
	"crypto/tls"
	"sync"

	"golang.org/x/net/idna"

	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// Settings keeps what the TLS sessions with a target have in common, so that a tunnel does not make
// it for each. The zero value is ready, and safe for several goroutines. It goes with one Options,
// of which nothing but Trust, Local, ProxySource and what is to be called changes.
type Settings struct {
	// Notice is told in place of Options.Notice, which may be one connection's, what concerns the
	// server's certificate.
	Notice func(string)

	mu   sync.Mutex
	kept map[settingsOf]*settings
}

// settingsOf is what settings are for: records of the DNS may lead to one server or another, which may
// have an ECH configuration of its own.
type settingsOf struct {
	trust                   *trust.Config
	address, protocol, name string
}

// keptSettings bounds Settings.
const keptSettings = 64

// settings are those of a session.
type settings struct {
	name    string        // that the certificate has to be valid for, in ASCII as certificates have it
	trust   *trust.Config // bound to the server
	limited *trust.Config // the same, to the versions of TLS that the protocol is for
	alpn    []string      // what the protocol wants offered
}

// client are the settings of one handshake, which has all it may need of others within ctx.
func (s *settings) client(ctx context.Context) *tls.Config {
	return s.limited.Client(ctx, s.name, s.alpn)
}

// settings are the settings for a session in which p is spoken, nil for something unknown.
func (o *Options) settings(t Target, p *negotiate.Protocol, name string) (*settings, error) {
	if o.Settings == nil || p == nil || t.dane != nil { // the DNS may have something else to say each time
		return o.makeSettings(t, p, name)
	}
	of := settingsOf{o.Trust, t.Address(), p.Name, name}
	o.Settings.mu.Lock()
	defer o.Settings.mu.Unlock()
	if s := o.Settings.kept[of]; s != nil {
		return s, nil
	}
	shared := *o
	shared.Notice = o.Settings.Notice
	s, err := shared.makeSettings(t, p, name)
	if err != nil {
		return nil, err
	}
	if len(o.Settings.kept) >= keptSettings || o.Settings.kept == nil {
		o.Settings.kept = make(map[settingsOf]*settings)
	}
	o.Settings.kept[of] = s
	return s, nil
}

func (o *Options) makeSettings(t Target, p *negotiate.Protocol, name string) (s *settings, err error) {
	s = &settings{name: name, trust: o.Trust.For(t.server(p, o))}
	if ascii, err := idna.Lookup.ToASCII(name); err == nil {
		s.name = ascii
	}
	s.limited, s.alpn, err = limit(s.trust, p)
	return s, err
}

// server is whom the session is with, in which p is spoken, nil for something unknown.
func (t Target) server(p *negotiate.Protocol, o *Options) trust.Server {
	if p == nil {
		p = t.Protocol
	}
	return trust.Server{Address: t.Address(), Protocol: p.Name, DANE: t.dane, Sessions: o.Sessions, Notice: o.Notice}
}

// CheckTrust reports whether the TLS settings fit the protocol: nil, or an error that names the
// option that does not.
func (o *Options) CheckTrust(p *negotiate.Protocol) error {
	_, _, err := limit(o.Trust, p)
	return err
}

func limit(c *trust.Config, p *negotiate.Protocol) (*trust.Config, []string, error) {
	if p == nil {
		return c, nil, nil
	}
	limited, err := c.Limit(p.Name, p.MinVersion, p.MaxVersion)
	return limited, p.ALPN, err
}
