package negotiate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// ftpDataWait bounds the way to a data connection, from its port to the end of its handshake.
	ftpDataWait = time.Minute
	// ftpGoneWait is how long the end of an upload may be ahead of that of the control connection
	// when both end because the client does.
	ftpGoneWait = 20 * time.Millisecond
	// maxFTPData is how many data connections a client may have open: one is in use, others may still
	// be on their way to a client that reads slowly.
	maxFTPData = 8
)

// ftpData is a port for one data connection, and the connection.
type ftpData struct {
	listener net.Listener
	peer     netip.Addr // who may connect
	link     ftpLink
	used     bool   // a transfer uses it
	drop     func() // ends it
}

// ftpLink leads from a connection to a data port to the two ends to copy between. It closes accepted
// on error.
type ftpLink func(ctx context.Context, accepted *net.TCPConn) (client, server net.Conn, err error)

var (
	// errDropped is the end of a data connection for which there is no transfer.
	errDropped = errors.New("no transfer")
	errTooMany = errors.New("too many data connections")
)

// listen opens a data port in place of the one before.
func (c *ftpControl) listen(local, peer netip.Addr, link ftpLink) (netip.AddrPort, error) {
	c.replaceData(nil)
	if c.open.Add(1) > maxFTPData {
		c.open.Add(-1)
		return netip.AddrPort{}, errTooMany
	}
	free := sync.OnceFunc(func() { c.open.Add(-1) })
	listener, err := net.Listen("tcp", netip.AddrPortFrom(local, 0).String())
	if err != nil {
		free()
		return netip.AddrPort{}, err
	}
	dropped, cancel := context.WithCancel(context.Background())
	drop := func() {
		cancel()
		free()
	}
	d := &ftpData{listener: listener, peer: peer, link: link, drop: drop}
	c.replaceData(d)
	c.l.Go(func(ctx context.Context) error {
		defer drop()
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		context.AfterFunc(dropped, func() { cancel(errDropped) })
		err := d.serve(ctx, c.l.Join)
		if err == nil || context.Cause(ctx) == errDropped {
			return nil
		}
		return err
	})
	bound, _ := netip.ParseAddrPort(listener.Addr().String())
	return netip.AddrPortFrom(local, bound.Port()), nil
}

// replaceData makes d the data connection of the next transfer. The one before goes on if a transfer
// has used it.
func (c *ftpControl) replaceData(d *ftpData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.data != nil && !c.data.used {
		c.data.drop()
	}
	c.data = d
}

// serve serves the data connection to its end. That nobody connects is no error: whoever waits for
// the connection will say so.
func (d *ftpData) serve(ctx context.Context, join func(ctx context.Context, client, server net.Conn) error) error {
	early, cancel := context.WithTimeout(ctx, ftpDataWait)
	defer cancel()
	conn := d.accept(early)
	if conn == nil {
		return nil
	}
	client, server, err := d.link(early, conn)
	if err != nil {
		return fmt.Errorf("data connection: %w", err)
	}
	return join(ctx, client, server)
}

// accept waits for the peer to connect, and closes the port. It returns nil if nobody did.
func (d *ftpData) accept(ctx context.Context) *net.TCPConn {
	defer d.listener.Close()
	defer context.AfterFunc(ctx, func() { d.listener.Close() })()
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return nil
		}
		if _, from, ok := addresses(conn); ok && from == d.peer {
			return conn.(*net.TCPConn)
		}
		conn.Close()
	}
}

// toServer leads a client that has connected to the server's data port.
func (c *ftpControl) toServer(port int) ftpLink {
	return func(ctx context.Context, accepted *net.TCPConn) (net.Conn, net.Conn, error) {
		server, err := c.l.Dial(ctx, port)
		if err != nil {
			reset(accepted)
			return nil, nil, err
		}
		return c.secure(ctx, accepted, server)
	}
}

// toClient leads a server that has connected to the client's data port. own is the tunnel's address
// that the client knows.
func (c *ftpControl) toClient(own netip.Addr, port netip.AddrPort) ftpLink {
	return func(ctx context.Context, accepted *net.TCPConn) (net.Conn, net.Conn, error) {
		dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(own, 0))}
		client, err := dialer.DialContext(ctx, "tcp", port.String())
		if err != nil {
			reset(accepted)
			return nil, nil, fmt.Errorf("the client's port: %w", err)
		}
		return c.secure(ctx, client.(*net.TCPConn), accepted)
	}
}

// secure speaks TLS with the server, as its client whoever has connected (RFC 4217, 7).
func (c *ftpControl) secure(ctx context.Context, client *net.TCPConn, server net.Conn) (net.Conn, net.Conn, error) {
	session, err := c.l.Secure(ctx, server)
	if err != nil {
		server.Close()
		reset(client) // an end would look like that of an empty file
		return nil, nil, err
	}
	return &ftpFile{TCPConn: client, gone: c.gone}, session, nil
}

func reset(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}

// errGone is the end of an upload whose client is gone.
var errGone = errors.New("its control connection ended before the upload")

// ftpFile is the client's end of a data connection.
type ftpFile struct {
	*net.TCPConn
	gone <-chan struct{} // closed when the client has ended the control connection
	sent bool
}

// Read fails at the end of an upload that ends because the client does: in FTP itself nothing tells
// that from the end of the file.
func (f *ftpFile) Read(p []byte) (int, error) {
	n, err := f.TCPConn.Read(p)
	f.sent = f.sent || n > 0
	if err != io.EOF || !f.sent {
		return n, err
	}
	select {
	case <-f.gone:
		return n, errGone
	case <-time.After(ftpGoneWait):
		return n, err
	}
}

// addresses are those of the two ends of a TCP connection, IPv4 as such.
func addresses(conn net.Conn) (local, remote netip.Addr, ok bool) {
	l, ok := conn.LocalAddr().(*net.TCPAddr)
	r, also := conn.RemoteAddr().(*net.TCPAddr)
	if !ok || !also {
		return local, remote, false
	}
	local, remote = l.AddrPort().Addr().Unmap(), r.AddrPort().Addr().Unmap()
	return local, remote, local.IsValid() && remote.IsValid()
}

// commas writes an IPv4 address and a port as PORT and 227 do (RFC 959, 4.1.2).
func commas(a netip.AddrPort) string {
	return fmt.Sprintf("%s,%d,%d", strings.ReplaceAll(a.Addr().String(), ".", ","), a.Port()>>8, a.Port()&0xff)
}

var sixNumbers = lazy(`[0-9]{1,3}(,[0-9]{1,3}){5}`)

// parseCommas reads what commas writes.
func parseCommas(text string) (netip.AddrPort, bool) {
	var n [6]byte
	for i, word := range strings.Split(text, ",") {
		v, err := strconv.ParseUint(word, 10, 8)
		if err != nil || i >= len(n) {
			return netip.AddrPort{}, false
		}
		n[i] = byte(v)
	}
	port := uint16(n[4])<<8 | uint16(n[5])
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[:4])), port), strings.Count(text, ",") == 5 && port != 0
}

// parseFTPPort reads the argument of PORT or EPRT (RFC 2428, 2), or returns what to answer.
func parseFTPPort(verb, argument string) (port netip.AddrPort, answer string) {
	if verb == "PORT" {
		port, ok := parseCommas(strings.TrimSpace(argument))
		if !ok {
			return port, ftpSyntax
		}
		return port, ""
	}
	if argument == "" {
		return port, ftpSyntax
	}
	fields := strings.Split(argument, argument[:1]) // before, family, address, port, behind
	if len(fields) != 5 || fields[0] != "" || fields[4] != "" {
		return port, ftpSyntax
	}
	if fields[1] != "1" && fields[1] != "2" {
		return port, ftpNoFamily
	}
	address, err := netip.ParseAddr(fields[2])
	number, portErr := strconv.ParseUint(fields[3], 10, 16)
	if err != nil || portErr != nil || number == 0 || address.Zone() != "" || address.Is4() != (fields[1] == "1") {
		return port, ftpSyntax
	}
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), ""
}

// parseFTPPassive returns the port in a line of a 227 or 229, 0 if there is none. The address in a
// 227 is not looked at.
func parseFTPPassive(code, line string) int {
	if code == "227" {
		port, ok := parseCommas(sixNumbers.get().FindString(line[min(4, len(line)):]))
		if !ok {
			return 0
		}
		return int(port.Port())
	}
	_, inner, _ := strings.Cut(line, "(")
	inner, _, closed := strings.Cut(inner, ")")
	if !closed || inner == "" {
		return 0
	}
	fields := strings.Split(inner, inner[:1]) // before, no family, no address, port, behind
	if len(fields) != 5 {
		return 0
	}
	port, err := strconv.ParseUint(fields[3], 10, 16)
	if err != nil {
		return 0
	}
	return int(port)
}
