package report

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/internal/record"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// Options say what to check, beyond how to connect.
type Options struct {
	Connect connect.Options
	// Timeout bounds connect, upgrade and handshake together.
	Timeout time.Duration
	// ExpiresIn makes a certificate of the chain that ends within it a failure; 0: none.
	ExpiresIn time.Duration
	// ExpiresText is how the person wrote ExpiresIn.
	ExpiresText string
	// Timeline has the report tell all that was said, and waits for the server's first byte.
	Timeline bool
	// Scan tries versions, cipher suites and groups, each on a connection of its own.
	Scan bool
	// PEM has the certificates in the JSON.
	PEM bool
}

// Check checks one server. name is the target as the person gave it. The error is the context's: what
// is wrong with the server is in the report.
func Check(ctx context.Context, name string, t connect.Target, o Options) (*Report, error) {
	c := &check{options: o, target: t, rec: &recorder{start: time.Now()}}
	c.report = &Report{
		Format: Format, Target: quote.Escape(name), Time: c.rec.start.UTC().Truncate(time.Millisecond),
		Server: t.Address(), Chain: []Certificate{}, SCTs: []SCT{},
	}
	c.report.spoken(t.Protocol)
	err := c.run(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c.conclude(err)
	if o.Scan && (c.report.TLS != nil || c.report.Status == connect.StatusHandshake) {
		if c.report.Scan, err = scan(ctx, c.reached, negotiate.Find(c.report.Protocol), o); err != nil {
			return nil, err
		}
	}
	return c.report, nil
}

// A check is one run of Check.
type check struct {
	options Options
	target  connect.Target
	reached connect.Target // that is, one of the target's servers
	report  *Report
	rec     *recorder
	look    trust.Look
	config  *trust.Config
	flights *flights
	state   *tls.ConnectionState // when the handshake is done
	tickets ticketWatch
	retried *trust.ECHError // why the server was connected to twice; nil if it was not
	tlsa    *trust.DANE     // of the server that was tried last; nil if it was not asked for

	mu      sync.Mutex
	dialing time.Time // the first address was tried
}

// run connects, upgrades, shakes hands and takes leave.
func (c *check) run(ctx context.Context) error {
	limited, stop := context.WithTimeout(ctx, c.options.Timeout)
	defer stop()
	o := c.options.Connect
	c.config = o.Trust
	o.Trust = c.config.Inspect(&c.look)
	o.Sessions = &c.tickets
	o.Dialing = c.whenDialing(o.Dialing)
	o.TLSA = c.whenTLSA(o.TLSA)
	o.Trace = c.whenTraced(o.Trace)
	o.Recognised = c.whenRecognised(o.Recognised)
	err := c.connect(limited, c.target, &o)
	if again := o.Retry(err); again != nil {
		errors.As(err, &c.retried)
		c.rec.note("", "once more, with the configuration for ECH that the server names")
		c.dialing = time.Time{}
		err = c.connect(limited, c.reached, again)
	}
	return err
}

// connect does it with one connection.
func (c *check) connect(limited context.Context, target connect.Target, with *connect.Options) error {
	o := *with
	under := with.Under
	var due time.Time
	o.Under = func(conn net.Conn) net.Conn {
		due = time.Now()
		if under != nil {
			conn = under(conn)
		}
		c.flights = watchFlights(conn, c.rec)
		return c.flights.tap
	}
	conn, reached, err := connect.Connect(limited, target, &o)
	c.reached, c.report.Server = reached, reached.Address()
	if err != nil {
		return err
	}
	defer conn.Close()
	connected := time.Now()
	c.connected(conn, connected)

	session, err := connect.Begin(limited, conn, reached, &o)
	done := time.Now()
	if c.flights != nil {
		c.flights.finish()
		if c.report.Start == "upgrade" {
			c.report.Milliseconds.Upgrade = milliseconds(due.Sub(connected))
		}
	}
	if err != nil {
		return err
	}
	c.report.Milliseconds.Handshake = milliseconds(done.Sub(due))
	c.report.spoken(session.Protocol)
	state := session.TLS.ConnectionState()
	c.state = &state
	c.rec.noteAt(done, "", "handshake done: "+tls.VersionName(state.Version)+", "+tls.CipherSuiteName(state.CipherSuite))
	return c.settle(session, reached, done.Sub(due))
}

// whenDialing notes each address that is tried.
func (c *check) whenDialing(next func(string)) func(string) {
	return func(address string) {
		now := time.Now()
		c.mu.Lock()
		if c.dialing.IsZero() {
			c.dialing = now
			if _, err := netip.ParseAddr(c.target.Host); err != nil && c.target.Socket == "" {
				c.report.Milliseconds.Resolve = milliseconds(now.Sub(c.rec.start))
				c.rec.noteAt(now, "", "name resolved")
			}
		}
		c.mu.Unlock()
		c.rec.noteAt(now, byClient, "connect to "+quote.Escape(address))
		if next != nil {
			next(address)
		}
	}
}

// whenTLSA notes what the DNS has to say of each server that is tried.
func (c *check) whenTLSA(next func(*trust.DANE)) func(*trust.DANE) {
	return func(d *trust.DANE) {
		c.tlsa = d
		c.rec.note("", "TLSA records of "+quote.Escape(d.Owner))
		if next != nil {
			next(d)
		}
	}
}

func (c *check) whenTraced(next func(negotiate.Line)) func(negotiate.Line) {
	return func(l negotiate.Line) {
		c.rec.line(l)
		if next != nil {
			next(l)
		}
	}
}

func (c *check) whenRecognised(next func(*negotiate.Protocol, string)) func(*negotiate.Protocol, string) {
	return func(p *negotiate.Protocol, why string) {
		c.report.spoken(p)
		c.report.Recognised = optional(quote.Escape(why))
		c.rec.note("", "taken for "+p.Name+": "+quote.Escape(why))
		if next != nil {
			next(p, why)
		}
	}
}

// connected notes the connection.
func (c *check) connected(conn net.Conn, at time.Time) {
	address := c.target.Socket
	if address == "" {
		address = conn.RemoteAddr().String()
	}
	c.report.Address = optional(quote.Escape(address))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Milliseconds.Connect = milliseconds(at.Sub(c.dialing))
	c.rec.noteAt(at, byServer, "connected")
}

// conclude makes the report of what was seen, and of how the run ended.
func (c *check) conclude(err error) {
	r := c.report
	state := c.state
	if state == nil {
		state = c.look.State // the handshake failed behind the certificate
	}
	if c.options.Timeline {
		r.Timeline = c.rec.all()
	}
	if err != nil {
		r.fail(err)
	}
	r.ech(c, err)
	r.dane(c.tlsa, nil)
	if state == nil || len(state.PeerCertificates) == 0 {
		return
	}
	verdict := c.look.Judge(*state)
	r.session(*state, &c.look)
	algorithm, note := signature(*state, c.flights.signature)
	r.TLS.Signature, r.TLS.SignatureNote = optional(algorithm), note
	if p := negotiate.Find(r.Protocol); p != nil {
		for _, id := range c.config.ALPN(p.ALPN) {
			r.TLS.ALPNOffered = append(r.TLS.ALPNOffered, quote.Escape(id))
		}
	}
	if c.state != nil {
		r.TLS.SessionTicket = &c.tickets.came
	}
	r.verification(verdict)
	r.dane(verdict.DANE, verdict.TLSA)
	r.chain(state.PeerCertificates, verdict.Chain, &c.options)
	r.staple(*state, verdict.Found)
	r.scts(*state)
	switch {
	case verdict.Err != nil && verdict.Insecure:
		r.warning = verdict.Err.Error()
	case verdict.Err != nil:
		// It comes before an error of the handshake, which it may have caused: our own certificate
		// was held back.
		r.fail(&connect.Error{Target: r.Server, Step: connect.Verify, Err: verdict.Err, Hint: hintOf(verdict.Err)})
	}
	if r.Status == connect.StatusOK {
		c.expiry()
	}
}

func hintOf(err error) string {
	var untrusted *trust.Error
	if errors.As(err, &untrusted) {
		return untrusted.Hint()
	}
	return ""
}

// expiry fails the check for certificates that end sooner than was asked for.
func (c *check) expiry() {
	var soon []string
	for _, cert := range c.report.Chain {
		if cert.EndsTooSoon {
			soon = append(soon, fmt.Sprintf("certificate %s ends on %s, %s", cert.Subject, cert.NotAfter.Format(time.DateOnly), cert.left()))
		}
	}
	if soon != nil {
		c.report.fail(&connect.Error{
			Target: c.report.Server, Step: connect.Verify,
			Err:  fmt.Errorf("%s: sooner than in %s", strings.Join(soon, "; "), c.options.ExpiresText),
			Hint: "the server's operator has to renew what ends",
		})
	}
}

// How long the server has after the handshake to send a ticket or its first byte, and as long again
// for its end: some round trips, as the handshake took them.
const (
	leastWait = 150 * time.Millisecond
	mostWait  = time.Second
	greetWait = 3 * time.Second // for the timeline, where the server speaks first, and for what it thinks of our certificate
	mostBytes = 64 << 10        // that are read of what it says
)

// settle waits for the session ticket, which comes behind the handshake in TLS 1.3, and ends the
// session. Nothing is sent in it. Errors are *connect.Error: the server refuses our certificate.
func (c *check) settle(s *connect.Session, t connect.Target, handshake time.Duration) error {
	wait := min(max(3*handshake, leastWait), mostWait)
	first := wait
	greets := c.options.Timeline && greetsInside(s.Protocol)
	if greets || c.look.Asked && c.state.Version == tls.VersionTLS13 { // our certificate, or the lack of one, is refused only now
		first = greetWait
	}
	s.SetReadDeadline(time.Now().Add(first))
	enough := func() {
		if !greets {
			s.SetReadDeadline(time.Now())
		}
	}
	if c.tickets.came { // in the handshake
		enough()
	} else {
		c.tickets.notify = func() {
			c.rec.note(byServer, "session ticket")
			enough()
		}
	}
	began := time.Now()
	buf := make([]byte, 4096)
	n, err := s.Read(buf)
	if n > 0 {
		c.report.Milliseconds.FirstByte = milliseconds(time.Since(began))
		c.rec.note(byServer, "first byte inside TLS")
	}
	if trust.RefusesClient(err) {
		c.rec.note(byServer, "alert: "+connect.Reason(err))
		return &connect.Error{Target: t.Address(), Step: connect.Handshake, Err: err, Hint: c.config.HandshakeHint(err)}
	}
	c.tickets.notify = nil
	c.rec.note(byClient, "close_notify")
	go s.CloseWrite()
	s.SetReadDeadline(time.Now().Add(wait))
	for total := n; err == nil || isTimeout(err); total += n {
		if n, err = s.Read(buf); isTimeout(err) || total > mostBytes {
			break
		}
	}
	switch {
	case err == io.EOF:
		c.rec.note(byServer, "close_notify")
	case errors.Is(err, record.ErrCut), errors.Is(err, record.ErrCutInside):
		c.rec.note(byServer, "closes the connection without close_notify")
	}
	s.Close()
	return nil
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// greetsInside reports whether the server speaks first inside TLS, as far as is known.
func greetsInside(p *negotiate.Protocol) bool {
	if p == nil || p.Upgrade != nil {
		return false
	}
	sibling := negotiate.Find(p.Sibling)
	return sibling != nil && sibling.Greets
}

// ticketWatch sees session tickets come, and keeps none. crypto/tls calls it in the handshake and in
// reads, of which there is one at a time.
type ticketWatch struct {
	came   bool
	notify func() // nil, or called when the first one comes
}

// Get and Put are those of tls.ClientSessionCache.
func (w *ticketWatch) Get(string) (*tls.ClientSessionState, bool) { return nil, false }

func (w *ticketWatch) Put(_ string, state *tls.ClientSessionState) {
	if state == nil || w.came {
		return
	}
	if w.came = true; w.notify != nil {
		w.notify()
	}
}
