// Package connect leads from a target to a TLS session: it dials, upgrades and shakes
// hands. Pipe, tunnel and demonstrations all begin here.
package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"

	"tlsup/internal/dns"
	"tlsup/internal/quote"
	"tlsup/internal/record"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// Options say how to connect.
type Options struct {
	Network string // "tcp", or "tcp4" or "tcp6" for one family only
	Name    string // the name that the upgrade sends (negotiate.Options.Name)
	From    string // our own domain (negotiate.Options.From)
	Trust   *trust.Config
	// Sessions, if not nil, keeps the TLS sessions with the target for resumption.
	Sessions tls.ClientSessionCache
	// Settings, if not nil, keeps what the sessions have in common.
	Settings *Settings
	// Local, if not nil, is a tunnel's client, which is led to where its session begins.
	Local *negotiate.Local

	// Proxy, if not nil, is asked for the connection.
	Proxy *Proxy
	// ProxyHeader is the version of the PROXY protocol whose header is sent first, 1 or 2;
	// 0 for none. It names ProxySource as the client, if that is not nil.
	ProxyHeader byte
	ProxySource net.Addr
	// Lookup says whether the target's host is the domain of a service, whose host has to be
	// found by Resolver first. A *net.Resolver finds addresses too.
	Lookup   Lookup
	Resolver Resolver
	// DANE, if not nil, is asked for TLSA records, and in place of Resolver for SRV and MX records.
	DANE *dns.Resolver
	// TLSA, if not nil, is called with what DANE knows of a server.
	TLSA func(*trust.DANE)
	// Notice, if not nil, is told what a person should know though it is no error.
	Notice func(string)

	// Trace, if not nil, is called for each line of the cleartext exchange.
	Trace func(negotiate.Line)
	// Recognised, if not nil, is called with what the server was taken for, where that had to
	// be found out.
	Recognised func(p *negotiate.Protocol, why string)
	// Reached, if not nil, is called with the address that was reached, and Upgraded with the protocol
	// whose upgrade is done, where there is one.
	Reached  func(address net.Addr)
	Upgraded func(p *negotiate.Protocol)
	// Dialing, if not nil, is called with each address before it is tried; two may be
	// tried at once.
	Dialing func(address string)
	// FastOpen sends the first bytes with the connection's SYN (RFC 7413), where the system knows how
	// (HasFastOpen).
	FastOpen bool
	// Done, if not nil, is called when the server is connected and upgraded (Upgrade), and
	// behind the handshake (Handshake).
	Done func(Step)
	// Waiting, if not nil, is called once with a hint when a server that should upgrade has
	// said nothing for a while.
	Waiting func(hint string)
	// Under, if not nil, is called when the handshake is due, and gives what TLS runs on in place
	// of conn.
	Under func(conn net.Conn) net.Conn
}

// silence is how long a server may say nothing before Waiting is called.
const silence = 3 * time.Second

// A Session is an open TLS session.
type Session struct {
	*record.Session
	Protocol   *negotiate.Protocol // what is spoken; nil when the upgrade was done by hand
	ServerName string              // the name that the certificate had to be valid for
	Trust      *trust.Config       // the settings that it was verified with
	Requested  bool                // the server asked for the client's certificate

	// Client and Server are what to copy between when Options.Local was set: its connection and
	// the session, as the protocol wants them.
	Client, Server net.Conn
}

// Open dials the target, upgrades and shakes hands. The context bounds all of it. Errors are
// *Error, or *negotiate.OptionError before anything is sent.
func Open(ctx context.Context, t Target, o *Options) (*Session, error) {
	conn, t, err := Connect(ctx, t, o)
	if err != nil {
		return nil, err
	}
	session, err := Begin(ctx, conn, t, o)
	if err == nil {
		return session, nil
	}
	conn.Close()
	if again := o.Retry(err); again != nil {
		return Open(ctx, t, again)
	}
	return nil, err
}

// Retry returns the options for one more connection with the server that was reached, when it has
// rejected Encrypted Client Hello and named the configuration that it wants (RFC 9849, 6.1.6); nil if
// there is nothing to be tried again.
func (o *Options) Retry(err error) *Options {
	settings := o.Trust.Retry(err)
	if settings == nil || o.Local != nil && o.Local.Heard() {
		return nil
	}
	var rejected *trust.ECHError
	if errors.As(err, &rejected) {
		o.notice("%v: trying again with that one: %s", rejected, rejected.Option())
	}
	again := *o
	again.Trust, again.Lookup = settings, AsGiven
	return &again
}

// keptSessions is how many TLS sessions are kept for each target: one would do, but servers may
// give each connection tickets of its own.
const keptSessions = 64

// NewSessions returns what keeps TLS sessions with one target, under one set of trust settings, for
// resumption. It is safe for several goroutines.
func NewSessions() tls.ClientSessionCache { return tls.NewLRUClientSessionCache(keptSessions) }

// OpenRaw dials the target and upgrades, and leaves the handshake to somebody else: it is the next
// thing on the connection. Otherwise it is like Open.
func OpenRaw(ctx context.Context, t Target, o *Options) (net.Conn, error) {
	conn, t, err := Connect(ctx, t, o)
	if err != nil {
		return nil, err
	}
	up, err := upgrade(ctx, conn, t, o)
	var raw net.Conn
	if err == nil {
		if raw, err = up.Raw(); err != nil {
			err = &Error{Target: t.Address(), Step: Upgrade, Err: err}
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return raw, nil
}

// Begin upgrades and shakes hands on a connection with the target that Connect reached. On error the
// connection is still the caller's to close. Errors are those of Open.
func Begin(ctx context.Context, conn net.Conn, t Target, o *Options) (*Session, error) {
	up, err := upgrade(ctx, conn, t, o)
	if err != nil {
		return nil, err
	}
	return Secure(ctx, up, t, o)
}

func upgrade(ctx context.Context, conn net.Conn, t Target, o *Options) (*negotiate.Upgraded, error) {
	var heard atomic.Bool
	if o.Waiting != nil && t.Protocol.Upgrade != nil {
		defer time.AfterFunc(silence, func() {
			if !heard.Load() {
				o.Waiting(t.silentHint())
			}
		}).Stop()
	}
	up, err := negotiate.Client(ctx, conn, t.Protocol, &negotiate.Options{
		Host: t.ServerName(), Port: t.Port, Name: t.sentName(o), From: o.From, Recognised: o.Recognised, Local: o.Local,
		Trace: func(l negotiate.Line) {
			if l.Server {
				heard.Store(true)
			}
			if o.Trace != nil {
				o.Trace(l)
			}
		},
	})
	heard.Store(true)
	if err != nil {
		return nil, t.upgradeError(err)
	}
	o.done(Upgrade)
	if o.Upgraded != nil && up.Protocol.Upgrade != nil {
		o.Upgraded(up.Protocol)
	}
	return up, nil
}

// Connect dials the target: the servers of a domain in turn, all addresses of a name, IPv6
// and IPv4 side by side (RFC 8305). It returns the target that it reached. Errors are *Error.
func Connect(ctx context.Context, t Target, o *Options) (net.Conn, Target, error) {
	found, err := t.find(ctx, o)
	if err != nil {
		return nil, t, err
	}
	for i := range found {
		var conn net.Conn
		t = found[i]
		if t.dane, err = t.authentic(ctx, o); err == nil {
			conn, err = t.dial(ctx, o)
		}
		if err == nil {
			if t.led != "" && t.unsigned != "" {
				o.notice("the name %s comes from the DNS, which is not authenticated: its certificate does not prove that it serves %s", quote.Escape(t.Host), quote.Escape(t.led))
			}
			if o.Reached != nil {
				o.Reached(conn.RemoteAddr())
			}
			return conn, t, nil
		}
		if ctx.Err() != nil {
			break
		}
		if i+1 < len(found) {
			o.notice("%v: trying the next server", err)
		}
	}
	return nil, t, err
}

// notice tells what a person should know, in words that can be shown as they are.
func (o *Options) notice(format string, args ...any) {
	if o.Notice != nil {
		o.Notice(fmt.Sprintf(format, args...))
	}
}

func (t Target) dial(ctx context.Context, o *Options) (net.Conn, error) {
	d := &net.Dialer{}
	d.Resolver, _ = o.Resolver.(*net.Resolver)
	if o.Dialing != nil || o.FastOpen {
		d.ControlContext = func(_ context.Context, _, address string, raw syscall.RawConn) error {
			if o.Dialing != nil {
				o.Dialing(address)
			}
			if o.FastOpen {
				return fastOpen(raw)
			}
			return nil
		}
	}
	conn, err := t.dialWith(ctx, d, o)
	if err != nil {
		return nil, t.dialError(ctx, err)
	}
	if o.ProxyHeader == 0 {
		return conn, nil
	}
	source := conn.LocalAddr()
	if o.ProxySource != nil {
		source = o.ProxySource
	}
	header := proxyproto.HeaderProxyFromAddrs(o.ProxyHeader, source, conn.RemoteAddr())
	if _, err := header.WriteTo(conn); err != nil {
		conn.Close()
		return nil, t.dialError(ctx, err)
	}
	return conn, nil
}

func (t Target) dialWith(ctx context.Context, d *net.Dialer, o *Options) (net.Conn, error) {
	if t.Socket != "" {
		return d.DialContext(ctx, "unix", t.Socket)
	}
	if o.Proxy != nil {
		p, err := o.Proxy.forTarget(t.Address())
		if err != nil {
			return nil, err
		}
		if p != nil {
			return p.dial(ctx, d, o.Network, t.Address())
		}
	}
	return d.DialContext(ctx, o.Network, t.Address())
}

func (t Target) dialError(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	e := &Error{Target: t.Address(), Step: Dial, Err: err}
	var dns *net.DNSError
	var missing *net.AddrError
	var proxy *proxyError
	switch {
	case errors.As(err, &proxy):
		e.Err = &proxyError{proxy.host, plain(proxy.error, proxy.host)}
	case errors.As(err, &missing):
		e.Step, e.Err = Resolve, fmt.Errorf("%s has %s", quote.Escape(missing.Addr), missing.Err)
		e.Hint = "-4 and -6 restrict the addresses that are tried"
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Step, e.Err, e.Hint = Resolve, ErrNoHost, t.wordHint()
	case errors.As(err, &dns):
		e.Step, e.Err = Resolve, errors.New(quote.Escape(dns.Err))
	default:
		e.Err = plain(err, t.Address())
	}
	return e
}

// wordHint is for a host that does not exist, and may have been meant for something else.
func (t Target) wordHint() string {
	switch p := negotiate.Find(t.Host); {
	case t.Host == "help":
		return "for help: tlsup --help"
	case p != nil:
		return fmt.Sprintf("%s is a protocol: tlsup %s://HOST", p.Name, p.Name)
	}
	return ""
}

// plain is what a network error says beyond what is said anyway: the address if it is not
// the one that is known, and the reason.
func plain(err error, known string) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	reason := op.Err
	var sys *os.SyscallError
	if errors.As(reason, &sys) {
		reason = sys.Err
	}
	if os.IsTimeout(err) {
		reason = errors.New("no answer in time")
	}
	if op.Addr != nil && op.Addr.String() != known {
		return fmt.Errorf("%s: %w", quote.Escape(op.Addr.String()), reason)
	}
	return reason
}

// Secure runs the handshake over up, verifies the certificate and finishes the
// upgrade. On error the connection is still the caller's to close. Errors are *Error.
func Secure(ctx context.Context, up *negotiate.Upgraded, t Target, o *Options) (*Session, error) {
	var bare net.Conn = up
	if o.Under != nil {
		bare = o.Under(up)
	}
	under := record.NewConn(bare)
	with, err := o.settings(t, up.Protocol, up.ServerName)
	if err != nil {
		return nil, &Error{Target: t.Address(), Step: Handshake, Err: err}
	}
	ctx = trust.Watching(ctx)
	config := with.client(ctx)
	if o.Local != nil && up.Protocol.Further {
		config.ClientSessionCache = o.equip(o.Local, t, up.Conn, with, config.ClientSessionCache)
	}
	tlsConn := tls.Client(under, config)
	if err := shake(ctx, tlsConn); err != nil {
		return nil, t.handshakeError(ctx, o.Trust, o.Trust.Rejection(tlsConn.ConnectionState(), err))
	}
	o.done(Handshake)
	conn, err := up.Finish(ctx, tlsConn)
	if err != nil {
		return nil, t.upgradeError(err)
	}
	s := &Session{Session: record.NewSession(conn, tlsConn, under), Protocol: up.Protocol, ServerName: with.name, Trust: with.trust, Requested: trust.Requested(ctx)}
	if o.Local == nil {
		return s, nil
	}
	if s.Client, s.Server, err = up.Lead(ctx, s.Session); err != nil {
		return nil, t.upgradeError(err)
	}
	return s, nil
}

// shake runs a handshake that ends with ctx. Crypto/tls itself would watch the context with a goroutine, and
// two more switches of goroutines at the end.
func shake(ctx context.Context, conn *tls.Conn) error {
	stop := context.AfterFunc(ctx, func() { conn.NetConn().Close() })
	err := conn.HandshakeContext(context.WithoutCancel(ctx))
	if !stop() {
		return ctx.Err()
	}
	return err
}

func (o *Options) done(step Step) {
	if o.Done != nil {
		o.Done(step)
	}
}

// upgradeError gives an error of negotiate the target, and a hint where it has none.
func (t Target) upgradeError(err error) error {
	var own *negotiate.Error
	if !errors.As(err, &own) {
		return err
	}
	e := &Error{Target: t.Address(), Step: Step(own.Step), Err: own.Err, Hint: own.Hint}
	if e.Hint != "" {
		return e
	}
	var answer *negotiate.AnswerError
	first := own.Step == negotiate.Greeting || !t.Protocol.Greets // the server's first words were due
	switch {
	case errors.Is(err, negotiate.ErrTLS):
		e.Hint = "try " + t.Command(t.implicit())
	case errors.Is(err, negotiate.ErrClosed) && !t.Protocol.Greets:
		e.Hint = "the port may be for TLS from the first byte: " + t.Command(t.implicit())
	case (errors.Is(err, negotiate.ErrSilent) || errors.Is(err, negotiate.ErrClosed)) && own.Step == negotiate.Greeting && !own.Heard:
		e.Hint = t.silentHint()
	case errors.As(err, &answer) && first:
		e.Hint = t.looksLike([]byte(answer.Text))
	}
	return e
}

// silentHint is for a server that says nothing where it should have greeted.
func (t Target) silentHint() string {
	implicit := t.implicit()
	if t.Port == implicit.Port {
		return fmt.Sprintf("port %d is for TLS from the first byte: %s", t.Port, t.Command(implicit))
	}
	return "a server that waits may want TLS from the first byte: " + t.Command(implicit)
}

// implicit is the protocol that speaks TLS from the first byte in place of the target's.
func (t Target) implicit() *negotiate.Protocol {
	if p := negotiate.Find(t.Protocol.Implicit); p != nil {
		return p
	}
	return negotiate.TLS()
}

// handshakeError tells what the handshake met: a certificate, cleartext, an alert, or
// nothing.
func (t Target) handshakeError(ctx context.Context, settings *trust.Config, err error) error {
	if verdict := trust.Distrusted(ctx); verdict != nil && errors.Is(err, context.DeadlineExceeded) {
		err = verdict // finding out took too long, not the server
	}
	e := &Error{Target: t.Address(), Step: Handshake, Err: err}
	var untrusted *trust.Error
	var cleartext *negotiate.CleartextError
	var rejected *trust.ECHError
	switch {
	case errors.As(err, &rejected):
		e.Err, e.Hint = rejected, rejected.Hint()
		if rejected.Untrusted != nil {
			e.Step = Verify
		}
	case errors.As(err, &untrusted):
		e.Step, e.Err, e.Hint = Verify, untrusted, untrusted.Hint()
	case errors.As(err, &cleartext):
		e.Err = cleartext
		if cleartext.Upgraded {
			e.Step, e.Hint = Upgrade, cleartext.Hint
		} else {
			e.Hint = t.looksLike(cleartext.Text)
		}
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Cause(ctx)
	case os.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded):
		e.Err = ErrNoAnswer
		e.Hint = t.portHint()
	case isClosed(err):
		e.Err = ErrClosed
		switch e.Hint = t.portHint(); {
		case trust.Refused(ctx):
			e.Hint = trust.RequestedHint(err, e.Hint)
		case e.Hint == "":
			e.Hint = settings.ClosedHint()
		}
	case trust.IsVersion(err) && t.Protocol.MinVersion != 0:
		e.Hint = fmt.Sprintf("%s is for %s and newer: the server has to allow it", t.Protocol.Name, tls.VersionName(t.Protocol.MinVersion))
	default:
		if e.Hint = settings.HandshakeHint(err); e.Hint == "" {
			e.Hint = t.portHint()
		}
		if trust.Refused(ctx) {
			e.Hint = trust.RequestedHint(err, e.Hint)
		}
	}
	return e
}

// looksLike names the protocol that greets like this, and the command that would work.
func (t Target) looksLike(text []byte) string {
	found := negotiate.Recognise(text, t.Port)
	if len(found) == 0 {
		return t.portHint()
	}
	if found[0] == t.Protocol {
		return ""
	}
	return fmt.Sprintf("that looks like %s: %s", found[0].Name, t.Command(found[0]))
}

// portHint names the protocol whose port it is, if that is another way of starting TLS.
func (t Target) portHint() string {
	p := negotiate.OnPort(t.Port)
	if t.Socket != "" || p == nil || p == t.Protocol || p == negotiate.TLS() || p.Upgrade == nil && t.Protocol.Upgrade == nil {
		return ""
	}
	if p.Upgrade == nil {
		return fmt.Sprintf("port %d is for TLS from the first byte: %s", t.Port, t.Command(p))
	}
	return fmt.Sprintf("port %d is where %s starts in the clear: %s", t.Port, p.Name, t.Command(p))
}

func isClosed(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
