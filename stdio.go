package main

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"tlsup/pipe"
)

// clientOnStdio is the client on stdin and stdout: a socket that is both, as inetd and isync
// have it, or two pipes.
func clientOnStdio(stdin, stdout *os.File) (net.Conn, error) {
	in, inErr := stdin.Stat()
	out, outErr := stdout.Stat()
	if inErr == nil && outErr == nil && os.SameFile(in, out) {
		if socket, err := net.FileConn(stdin); err == nil {
			return socket, nil
		}
	}
	return newStdio(stdin, stdout)
}

// stdio is a client on stdin and stdout. A pipe stands between, since a read of stdin itself can't
// be ended from this side.
type stdio struct {
	in, out *os.File
	quiet   atomic.Bool // the server has ended: a pause of the input ends it
}

// inputPause is how long input may pause when the server has ended; the pipe waits as long.
const inputPause = 500 * time.Millisecond

func newStdio(stdin, stdout *os.File) (*stdio, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		io.Copy(w, inputFrom(stdin))
		w.Close()
	}()
	return &stdio{in: r, out: stdout}, nil
}

func (s *stdio) Read(b []byte) (int, error) {
	if s.quiet.Load() {
		s.in.SetReadDeadline(time.Now().Add(inputPause))
	}
	n, err := s.in.Read(b)
	if n == 0 && s.quiet.Load() && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed)) {
		err = io.EOF
	}
	return n, err
}

func (s *stdio) Write(b []byte) (int, error) {
	n, err := s.out.Write(b)
	return n, pipe.WriteError(err)
}

// CloseWrite ends the output. The input is not waited for much longer.
func (s *stdio) CloseWrite() error {
	s.quiet.Store(true)
	if s.in.SetReadDeadline(time.Now().Add(inputPause)) != nil { // no bounds on this system
		time.AfterFunc(inputPause, func() { s.in.Close() })
	}
	return s.out.Close()
}

func (s *stdio) Close() error { return errors.Join(s.in.Close(), s.out.Close()) }

func (s *stdio) LocalAddr() net.Addr  { return stdioAddr{} }
func (s *stdio) RemoteAddr() net.Addr { return stdioAddr{} }

// SetDeadline bounds reads and writes where the system has bounds for them.
func (s *stdio) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetReadDeadline bounds reads, see SetDeadline.
func (s *stdio) SetReadDeadline(t time.Time) error { return ifBound(s.in.SetReadDeadline(t)) }

// SetWriteDeadline bounds writes, see SetDeadline.
func (s *stdio) SetWriteDeadline(t time.Time) error { return ifBound(s.out.SetWriteDeadline(t)) }

func ifBound(err error) error {
	if errors.Is(err, os.ErrNoDeadline) {
		return nil
	}
	return err
}

type stdioAddr struct{}

func (stdioAddr) Network() string { return "stdio" }
func (stdioAddr) String() string  { return onStdio }
