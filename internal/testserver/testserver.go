// Package testserver runs, inside the process and on loopback, servers that upgrade to
// TLS, with a throwaway certificate authority. Demonstrations, explanations and tests
// speak to them. They are written from the specifications, not from the client.
package testserver

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"

	"tlsup/internal/testca"
)

// Host is the name that the servers' certificates are valid for, beside the loopback
// addresses.
const Host = "mail.example.org"

// User and Password are what the servers of mailboxes let in, inside TLS.
const (
	User     = "demo"
	Password = "demo"
)

// A protocol is the server's side of one protocol.
type protocol struct {
	// upgrade speaks cleartext up to and with the go-ahead; nil for TLS from the first byte.
	upgrade func(*conn) error
	// alpn is what the server takes for its protocol ID (RFC 7301); nil if it does not look.
	alpn []string
	// wrap, if not nil, gives what the handshake is run on, and what to call when it is done.
	wrap func(net.Conn) (conn net.Conn, done func())
	// minVersion and maxVersion are the oldest and the newest version of TLS; 0 for any.
	minVersion, maxVersion uint16
	// session speaks inside TLS until the client ends it.
	session func(*conn) error
	// talk is what a client may say inside TLS, ending the session where the protocol has a way to:
	// lines, or requests of several lines.
	talk []string
	// packets, if not nil, tells that the session has no lines: talk is sent as it stands.
	packets *Packets
}

// Packets tells how to read what is said inside TLS in a protocol of packets.
type Packets struct {
	Split bufio.SplitFunc            // cuts what the server says
	Name  func(packet []byte) string // what a packet of either side is, for a person
}

// cutPacket is how a bufio.SplitFunc ends: it cuts a packet of n bytes off, or at the end takes what
// there is.
func cutPacket(data []byte, n int, atEOF bool) (int, []byte, error) {
	switch {
	case n <= len(data):
		return n, data[:n], nil
	case atEOF && len(data) > 0:
		return len(data), data, nil
	}
	return 0, nil, nil
}

// providers each put the servers of one file into servers, when one is needed: most runs need none.
var providers = []func(servers map[string]protocol){
	acapServers, amqpServers, beepServers, csyncServers, diameterServers, doveadmServers, ftpServers,
	httpServers, icapServers, imapServers, implicitServers, ircServers, kerberosServers, ldapServers,
	mssqlServers, mtqpServers, muninServers, mupdateServers, mysqlServers, mysqlxServers, natsServers,
	nbdServers, nfsServers, nntpServers, nutServers, packetsServers, pcepServers, pop3Servers,
	postgresServers, quasselServers, rdpServers, sieveServers, smtpServers, syncplayServers,
	telnetServers, tlsServers, vncServers, xmppServers,
}

// known are all servers, by their protocols' names.
var known struct {
	once    sync.Once
	servers map[string]protocol
}

// servers returns all of them.
func servers() map[string]protocol {
	known.once.Do(func() {
		known.servers = make(map[string]protocol)
		for _, p := range providers {
			p(known.servers)
		}
	})
	return known.servers
}

// Names returns the protocols that there is a server for.
func Names() []string {
	return slices.Sorted(maps.Keys(servers()))
}

// Talk returns what a client may say inside TLS to the server of a protocol, as lines or
// requests of several lines, without the last line end, or as packets; the last ends the
// session where the protocol has a way to.
func Talk(name string) []string { return servers()[name].talk }

// PacketsOf returns how to read the session with a server, nil for lines. What Talk returns
// are packets then, to be sent without line ends.
func PacketsOf(name string) *Packets { return servers()[name].packets }

// A Server is listening on loopback.
type Server struct {
	CA   *testca.CA
	Addr *net.TCPAddr

	listener net.Listener
	protocol protocol
	config   *tls.Config
	wait     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// Start starts a server for the named protocol on a free port of 127.0.0.1. change, if
// not nil, may alter the TLS settings. The caller closes it.
func Start(name string, change func(*tls.Config)) (*Server, error) {
	p, ok := servers()[name]
	if !ok {
		return nil, fmt.Errorf("no server in the process for %s", name)
	}
	ca, err := testca.New("tlsup throwaway authority")
	if err != nil {
		return nil, err
	}
	cert, err := ca.Issue([]string{Host, "example.org", "localhost", "127.0.0.1", "::1"}, nil)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		CA: ca, Addr: l.Addr().(*net.TCPAddr), listener: l, protocol: p,
		config: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: p.alpn, MinVersion: p.minVersion, MaxVersion: p.maxVersion},
		conns:  make(map[net.Conn]bool),
	}
	if change != nil {
		change(s.config)
	}
	s.wait.Go(s.accept)
	return s, nil
}

// Close stops the server and its connections.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wait.Wait()
	return err
}

func (s *Server) accept() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[nc] = true
		s.mu.Unlock()
		s.wait.Go(func() {
			s.serve(nc)
			s.mu.Lock()
			delete(s.conns, nc)
			s.mu.Unlock()
		})
	}
}

// serve leads one connection through the upgrade and the session. Errors end it: the
// client sees them.
func (s *Server) serve(nc net.Conn) {
	defer nc.Close()
	c := &conn{Conn: nc, r: bufio.NewReader(nc), implicit: s.protocol.upgrade == nil}
	if s.protocol.upgrade != nil {
		if err := s.protocol.upgrade(c); err != nil {
			return
		}
	}
	done := func() {}
	if s.protocol.wrap != nil {
		c.Conn, done = s.protocol.wrap(c.Conn)
	}
	if c.startTLS(s.config) != nil {
		return
	}
	done()
	if err := s.protocol.session(c); err == nil || errors.Is(err, io.EOF) {
		c.Conn.(*tls.Conn).CloseWrite()
		// Wait for the client's own end, so that closing does not reset what it has yet to read.
		io.Copy(io.Discard, c.r)
	}
}

// conn is the server's end of a connection.
type conn struct {
	net.Conn
	r        *bufio.Reader
	implicit bool   // TLS from the first byte
	stamp    string // of a POP3 server's greeting, for APOP
	held     bool   // the registration with an IRC server waits for CAP END

	capabilities uint32 // of a MySQL client
}

// startTLS runs the handshake. What the client sent behind its request in the clear
// ends the connection.
func (c *conn) startTLS(config *tls.Config) error {
	if c.r.Buffered() > 0 {
		return errors.New("cleartext behind the client's request")
	}
	tc := tls.Server(c.Conn, config)
	if err := tc.Handshake(); err != nil {
		return err
	}
	c.Conn, c.r = tc, bufio.NewReader(tc)
	return nil
}

// readLine reads a line without its end.
func (c *conn) readLine() (string, error) {
	line, err := c.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// send sends lines, each ended by CRLF.
func (c *conn) send(lines ...string) error {
	_, err := io.WriteString(c.Conn, strings.Join(lines, "\r\n")+"\r\n")
	return err
}

// inTLS reports whether the handshake has been run.
func (c *conn) inTLS() bool {
	_, ok := c.Conn.(*tls.Conn)
	return ok
}

// negotiatedProtocol is the protocol ID that was agreed on in the handshake, if any.
func (c *conn) negotiatedProtocol() string {
	return c.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol
}
