package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"tlsup/internal/testca"
	"tlsup/internal/testserver"
)

// serve is the server's process: it listens, tells the ports on out, then a report for each
// connection, until in ends.
func serve(in io.Reader, out io.Writer, caFile string, size int64) error {
	config, err := serverConfig(caFile)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	lines := json.NewEncoder(out)
	tell := func(v any) {
		mu.Lock()
		defer mu.Unlock()
		lines.Encode(v) // who reads it notices when it does not come
	}
	ports := make(map[string]int)
	for name, service := range services(config, size) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		ports[name] = l.Addr().(*net.TCPAddr).Port
		go func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				go func() { tell(lead(nc, service)) }()
			}
		}()
	}
	full := withoutTickets(config)
	for name, of := range map[string]struct {
		protocol string
		config   *tls.Config
	}{"starttls": {"smtp", config}, "tls": {"smtps", config}, "smtp": {"smtp", full}, "imap": {"imap", full}, "postgres": {"postgres", full}} {
		s, err := testserver.Start(of.protocol, func(c *tls.Config) {
			alpn := c.NextProtos
			*c = *of.config.Clone()
			c.NextProtos = alpn
			c.VerifyConnection = func(state tls.ConnectionState) error {
				tell(report{Suite: suite(state), Resumed: state.DidResume})
				return nil
			}
		})
		if err != nil {
			return err
		}
		ports[name] = s.Addr.Port
	}
	tell(ports)
	_, err = io.Copy(io.Discard, in)
	return err
}

// serverConfig makes a certificate, writes its authority to caFile, and pins what the
// clients' defaults would decide differently.
func serverConfig(caFile string) (*tls.Config, error) {
	ca, err := testca.New("tlsup benchmark authority")
	if err != nil {
		return nil, err
	}
	cert, err := ca.Issue([]string{"localhost", "127.0.0.1"}, nil)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		// Of this version's suites, Go takes AES-128-GCM from everybody who offers it.
		MinVersion: tls.VersionTLS13,
		// All but socat send a share for the first, and socat has the second alone.
		CurvePreferences:            []tls.CurveID{tls.X25519, tls.CurveP256},
		DynamicRecordSizingDisabled: true,
	}, os.WriteFile(caFile, ca.PEM(), 0o600)
}

// withoutTickets returns the settings for sessions that can't be resumed.
func withoutTickets(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.SessionTicketsDisabled = true
	return config
}

func suite(s tls.ConnectionState) string {
	return fmt.Sprintf("%s %s %s", tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.CurveID)
}

// A service is what the server does on a connection.
type service func(nc net.Conn, r *report) error

// services returns the services that tell of each connection at its end. size is that of a transfer.
func services(config *tls.Config, size int64) map[string]service {
	full := withoutTickets(config)
	inTLS := func(check bool, transfer func(net.Conn) (int64, error)) service {
		return func(nc net.Conn, r *report) error {
			w := &wire{Conn: nc, r: bufio.NewReaderSize(nc, chunk), w: bufio.NewWriterSize(nc, chunk), check: check}
			tc, err := shake(w, config, r)
			if err != nil {
				return err
			}
			r.Bytes, err = transfer(tc)
			return err
		}
	}
	all := map[string]service{
		"source": inTLS(true, func(conn net.Conn) (int64, error) { return send(conn, size) }),
		"exchange-clear": func(nc net.Conn, r *report) (err error) {
			r.Bytes, err = exchange(nc)
			return err
		},
		"echo":         func(nc net.Conn, r *report) error { return echo(nc, full, r) },
		"echo-resumed": func(nc net.Conn, r *report) error { return echo(nc, config, r) },
	}
	for _, check := range []bool{false, true} {
		suffix := map[bool]string{true: checked}[check]
		all["sink"+suffix] = inTLS(check, func(conn net.Conn) (int64, error) { return receive(conn, size) })
		all["both"+suffix] = inTLS(check, func(conn net.Conn) (int64, error) { return bothWays(conn, size/2) })
		all["exchange"+suffix] = inTLS(check, exchange)
	}
	return all
}

// unchecked are services that only count what they receive, and do not decrypt it; with checked behind
// its name each looks at it.
var unchecked = []string{"sink", "both", "exchange"}

const checked = "-checked"

// lead takes one connection through its service.
func lead(nc net.Conn, s service) (r report) {
	defer nc.Close()
	before := cpuTime()
	nc.SetDeadline(time.Now().Add(limit))
	if err := s(nc, &r); err != nil {
		r.Err = err.Error()
	}
	r.CPU = cpuTime() - before
	return r
}

func shake(nc net.Conn, config *tls.Config, r *report) (*tls.Conn, error) {
	tc := tls.Server(nc, config)
	err := tc.Handshake()
	r.Suite, r.Resumed = suite(tc.ConnectionState()), tc.ConnectionState().DidResume
	return tc, err
}

// enough is what ends an echo, for clients that can't say the end of their input.
const enough = "enough\n"

// echo answers with what comes, to the end of it however that comes about.
func echo(nc net.Conn, config *tls.Config, r *report) error {
	tc, err := shake(nc, config, r)
	if err != nil {
		return err
	}
	for buf := make([]byte, 512); err == nil; {
		var n int
		n, err = tc.Read(buf)
		if string(buf[:n]) == enough {
			break
		}
		if _, werr := tc.Write(buf[:n]); werr != nil {
			break
		}
	}
	return tc.CloseWrite()
}

// exchange does what is asked for again and again: it receives and sends so many bytes at
// once, in pieces of so many, and answers with the number that it has received. Of data that is not
// looked at there is nothing behind the first.
func exchange(conn net.Conn) (n int64, err error) {
	for {
		var request [24]byte
		if _, err := io.ReadFull(conn, request[:]); err != nil {
			return n, nil // however it ends
		}
		up, down, piece := asked(request[:]), asked(request[8:]), asked(request[16:])
		if err := both(func() error { return write(conn, down, piece) }, conn, up); err != nil {
			return n, err
		}
		n += up + down
		if _, err := conn.Write(request[:8]); err != nil {
			return n, err
		}
		if w := wireOf(conn); w != nil && !w.check && up > 0 {
			w.untilClose()
			return n, nil
		}
	}
}

func asked(request []byte) int64 { return int64(binary.BigEndian.Uint64(request)) }

// receive reads size bytes, answers with their number and closes. It does not wait for the
// client's end of file, which not every client can send and go on reading.
func receive(conn net.Conn, size int64) (int64, error) {
	if err := accept(conn, size); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(conn, "%d\n", size); err != nil {
		return size, err
	}
	extra, err := closeBehind(conn)
	return size + extra, err
}

// send writes size bytes and closes.
func send(conn net.Conn, size int64) (int64, error) {
	if err := write(conn, size, 0); err != nil {
		return 0, err
	}
	_, err := closeBehind(conn)
	return size, err
}

// bothWays sends and receives size bytes at once and closes.
func bothWays(conn net.Conn, size int64) (int64, error) {
	if err := both(func() error { return write(conn, size, 0) }, conn, size); err != nil {
		return 0, err
	}
	extra, err := closeBehind(conn)
	return 2*size + extra, err
}

// closeBehind closes, and returns how much the client says until it does, where that is looked at. A
// close with something unread would reset the connection.
func closeBehind(conn net.Conn) (extra int64, err error) {
	err = conn.(*tls.Conn).CloseWrite()
	if w := wireOf(conn); !w.check {
		w.untilClose()
		return 0, err
	}
	extra, _ = io.Copy(io.Discard, conn)
	return extra, err
}

// write writes size bytes, in TLS many records at a time, or in pieces that are each a record and a
// write of their own.
func write(conn net.Conn, size, piece int64) error {
	w := wireOf(conn)
	if w == nil || piece > 0 {
		_, err := (&source{size: size, piece: piece}).WriteTo(conn)
		return err
	}
	w.collect = true
	_, err := (&source{size: size}).WriteTo(conn)
	w.collect = false
	return errors.Join(err, w.w.Flush()) // ahead of CloseWrite, which ends all writing
}

// accept reads size bytes, and looks at them if that is wanted.
func accept(conn net.Conn, size int64) error {
	if w := wireOf(conn); w != nil && !w.check {
		w.dry = true // crypto/tls may have more of a record
		for buf := make([]byte, 16<<10); size > 0; {
			n, err := conn.Read(buf[:min(size, 16<<10)])
			if size -= int64(n); err != nil {
				break
			}
		}
		w.dry = false
		return w.count(size)
	}
	var in sink
	_, err := io.CopyBuffer(struct{ io.Writer }{&in}, io.LimitReader(conn, size), make([]byte, chunk))
	return errors.Join(err, in.check(size))
}

// A wire is a connection under TLS that moves many records in one system call.
type wire struct {
	net.Conn
	r       *bufio.Reader
	left    int // bytes of the record that is being handed out
	w       *bufio.Writer
	collect bool // writes wait for a full buffer or a flush
	check   bool // what comes is decrypted and looked at
	dry     bool // nothing is handed out
}

// wireOf is what a TLS session runs on, nil for a connection without TLS, or the client's.
func wireOf(conn net.Conn) *wire {
	if tc, ok := conn.(*tls.Conn); ok {
		return tc.NetConn().(*wire)
	}
	return nil
}

const recordHeader = 5 // bytes (RFC 8446, 5.1)

// next returns how many bytes the next record has behind its header.
func (w *wire) next() (n int, kind byte, err error) {
	header, err := w.r.Peek(recordHeader)
	if err != nil {
		return 0, 0, err
	}
	return int(binary.BigEndian.Uint16(header[3:])), header[0], nil
}

// Read hands out one record at most, so that crypto/tls has nothing of the next.
func (w *wire) Read(p []byte) (int, error) {
	if w.left == 0 {
		if w.dry {
			return 0, os.ErrDeadlineExceeded // after which crypto/tls goes on
		}
		n, _, err := w.next()
		if err != nil {
			return 0, err
		}
		w.left = recordHeader + n
	}
	n, err := w.r.Read(p[:min(len(p), w.left)])
	w.left -= n
	return n, err
}

// count passes over records until they have held size bytes, which they have to do exactly. Behind
// this, crypto/tls can't read.
func (w *wire) count(size int64) error {
	const data, around = 23, 17 // application_data; its type and tag (RFC 8446, 5.2)
	for size > 0 {
		n, kind, err := w.next()
		if err != nil {
			return err
		}
		if kind == data {
			size -= int64(n - around)
		}
		if _, err := w.r.Discard(recordHeader + n); err != nil {
			return err
		}
	}
	if size < 0 {
		return fmt.Errorf("%d bytes too many have come", -size)
	}
	return nil
}

// untilClose passes over records until one can be a close_notify, or the connection ends.
func (w *wire) untilClose() {
	const alert = 2 + 17
	for {
		n, _, err := w.next()
		if err != nil {
			return
		}
		if _, err := w.r.Discard(recordHeader + n); err != nil || n == alert {
			return
		}
	}
}

func (w *wire) Write(p []byte) (int, error) {
	if w.collect {
		return w.w.Write(p)
	}
	return w.Conn.Write(p)
}
