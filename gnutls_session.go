package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/gnutls"
	"tlsup/internal/quote"
	"tlsup/internal/record"
	"tlsup/negotiate"
	"tlsup/pipe"
)

// leastRecord is how small the largest record may be, in bytes.
const leastRecord = 512

// prepare reads what the options name, and says how much that is.
func (g *gnutlsRun) prepare(ctx context.Context) (err error) {
	if g.line.Has("resume") && g.line.Has("starttls") {
		return usagef("option --resume can't be used with --starttls")
	}
	if most := g.line.Int("recordsize", 0); most > 0 && most < leastRecord {
		g.complain("Cannot set the maximum record size to %d.\nPossible values: %d to 4096, and 0 for none.", most, leastRecord)
		return reportedError(1)
	}
	if g.line.Has("fastopen") && !connect.HasFastOpen {
		return &gnutls.UnsupportedError{Option: "fastopen", Why: " on this system"}
	}
	if err := g.loadResolver(); err != nil {
		return err
	}
	if g.inline, err = g.inlineFor(); err != nil {
		return err
	}
	if err := g.openFiles(); err != nil {
		return err
	}
	if err := g.parseTarget(); err != nil {
		return err
	}
	if g.priority, err = gnutls.ParsePriority(g.priorityText()); err != nil {
		return err
	}
	if err := g.loadTrust(ctx); err != nil {
		return err
	}
	g.connect = connect.Options{
		Network: "tcp", Name: g.sentName(), Trust: g.trust, FastOpen: g.line.Has("fastopen"),
		Under: g.under, Dialing: g.dialing, Resolver: g.connect.Resolver,
	}
	if g.line.Has("resume") || g.inline != nil {
		g.connect.Sessions = newTicketCache()
	}
	if g.line.Int("debug", 0) > 0 {
		g.connect.Trace = func(l negotiate.Line) { g.complain("|<1>| %s", quote.Escape(l.String())) }
	}
	if err := g.connect.CheckTrust(g.target.Protocol); err != nil {
		return err
	}
	check := &negotiate.Options{Host: g.target.ServerName(), Name: g.connect.Name}
	return optionError(g.target.Protocol.Check(check))
}

// sentName is the name that the upgrade sends: to mail servers there it is their own.
func (g *gnutlsRun) sentName() string {
	if g.line.Has("starttls-name") {
		return g.line.Value("starttls-name")
	}
	p := g.target.Protocol
	theirs := &negotiate.Options{Host: g.target.ServerName(), Name: g.target.Host}
	if p.Family != negotiate.Mail || p.Names != negotiate.OwnName || p.Check(theirs) != nil {
		return "" // the protocol knows better
	}
	return g.target.Host
}

// openFiles opens all that is written to.
func (g *gnutlsRun) openFiles() (err error) {
	if g.line.Has("logfile") {
		if g.log, err = openGnutlsFile(g.line.Value("logfile")); err != nil || g.log == nil {
			g.complain("Unable to open '%s'!", quote.Escape(g.line.Value("logfile")))
			return reportedError(1)
		}
	}
	if g.files.client, err = openGnutlsFile(g.line.Value("save-client-trace")); err != nil {
		return err
	}
	if g.files.server, err = openGnutlsFile(g.line.Value("save-server-trace")); err != nil {
		return err
	}
	keys := g.line.Value("sslkeylogfile")
	if keys == "" {
		keys = os.Getenv("SSLKEYLOGFILE")
	}
	if keys == "" {
		return nil
	}
	g.files.keys, err = os.OpenFile(keys, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	return err
}

// parseTarget reads the first operand; others count for nothing there. A port in it wins over
// --port.
func (g *gnutlsRun) parseTarget() error {
	protocol, shown, port := negotiate.TLS(), "", ""
	if g.line.Has("starttls-proto") {
		var err error
		var name string
		name, shown, port = gnutls.FindProtocol(g.line.Value("starttls-proto"))
		if protocol, err = connect.FindProtocol(name); err != nil {
			g.complain("unknown protocol '%s'", quote.Escape(g.line.Value("starttls-proto")))
			return reportedError(1)
		}
	}
	operand := strings.TrimSuffix(g.line.Operands[0], ".")
	t, err := connect.ParseTarget(operand, "", protocol)
	switch given := g.line.Value("port"); {
	case err == nil && t.PortGiven:
		shown = strings.TrimSuffix(operand[strings.LastIndex(operand, ":")+1:], "/")
	case g.line.Has("port") && given == "":
		return usagef("option --port is empty: it takes a number, or the name of a service")
	case g.line.Has("port"):
		t, err = connect.ParseTarget(operand, given, protocol)
		shown = given
	case port != "":
		t, err = connect.ParseTarget(operand, port, protocol)
	case shown == "":
		shown = strconv.Itoa(t.Port)
	}
	g.target, g.where = t, quote.Escape(t.Host+":"+shown)
	return err
}

// dialing tells of an address that is tried.
func (g *gnutlsRun) dialing(address string) {
	g.dialed = gnutlsAddress(address)
	mode := ""
	if g.line.Has("fastopen") {
		mode = " (TFO)"
	}
	g.say("Connecting to '%s'%s...\n", g.dialed, mode)
}

// gnutlsAddress is an address as it is told there: without brackets.
func gnutlsAddress(address string) string {
	if host, port, err := net.SplitHostPort(address); err == nil {
		address = host + ":" + port
	}
	return quote.Escape(address)
}

// dial connects.
func (g *gnutlsRun) dial(ctx context.Context) (net.Conn, error) {
	g.say("Resolving '%s'...\n", g.where)
	conn, _, err := connect.Connect(ctx, g.target, &g.connect)
	return conn, err
}

// open connects, upgrades and shakes hands.
func (g *gnutlsRun) open(ctx context.Context) (*connect.Session, error) {
	conn, err := g.dial(ctx)
	if err != nil {
		return nil, err
	}
	limited, stop := context.WithTimeout(ctx, gnutlsUpgrade+gnutlsHandshake)
	defer stop()
	session, err := connect.Begin(limited, conn, g.target, &g.connect)
	if err != nil {
		conn.Close()
		return nil, g.handshakeFailed(err)
	}
	return session, nil
}

// startTLS shakes hands on a connection that was in the clear.
func (g *gnutlsRun) startTLS(ctx context.Context, conn net.Conn) (*connect.Session, error) {
	g.started = true
	g.complain("*** Starting TLS handshake")
	limited, stop := context.WithTimeout(ctx, gnutlsHandshake)
	defer stop()
	up := negotiate.GoAhead(conn)
	up.ServerName = g.target.ServerName()
	session, err := connect.Secure(limited, up, g.target, &g.connect)
	if err != nil {
		return nil, g.handshakeFailed(err)
	}
	g.log.Write(g.describe(session))
	return session, nil
}

// describe returns what is said about a session that has begun.
func (g *gnutlsRun) describe(session *connect.Session) []byte {
	block := bytes.NewBuffer(g.block.Done(session.TLS, g.hello.ID()))
	cs := session.TLS.ConnectionState()
	if label := g.line.Value("keymatexport"); label != "" {
		material, err := cs.ExportKeyingMaterial(label, nil, g.line.Int("keymatexportsize", 20))
		if err != nil {
			g.complain("Error exporting keying material: %v", err)
		} else {
			fmt.Fprintf(block, "- Key material: %x\n", material)
		}
	}
	return block.Bytes()
}

// save saves what is to be kept of the server's certificates. It says what can't be saved.
func (g *gnutlsRun) save(cs tls.ConnectionState) (err error) {
	if file := g.line.Value("save-cert"); file != "" {
		err = os.WriteFile(file, gnutls.EncodePEM(cs.PeerCertificates...), 0o644)
	}
	if err == nil {
		err = g.saveOCSP(cs.OCSPResponse)
	}
	var failed *fs.PathError
	if errors.As(err, &failed) {
		g.complain("could not %s %s: %v", failed.Op, quote.Escape(failed.Path), failed.Err)
		return reportedError(1)
	}
	return err
}

// saveOCSP saves a response that was stapled.
func (g *gnutlsRun) saveOCSP(response []byte) error {
	single, multi := g.line.Value("save-ocsp"), g.line.Value("save-ocsp-multi")
	switch {
	case single == "" && multi == "":
		return nil
	case len(response) == 0:
		g.complain("no OCSP response for certificate 0")
		return nil
	case single != "":
		return os.WriteFile(single, response, 0o644)
	}
	return os.WriteFile(multi, pem.EncodeToMemory(&pem.Block{Type: "OCSP RESPONSE", Bytes: response}), 0o644)
}

// Bounds of the wait for the ticket of TLS 1.3.
const (
	ticketSoon  = time.Second
	ticketAtAll = 30 * time.Second // with --waitresumption
)

// resume ends the session, and begins another with its keys.
func (g *gnutlsRun) resume(ctx context.Context, session *connect.Session) (*connect.Session, error) {
	g.takeTicket(session)
	return g.reconnect(ctx, session)
}

// reconnect ends a session, and begins another.
func (g *gnutlsRun) reconnect(ctx context.Context, session *connect.Session) (*connect.Session, error) {
	g.say("- Disconnecting\n")
	session.Close()
	g.say("\n\n- Connecting again- trying to resume previous session\n")
	session, err := g.open(ctx)
	if err != nil {
		return nil, err
	}
	verdict := ""
	if session.TLS.ConnectionState().DidResume {
		verdict = "*** This is a resumed session\n"
	}
	g.say("%s- Resume Handshake was completed\n%s", g.describe(session), verdict)
	return session, nil
}

// takeTicket reads until the server has sent a ticket, which in TLS 1.3 it does behind the
// handshake. What else it says is lost.
func (g *gnutlsRun) takeTicket(session *connect.Session) {
	if session.TLS.ConnectionState().Version < tls.VersionTLS13 {
		return
	}
	session.SetReadDeadline(time.Now().Add(g.ticketWait()))
	tickets := g.connect.Sessions.(*ticketCache)
	tickets.onPut(func() { session.SetReadDeadline(time.Unix(1, 0)) })
	defer tickets.onPut(nil)
	io.CopyBuffer(io.Discard, struct{ io.Reader }{session}, make([]byte, 32<<10))
}

// A ticketCache keeps sessions, and tells when one comes.
type ticketCache struct {
	tls.ClientSessionCache
	mu  sync.Mutex
	has bool
	put func()
}

func newTicketCache() *ticketCache { return &ticketCache{ClientSessionCache: connect.NewSessions()} }

// Put keeps a session, or forgets one.
func (c *ticketCache) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.has = s != nil
	if c.has && c.put != nil {
		c.put()
	}
}

// onPut has f called when a session comes, or now if one has come.
func (c *ticketCache) onPut(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put = f
	if c.has && f != nil {
		f()
	}
}

// under watches what the handshake runs on.
func (g *gnutlsRun) under(conn net.Conn) net.Conn {
	g.hello = new(gnutls.Hello)
	return &gnutlsWire{conn, g.hello, g.files}
}

// gnutlsWire is the connection below TLS.
type gnutlsWire struct {
	net.Conn
	hello *gnutls.Hello
	files gnutlsFiles
}

func (c *gnutlsWire) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.hello.Take(p[:n])
	if c.files.server != nil {
		c.files.server.Write(p[:n])
	}
	return n, err
}

func (c *gnutlsWire) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.files.client != nil {
		c.files.client.Write(p[:n])
	}
	return n, err
}

// gnutlsConn notes how a session ends, and does not wait forever for its end.
type gnutlsConn struct {
	pipe.Conn
	run   *gnutlsRun
	most  int         // bytes in a record; 0: no bound
	ended atomic.Bool // our close_notify was sent
	// resume has another session take this one's place; nil: that can't be done.
	resume func() error
}

func (c *gnutlsConn) Read(p []byte) (int, error) {
	if c.ended.Load() {
		c.SetReadDeadline(time.Now().Add(gnutlsSilence))
	}
	n, err := c.Conn.Read(p)
	if err == io.EOF || errors.Is(err, record.ErrCut) {
		c.run.peerDone.Store(true)
	}
	return n, err
}

func (c *gnutlsConn) Write(p []byte) (int, error) { return c.run.input(p, c.send, c.resume) }

// send sends a piece of the input, in records that are not too long.
func (c *gnutlsConn) send(p []byte) error {
	for len(p) > 0 {
		n := len(p)
		if c.most > 0 {
			n = min(c.most, n)
		}
		if _, err := c.Conn.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (c *gnutlsConn) CloseWrite() error {
	if c.run.inline != nil {
		if err := c.send(c.run.inline.Rest()); err != nil {
			return err
		}
	}
	err := c.Conn.CloseWrite()
	c.ended.Store(true)
	c.SetReadDeadline(time.Now().Add(gnutlsSilence))
	return err
}

// sending tells with -V how much is sent: in front of it, so that the answer comes behind.
func (g *gnutlsRun) sending(n int) {
	if g.line.Has("verbose") {
		g.say("- Sent: %d bytes\n", n)
	}
}

// gnutlsReceived is standard output with -V: in front of each piece stands its length.
type gnutlsReceived struct{ run *gnutlsRun }

func (r gnutlsReceived) Write(p []byte) (int, error) {
	head := fmt.Sprintf("- Received[%d]: ", len(p))
	if r.run.log != r.run.stdout {
		r.run.say("%s", head)
		return r.run.stdout.Write(p)
	}
	n, err := r.run.stdout.Write(append([]byte(head), p...))
	return max(n-len(head), 0), err
}
