// Package negotiate performs the cleartext part of protocols that begin in the
// clear and upgrade to TLS: SMTP's STARTTLS and its cousins.
//
// It takes a [net.Conn] and gives back what to run the TLS handshake on:
//
//	up, err := negotiate.Client(ctx, conn, negotiate.Find("imap"), &negotiate.Options{Host: "mail.example.org"})
//	if err != nil {
//		return err // *negotiate.Error: the step, the reason, what the server said
//	}
//	tlsConn := tls.Client(up, &tls.Config{ServerName: up.ServerName, MinVersion: up.Protocol.MinVersion, MaxVersion: up.Protocol.MaxVersion})
//	if err := tlsConn.HandshakeContext(ctx); err != nil {
//		return err
//	}
//	session, err := up.Finish(ctx, tlsConn)
//
// What holds for every protocol, whoever wrote its file:
//
//   - No upgrade, no session: [Client] returns an error unless the server gave
//     its go-ahead in the form that the specification wants.
//   - A byte that the server sent in the clear behind its go-ahead is an error,
//     whether it came in the same segment, before the ClientHello was sent, or
//     in place of the server's first TLS record.
//   - All reads before TLS are bounded in bytes ([MaxBytes]), in lines or elements
//     ([MaxLines]) and by the context.
//   - Names are checked before they go into the wire.
//
// # How a protocol is described
//
// A protocol is a [Protocol] value in a file of its own. For most of them the
// field Upgrade is all there is to write: it speaks cleartext on a bounded [Conn]
// and returns nil at the server's go-ahead. The others fit like this:
//
//   - TLS from the first byte (imaps, xmpps): Upgrade is nil, ALPN and Port are set.
//   - TDS wraps the records of the handshake in packets of its own: Upgrade
//     exchanges PRELOGIN, Wrap gives a [Wrapper] that packs and unpacks, and whose
//     HandshakeDone, called by [Upgraded.Finish], makes it transparent. MaxVersion rules
//     out TLS 1.3, in which a server goes on with the handshake when the client's is done.
//     Its servers want each packet of the session in a TLS record of its own: Packet finds
//     where one ends.
//   - HTTP (RFC 2817) answers the upgrading request inside TLS: Upgrade returns at
//     the 101, Inside reads the answer from the TLS session, bounded like the rest.
//   - IRC's registration waits for the end of the capability negotiation: Inside sends it.
//   - VNC and NBD go on negotiating inside TLS: Upgrade returns at the server's
//     acknowledgement. What follows is the session's own and reaches the user of a
//     pipe; a tunnel finishes it in the client's place.
//   - XMPP needs a domain that may differ from the host: Names says what the name in
//     Options is used for, and [Upgraded.ServerName] is the name that the certificate
//     has to be valid for.
//
// # What a tunnel's client is shown
//
// A client that knows nothing of TLS, at the local end of a tunnel, waits for what the upgrade
// consumed. With [Options.Local] set, [Upgraded.Lead] is called behind Finish and leads it to where
// its session begins:
//
//   - Upgrade leaves a greeting in [Conn.Greeting], built from fixed text and checked fields,
//     never as it came. For most protocols that is all; for those whose client speaks first, and
//     for those that greet again inside TLS, there is nothing to show.
//   - Lead exchanges with both what has to come before the session: VNC's and NBD's
//     security, TDS' PRELOGIN.
//   - Ends rewrites the session on the way: PostgreSQL's offer of mechanisms, MySQL's sequence
//     numbers, FTP's data connections.
//   - Where the upgrade depends on what the client says, as MySQL's SSLRequest does on its
//     login packet, Upgrade asks the client in between.
package negotiate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// A Protocol is one protocol that starts in the clear and upgrades to TLS, or its
// sibling that speaks TLS from the first byte. Values are read-only.
type Protocol struct {
	Name    string   // the scheme, and the name for --starttls-proto; lower case
	Aliases []string // other names for the same thing
	Family  Family   // where it stands in lists
	Title   string   // what it is, a few words
	Port    int      // the registered port; 0 if there is none
	ALPN    []string // protocol IDs to offer in the handshake (RFC 7301); nil for none
	Specs   []string // where the upgrade is specified, "RFC 3207" first
	Servers []string // programs that the tests speak to, "Postfix"; nil: only a server of the tests' own

	// Implicit names the sibling that speaks TLS from the first byte; "" if there is none.
	Implicit string
	// Sibling is the opposite: the protocol that upgrades, named by one that does not.
	Sibling string

	// Service is what the protocol is called in SRV records (RFC 2782), without the underscore;
	// "" if its clients look for none.
	Service string
	// MX tells that hosts are found by MX records (RFC 5321, 5.1).
	MX bool

	// Lines tells that the protocol consists of lines that end in CRLF.
	Lines bool
	// Names says what Options.Name is used for.
	Names NameUse
	// From tells that the upgrade can name our own domain (Options.From).
	From bool

	// Greets tells that the server speaks first.
	Greets bool
	// Recognise reports whether a server's first bytes look like this protocol's.
	Recognise func(greeting []byte) bool
	// Upgrade exchanges cleartext up to the server's go-ahead. It returns an *Error, or
	// an error of c's own methods as it came. Nil: TLS from the first byte.
	Upgrade func(c *Conn, o *Options) error
	// Refusal, if not nil, reads what a server may say behind its go-ahead in place of its first TLS
	// record: its words, escaped no more than they came, and a hint, which may be "". It reports
	// whether all of the text is such a refusal.
	Refusal func(text []byte) (words, hint string, ok bool)
	// MinVersion and MaxVersion are the oldest version of TLS that the protocol allows and the
	// newest that it can carry, as in tls.Config; 0 for any.
	MinVersion, MaxVersion uint16
	// Wrap, if not nil, gives the connection that the handshake is run on.
	Wrap func(net.Conn) Wrapper
	// WrapRaw gives in its place the connection for a handshake that somebody else runs, whose end it
	// has to see by itself.
	WrapRaw func(net.Conn) net.Conn
	// Inside, if not nil, exchanges what belongs to the upgrade inside TLS, before the session
	// begins. Its errors are like Upgrade's.
	Inside func(c *Conn, o *Options) error
	// Packet, if not nil, tells how many bytes the packet has that data begins with: 0 if too
	// little is there to tell, -1 if it is none. Each packet of the session is sent in a TLS record
	// of its own, which servers that read by the record insist on; tls.Config needs
	// DynamicRecordSizingDisabled for that.
	Packet func(data []byte) int

	// NoTunnel says why a client that knows nothing of TLS can't be led to a session; "" if it can.
	NoTunnel string
	// Login tells that the upgrade may log in in the place of a tunnel's client (Local.User).
	Login bool
	// Lead, if not nil, exchanges with a tunnel's client and, inside TLS, with the server what has to
	// come before the client's session: the client waits for what Upgrade consumed. Nil: the client
	// is shown Conn.Greeting. Its errors are like Upgrade's, of the client a *LocalError.
	Lead func(l *Local, server *Conn) error
	// Ends, if not nil, gives what a tunnel's session is copied between, where its bytes have to
	// be changed on the way. It exchanges nothing itself.
	Ends func(l *Local, client, server net.Conn) (net.Conn, net.Conn)

	// Further tells that there are further connections beside a session (Local.Dial, Local.Secure).
	Further bool

	// Remarks explain lines of the exchange.
	Remarks []Remark
	// Note says what there is to know beyond the exchange: what follows TLS.
	Note string

	// resolve finds out the protocol that is really spoken, and why.
	resolve func(c *Conn, o *Options) (p *Protocol, why string, err error)
}

// A Wrapper carries the records of a handshake in packets of the protocol's own.
type Wrapper interface {
	net.Conn
	// HandshakeDone makes the wrapper transparent.
	HandshakeDone()
}

// A Remark explains the first line of an exchange that starts with Prefix.
type Remark struct {
	Prefix string // "C: STARTTLS"
	Text   string
}

// NameUse says what the name in Options is used for.
type NameUse int

const (
	// NoName: the protocol sends no name.
	NoName NameUse = iota
	// OwnName: the client names itself (the argument of EHLO).
	OwnName
	// ServiceDomain: the client names the domain that it wants served, and the
	// certificate is checked for that domain (RFC 6120, 13.7.2).
	ServiceDomain
)

// Bounds of the cleartext phase of one connection.
const (
	MaxBytes = 64 << 10 // bytes read from the server
	MaxLines = 1000     // lines or elements read from the server
)

// Options are the caller's wishes for one upgrade.
type Options struct {
	// Host is the name or address that the connection was made to, without a port.
	Host string
	// Port is the port that it was made to, for Auto and for hints; 0 if there is none.
	Port int
	// Name overrides the name that the protocol sends (see NameUse). Empty means: the
	// machine's name or address for OwnName, Host for ServiceDomain.
	Name string
	// From is our own domain, for protocols in which a server calls a server. Empty
	// leaves it out.
	From string
	// Trace, if not nil, is called for each line of the exchange.
	Trace func(Line)
	// Local is a client to lead beside the upgrade, for a tunnel; nil for none.
	Local *Local
	// Recognised, if not nil, is called by Auto with what it took the server for, and why.
	Recognised func(p *Protocol, why string)
}

// A Line is one line, element or packet of a cleartext exchange, without its line
// end. It is raw text from the network: escape it before you show it.
type Line struct {
	Server bool // sent by the server
	Text   string
	// TLS marks the handshake: no line itself, but those behind it are said inside TLS.
	TLS bool
}

// String returns the line as it is written in specifications, unescaped: "C: STARTTLS", or
// "<TLS>" for the handshake.
func (l Line) String() string {
	if l.TLS {
		return "<TLS>"
	}
	if l.Server {
		return "S: " + l.Text
	}
	return "C: " + l.Text
}

// Upgraded is a connection on which the server has given its go-ahead: the handshake
// is due. It guards the connection until then: a byte in the clear behind the
// go-ahead makes Write (of the ClientHello) or Read fail with a *CleartextError.
type Upgraded struct {
	net.Conn // bare, or wrapped in the protocol's packets

	// Protocol is what the server speaks; nil after GoAhead.
	Protocol *Protocol
	// ServerName is the name that the certificate has to be valid for.
	ServerName string
	// Greeting is what a client that knows nothing of TLS is to be shown in place of
	// the greeting that the upgrade consumed; nil for nothing.
	Greeting []byte

	guard
	options *Options // of Client, until Lead is done; nil behind GoAhead
}

// Client performs p's upgrade on conn as the client and returns what to run the TLS
// handshake on. The context bounds it in time; its end interrupts a pending read.
// On error, which is an *Error unless the context ended it, conn is of no use and is
// still the caller's to close. For a protocol without an upgrade Client exchanges
// nothing.
func Client(ctx context.Context, conn net.Conn, p *Protocol, o *Options) (*Upgraded, error) {
	options := *o
	c := newConn(conn, options.Trace)
	if c.local = options.Local; c.local != nil {
		c.local.client = newConn(c.local.Conn, nil).forLocal()
	}
	if p.resolve != nil {
		var why string
		if err := c.run(ctx, p, func() (err error) {
			p, why, err = p.resolve(c, &options)
			return err
		}); err != nil {
			return nil, err
		}
		if options.Recognised != nil {
			options.Recognised(p, why)
		}
	}
	if err := checkOptions(p, &options); err != nil {
		return nil, err
	}
	if p.NoTunnel != "" && c.local != nil {
		return nil, c.explain(ctx, p, Hinted(fmt.Errorf("%s can't be tunnelled: %s", p.Name, p.NoTunnel), "--raw hands the connection over to a client's own TLS"))
	}
	up := &Upgraded{Conn: conn, Protocol: p, ServerName: options.Host, options: &options}
	up.guard.conn = conn
	if p.Names == ServiceDomain {
		up.ServerName = options.Name
	}
	if p.Upgrade == nil {
		return up, nil
	}
	if err := c.run(ctx, p, func() error { return p.Upgrade(c, &options) }); err != nil {
		return nil, err
	}
	if rest := c.rest(); len(rest) > 0 {
		return nil, c.explain(ctx, p, p.refused(&CleartextError{Text: rest, Upgraded: true}))
	}
	up.Greeting = c.Greeting
	up.guard.upgraded = true
	if p.Wrap != nil {
		up.Conn = p.Wrap(conn)
	}
	return up, nil
}

// run runs a part of p's exchange within the context, and gives its error plain words.
func (c *Conn) run(ctx context.Context, p *Protocol, part func() error) error {
	c.deadline, _ = ctx.Deadline()
	if l := c.local; l != nil {
		both := part
		part = func() error { return within(ctx, l.Conn, both) }
	}
	err := within(ctx, c.conn, part)
	if err != nil {
		err = c.explain(ctx, p, err)
		c.traceRest()
	}
	return err
}

// GoAhead returns what to run the handshake on when the caller has done the cleartext
// part by itself and read the server's go-ahead. It guards conn as Client does.
func GoAhead(conn net.Conn) *Upgraded {
	up := &Upgraded{Conn: conn}
	up.guard.conn, up.guard.upgraded = conn, true
	return up
}

// Read reads from the connection and fails with a *CleartextError if the server's
// first bytes are not a TLS record.
func (u *Upgraded) Read(p []byte) (int, error) {
	n, err := u.Conn.Read(p)
	if u.guard.checked {
		return n, err
	}
	n, err = u.guard.checkRead(u.Conn, p[:n], err)
	return n, u.Protocol.refused(err)
}

// Bare returns the connection that Read passes on, nil as long as it is guarded.
func (u *Upgraded) Bare() net.Conn {
	if !u.guard.checked {
		return nil
	}
	return u.Conn
}

// Write writes to the connection. The first call sends the ClientHello, and fails with
// a *CleartextError if the server has sent anything by then.
func (u *Upgraded) Write(p []byte) (int, error) {
	if !u.guard.started {
		if err := u.guard.checkWrite(); err != nil {
			return 0, u.Protocol.refused(err)
		}
	}
	return u.Conn.Write(p)
}

// WritesTo returns the connection that Write passes on to, nil as long as it is guarded.
func (u *Upgraded) WritesTo() net.Conn {
	if !u.guard.started {
		return nil
	}
	return u.Conn
}

// CloseWrite shuts down the writing side of the connection where it has one.
func (u *Upgraded) CloseWrite() error {
	if c, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// Finish ends the upgrade inside session, the TLS session that was set up over u, and
// returns what the protocol's own bytes are read from and written to. The context
// bounds it in time. It fails with an *Error.
func (u *Upgraded) Finish(ctx context.Context, session net.Conn) (net.Conn, error) {
	if w, ok := u.Conn.(Wrapper); ok {
		w.HandshakeDone()
	}
	if u.Protocol != nil && u.Protocol.Packet != nil {
		session = &packetConn{Conn: session, length: u.Protocol.Packet}
	}
	if u.Protocol == nil || u.Protocol.Inside == nil {
		return session, nil
	}
	c := newConn(session, u.options.Trace)
	c.Step(Upgrade)
	if c.trace != nil {
		c.trace(Line{TLS: true})
	}
	if err := c.run(ctx, u.Protocol, func() error { return u.Protocol.Inside(c, u.options) }); err != nil {
		return nil, err
	}
	return withPrefix(session, c.rest()), nil
}

// prefixConn is a connection of which some bytes have been read already.
type prefixConn struct {
	net.Conn
	prefix []byte
}

func (c *prefixConn) Read(p []byte) (int, error) {
	if len(c.prefix) > 0 {
		n := copy(p, c.prefix)
		c.prefix = c.prefix[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// Bare returns what is read from when the prefix has been, nil until then.
func (c *prefixConn) Bare() net.Conn {
	if len(c.prefix) > 0 {
		return nil
	}
	return c.Conn
}

// WritesTo returns what is written to.
func (c *prefixConn) WritesTo() net.Conn { return c.Conn }

func (c *prefixConn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// within runs f, whose reads and writes on conn end with the context.
func within(ctx context.Context, conn net.Conn, f func() error) error {
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err := f()
	if !stop() {
		// The context has ended, and its function may still be about to set the deadline.
		if err == nil {
			err = ctx.Err()
		}
		return err
	}
	return errors.Join(err, conn.SetDeadline(time.Time{}))
}

// Check reports whether the options fit the protocol, as Client does before it sends
// anything: nil or an *OptionError. What Auto recognises is known to Client alone.
func (p *Protocol) Check(o *Options) error {
	if p.resolve != nil {
		return nil
	}
	options := *o
	return checkOptions(p, &options)
}

// checkOptions refuses what the protocol can't use and fills in what is missing.
func checkOptions(p *Protocol, o *Options) error {
	field := "Name"
	switch {
	case o.Name != "" && p.Names == NoName:
		return &OptionError{field, fmt.Errorf("%s sends no name, %q can't be used", p.Name, o.Name)}
	case o.From != "" && !p.From:
		return &OptionError{"From", fmt.Errorf("%s does not name our own domain, %q can't be used", p.Name, o.From)}
	}
	check := checkHelloName
	if p.Names == ServiceDomain {
		check = checkDomain
		if o.Name == "" {
			field, o.Name = "Host", o.Host
		}
	}
	if o.Name != "" || field == "Host" {
		if err := check(o.Name); err != nil {
			return &OptionError{field, err}
		}
	}
	if o.From != "" {
		if err := checkDomain(o.From); err != nil {
			return &OptionError{"From", err}
		}
	}
	return nil
}
