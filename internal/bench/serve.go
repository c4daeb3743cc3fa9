package main

import (
	"bufio"
	"crypto/tls"
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
	for name, transfer := range map[string]func(*tls.Conn, int64) (int64, error){"sink": receive, "source": send} {
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
				tell(lead(nc, config, func(tc *tls.Conn) (int64, error) { return transfer(tc, size) }))
			}
		}()
	}
	for name, protocol := range map[string]string{"starttls": "smtp", "tls": "smtps"} {
		s, err := testserver.Start(protocol, func(c *tls.Config) {
			*c = *config.Clone()
			c.VerifyConnection = func(state tls.ConnectionState) error {
				tell(report{Suite: suite(state)})
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

func suite(s tls.ConnectionState) string {
	return fmt.Sprintf("%s %s %s", tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.CurveID)
}

// lead takes one connection through its transfer.
func lead(nc net.Conn, config *tls.Config, transfer func(*tls.Conn) (int64, error)) (r report) {
	defer nc.Close()
	before := cpuTime()
	nc.SetDeadline(time.Now().Add(limit))
	tc := tls.Server(&wire{Conn: nc, r: bufio.NewReaderSize(nc, chunk), w: bufio.NewWriterSize(nc, chunk)}, config)
	err := tc.Handshake()
	if err == nil {
		r.Suite = suite(tc.ConnectionState())
		r.Bytes, err = transfer(tc)
	}
	if err != nil {
		r.Err = err.Error()
	}
	r.CPU = cpuTime() - before
	return r
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
	w := tc.NetConn().(*wire)
	w.collect = true
	n, err := (&source{size: size}).WriteTo(tc)
	w.collect = false
	if err := errors.Join(err, w.w.Flush()); err != nil { // ahead of CloseWrite, which ends all writing
		return n, err
	}
	err = tc.CloseWrite()
	io.Copy(io.Discard, tc) // a close with something unread would reset the connection
	return n, err
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
