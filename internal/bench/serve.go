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
	inTLS := func(transfer func(*tls.Conn) (int64, error)) service {
		return func(nc net.Conn, r *report) error {
			w := &wire{Conn: nc, r: bufio.NewReaderSize(nc, chunk), w: bufio.NewWriterSize(nc, chunk)}
			tc, err := shake(w, config, r)
			if err != nil {
				return err
			}
			r.Bytes, err = transfer(tc)
			return err
		}
	}
	return map[string]service{
		"sink":     inTLS(func(tc *tls.Conn) (int64, error) { return receive(tc, size) }),
		"source":   inTLS(func(tc *tls.Conn) (int64, error) { return send(tc, size) }),
		"exchange": inTLS(func(tc *tls.Conn) (int64, error) { return exchange(tc) }),
		"exchange-clear": func(nc net.Conn, r *report) (err error) {
			r.Bytes, err = exchange(nc)
			return err
		},
		"echo":         func(nc net.Conn, r *report) error { return echo(nc, full, r) },
		"echo-resumed": func(nc net.Conn, r *report) error { return echo(nc, config, r) },
	}
}

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

// echo answers with what comes, to the end of it however that comes about.
func echo(nc net.Conn, config *tls.Config, r *report) error {
	tc, err := shake(nc, config, r)
	if err != nil {
		return err
	}
	io.CopyBuffer(struct{ io.Writer }{tc}, struct{ io.Reader }{tc}, make([]byte, 512))
	return tc.CloseWrite()
}

// exchange does what is asked for again and again: it receives and sends so many bytes at
// once, and answers with the number that it has received.
func exchange(conn net.Conn) (n int64, err error) {
	for {
		var request [16]byte
		if _, err := io.ReadFull(conn, request[:]); err != nil {
			return n, nil // however it ends
		}
		up, down := int64(binary.BigEndian.Uint64(request[:])), int64(binary.BigEndian.Uint64(request[8:]))
		if err := both(func() error { return write(conn, down) }, conn, up); err != nil {
			return n, err
		}
		n += up + down
		if _, err := conn.Write(request[:8]); err != nil {
			return n, err
		}
	}
}

// receive reads size bytes, answers with their number and closes. It does not wait for the
// client's end of file, which not every client can send and go on reading.
func receive(tc *tls.Conn, size int64) (int64, error) {
	var in sink
	_, err := io.Copy(&in, io.LimitReader(tc, size))
	if err := errors.Join(err, in.check(size)); err != nil {
		return in.n, err
	}
	if _, err := fmt.Fprintf(tc, "%d\n", in.n); err != nil {
		return in.n, err
	}
	err = tc.CloseWrite()
	extra, _ := io.Copy(io.Discard, tc)
	return in.n + extra, err
}

// send writes size bytes and closes.
func send(tc *tls.Conn, size int64) (int64, error) {
	if err := write(tc, size); err != nil {
		return 0, err
	}
	err := tc.CloseWrite()
	io.Copy(io.Discard, tc) // a close with something unread would reset the connection
	return size, err
}

// write writes size bytes, in TLS many records at a time.
func write(conn net.Conn, size int64) error {
	tc, ok := conn.(*tls.Conn)
	if !ok {
		_, err := (&source{size: size}).WriteTo(conn)
		return err
	}
	w := tc.NetConn().(*wire)
	w.collect = true
	_, err := (&source{size: size}).WriteTo(tc)
	w.collect = false
	return errors.Join(err, w.w.Flush()) // ahead of CloseWrite, which ends all writing
}

// A wire is a connection under TLS that moves many records in one system call.
type wire struct {
	net.Conn
	r       *bufio.Reader
	w       *bufio.Writer
	collect bool // writes wait for a full buffer or a flush
}

func (w *wire) Read(p []byte) (int, error) { return w.r.Read(p) }

func (w *wire) Write(p []byte) (int, error) {
	if w.collect {
		return w.w.Write(p)
	}
	return w.Conn.Write(p)
}
