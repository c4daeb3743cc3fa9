// Package pipe carries bytes between an input, an output and a session.
//
// How a session ends, as a table of cases:
//
//	input ends                  close_notify is sent when the peer has been quiet for Quiet,
//	                            reading goes on until the peer closes, for Linger at most
//	peer sends close_notify     input that is still flowing is sent on until it ends or
//	                            pauses, of a terminal's only what is being written; an
//	                            error if it can't be written
//	both                        a clean end
//	peer cuts the stream        after the end of the input, between two records: the end,
//	                            with a notice, whether our close_notify was held back or
//	                            sent; else, and with KeepOpen, an error
//	peer resets                 an error; ErrResetBehind if our close_notify was sent
//	input fails                 an error, and no close_notify: what the peer has is not all
//	session can't be written    what the peer still sent is read to its end, then an error
//	output is closed            ErrOutputClosed: nobody reads any more
//	output fails                an error
//	nothing moves for Idle      an error
//	the context ends            its cause
//
// Once a session has ended no more input is written to it.
package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tlsup/internal/record"
	"tlsup/internal/stack"
)

// ErrOutputClosed tells that the reader of the output has gone away.
var ErrOutputClosed = errors.New("nobody reads the output any more")

// errUnsent tells that the peer closed a session in which input was still to be sent.
var errUnsent = errors.New("the peer closed the session before all input was sent")

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// ErrResetBehind tells that the peer reset the connection behind our close_notify: it may
// have dropped what it still owed.
var ErrResetBehind = errors.New("the peer reset the session behind our close_notify")

const (
	// bufSize is how many bytes are read from the connection at a time, and sendSize from the input: as
	// records they are read or written at once.
	bufSize  = 256 << 10
	sendSize = 240 << 10
	// pause is how long input may pause after the peer's close_notify before it counts as
	// ended; socat waits as long.
	pause = 500 * time.Millisecond
	// drain is how long the peer's last words are waited for when it can't be written to,
	// and how long what a terminal sends is waited for when the peer has closed.
	drain = 5 * time.Second
)

// A Conn is one end of a session. Read returns io.EOF for a clean end only.
type Conn interface {
	net.Conn
	// CloseWrite tells the peer that nothing more comes from this side.
	CloseWrite() error
}

// A Pipe joins input and output to a session. It is used once.
type Pipe struct {
	In  io.Reader
	Out io.Writer

	// Terminal: In can be read again after its end, and is not waited for when the
	// peer has closed.
	Terminal bool
	// CRLF turns each LF of the input into CRLF, unless a CR stands before it.
	CRLF bool
	// KeepOpen: the end of the input sends no close_notify.
	KeepOpen bool
	// Quiet holds close_notify back after the end of the input, until the peer has sent
	// nothing for so long and Out has taken all: many servers that take turns drop what they
	// owe when it arrives. 0 sends it at once.
	Quiet time.Duration
	// Linger is how long the peer is waited for after the end of the input, Quiet included;
	// time in which Out keeps its writer waiting does not count. Negative means no bound.
	Linger time.Duration
	// Idle ends a session in which nothing moves for so long. 0 means no bound.
	Idle time.Duration
	// Gone, if not nil, is closed when what is at the other end of In and Out has ended (a
	// command): inside TLS the peer is then waited for 5 seconds at most.
	Gone <-chan struct{}
	// Notice, if not nil, is told what a person should know though it is no error.
	Notice func(string)

	// sending is full while input is written to the connection, and throughout an upgrade,
	// so that no byte of input passes it. See acquire.
	sending chan struct{}
	conn    Conn // set once the session has begun
	crlf    crlf

	began   time.Time
	moved   atomic.Int64 // when a byte last moved, in nanoseconds since began
	sent    atomic.Int64 // bytes of input written
	inWrite atomic.Bool  // input is being written to the connection
	output  stopwatch    // runs while Out keeps us waiting
	ended   atomic.Bool  // all input was sent, and close_notify is due
	closed  atomic.Bool  // our close_notify was sent, or is about to be

	upload   chan error    // the end of the input: nil, or a sendError or *InputError
	download chan error    // the end of the session's output
	done     chan struct{} // closed at the end
}

// An InputError tells that the input could not be read.
type InputError struct{ Err error }

func (e *InputError) Error() string { return "input: " + e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

// An OutputError tells that the output could not be written.
type OutputError struct{ Err error }

func (e *OutputError) Error() string { return "output: " + e.Err.Error() }
func (e *OutputError) Unwrap() error { return e.Err }

// A sendError tells that the connection could not be written to.
type sendError struct{ error }

func (e sendError) Unwrap() error { return e.error }

// Run carries bytes both ways until the session ends; see the package comment for the
// ways it can. It returns nil for a clean end. A blocked read of In is left behind.
// Closing conn is the caller's, and so is cutting it short after an error.
func (p *Pipe) Run(ctx context.Context, conn Conn) error {
	p.init()
	defer close(p.done)
	p.begin(conn)
	go p.send(func() bool { return false })
	return p.session(ctx)
}

// begin sets the session, of which there is one in a process.
func (p *Pipe) begin(conn Conn) {
	if session, ok := conn.(interface{ Bulk() }); ok {
		session.Bulk()
	}
	p.conn = conn
}

func (p *Pipe) init() {
	p.upload, p.download = make(chan error, 1), make(chan error, 1)
	p.sending, p.done = make(chan struct{}, 1), make(chan struct{})
	p.began = time.Now()
}

// acquire waits until it may write to the connection, and reports false if the session
// has ended. After true the caller owes a release.
func (p *Pipe) acquire() bool {
	select {
	case p.sending <- struct{}{}:
	case <-p.done:
		return false
	}
	select {
	case <-p.done:
		p.release()
		return false
	default:
		return true
	}
}

func (p *Pipe) release() { <-p.sending }

// move notes that a byte has moved.
func (p *Pipe) move() { p.moved.Store(int64(time.Since(p.began))) }

// session runs once conn is set and the input is being sent.
func (p *Pipe) session(ctx context.Context) error {
	p.move()
	go func() { p.download <- p.receive(p.conn, nil) }()
	idle := p.watchIdle()
	var linger <-chan time.Time
	var granted time.Duration // of Out's waits, on top of Linger
	var grace <-chan time.Time
	gone := p.Gone
	upload := p.upload
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-idle:
			return p.idleError()
		case err := <-upload:
			upload = nil
			if err != nil {
				return p.lastWords(ctx, err)
			}
			if p.Linger >= 0 {
				granted, linger = p.output.total(), time.After(p.Linger)
			}
		case <-linger:
			linger = nil
			if wait := p.output.total(); wait > granted {
				granted, linger = wait, time.After(wait-granted)
				continue
			}
			p.conn.SetReadDeadline(past)
		case <-gone:
			gone, grace = nil, time.After(drain)
		case <-grace:
			grace = nil
			p.conn.SetReadDeadline(past)
		case err := <-p.download:
			// A deadline before the end of the input: Gone's.
			if upload != nil && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)) {
				err = p.rest(ctx, idle, upload)
			}
			return p.judge(err)
		}
	}
}

// judge judges the end of the session's output.
func (p *Pipe) judge(err error) error {
	switch {
	case err == nil || errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case errors.Is(err, record.ErrCut) && p.ended.Load():
		if p.Notice != nil {
			p.Notice("the peer closed without close_notify: a cut can't be told from the end of its answer")
		}
		return nil
	case errors.Is(err, syscall.ECONNRESET) && p.closed.Load():
		return fmt.Errorf("%w: %w", ErrResetBehind, err)
	}
	return err
}

// rest lets input that is flowing be sent on after the peer's close_notify.
func (p *Pipe) rest(ctx context.Context, idle <-chan struct{}, upload <-chan error) error {
	wait, limit := pause, (<-chan time.Time)(nil)
	if p.Terminal {
		wait, limit = 0, time.After(drain)
	}
	for sent := p.sent.Load(); ; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-idle:
			return p.idleError()
		case <-limit:
			return errUnsent
		case err := <-upload:
			if errors.As(err, new(sendError)) {
				return fmt.Errorf("%w: %w", errUnsent, err)
			}
			return err
		case <-time.After(wait):
			now := p.sent.Load()
			if now == sent && !p.inWrite.Load() {
				return nil
			}
			sent, wait = now, pause
		}
	}
}

// lastWords reads what the peer sent before it could no longer be written to, and returns
// why it could not. A failure of the input itself is returned at once.
func (p *Pipe) lastWords(ctx context.Context, failed error) error {
	if !errors.As(failed, new(sendError)) {
		return failed
	}
	p.conn.SetReadDeadline(time.Now().Add(drain))
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case err := <-p.download:
		if errors.Is(err, ErrOutputClosed) || errors.As(err, new(*OutputError)) {
			return err
		}
		if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err // an alert says more than a failed write
		}
		if err == nil {
			return fmt.Errorf("%w: %w", errUnsent, failed)
		}
		return failed
	}
}

// send reads the input to its end and writes it to the connection. atEnd is asked at each
// end whether reading goes on.
func (p *Pipe) send(atEnd func() bool) {
	stack.Reserve()
	buf := make([]byte, sendSize)
	for {
		n, err := p.In.Read(buf)
		if n > 0 {
			if err := p.write(buf[:n]); err != nil {
				p.upload <- err
				return
			}
		}
		switch {
		case err == io.EOF && atEnd():
		case err == io.EOF:
			p.closeWrite()
			return
		case err != nil:
			p.upload <- &InputError{err}
			return
		}
	}
}

// write writes input to the connection.
func (p *Pipe) write(b []byte) error {
	if !p.acquire() {
		return net.ErrClosed
	}
	defer p.release()
	p.inWrite.Store(true)
	defer p.inWrite.Store(false)
	if p.CRLF {
		b = p.crlf.convert(b)
	}
	if _, err := p.conn.Write(b); err != nil {
		return sendError{err}
	}
	p.sent.Add(int64(len(b)))
	p.move()
	return nil
}

// closeWrite tells of the end of the input, then sends close_notify, in which a peer that
// does not read may keep it. That it can't be sent is no error: the peer may have gone,
// and all input was sent.
func (p *Pipe) closeWrite() {
	if !p.acquire() {
		return
	}
	defer p.release()
	p.ended.Store(!p.KeepOpen)
	p.upload <- nil
	if p.KeepOpen || !p.hold() {
		return
	}
	p.closed.Store(true)
	p.conn.CloseWrite()
}

// hold waits until the peer has been quiet for Quiet, and reports false if the session has
// ended first.
func (p *Pipe) hold() bool {
	quiet := p.Quiet
	if p.Idle > 0 {
		quiet = min(quiet, p.Idle/2) // the peer has to be told before it counts as idle
	}
	for wait := quiet; wait > 0; wait = quiet - p.still() {
		select {
		case <-p.done:
			return false
		case <-time.After(wait):
		}
	}
	return true
}

// receive reads from a connection and writes to the output until the connection's end. cut, if
// not nil, decides how much of what was read is shown, and with an error that receiving ends.
func (p *Pipe) receive(conn net.Conn, cut func([]byte) ([]byte, error)) error {
	stack.Reserve()
	buf := make([]byte, bufSize)
	for {
		n, err := conn.Read(buf)
		show := buf[:n]
		if cut != nil {
			var last error
			if show, last = cut(show); last != nil {
				err = last
			}
		}
		if len(show) > 0 {
			if err := p.show(show); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// show writes to the output and keeps account of how long that takes.
func (p *Pipe) show(b []byte) error {
	p.output.start()
	_, err := p.Out.Write(b)
	p.move() // before the watch stops, or the wait would pass for idleness
	p.output.stop()
	return WriteError(err)
}

// WriteError gives an error of writing to an output its meaning: nil, ErrOutputClosed or
// an *OutputError.
func WriteError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errBrokenPipe) || errors.Is(err, io.ErrClosedPipe):
		return ErrOutputClosed
	}
	return &OutputError{err}
}

// A stopwatch adds up the times in which it runs.
type stopwatch struct {
	mu    sync.Mutex
	since time.Time // zero if it does not run
	sum   time.Duration
}

func (w *stopwatch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
}

func (w *stopwatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sum += time.Since(w.since)
	w.since = time.Time{}
}

func (w *stopwatch) runs() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.since.IsZero()
}

func (w *stopwatch) total() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		return w.sum
	}
	return w.sum + time.Since(w.since)
}

// still returns how long nothing has moved: no time at all while Out keeps us waiting.
func (p *Pipe) still() time.Duration {
	if p.output.runs() {
		return 0
	}
	return time.Since(p.began) - time.Duration(p.moved.Load())
}

// watchIdle returns a channel that is closed when nothing has moved for Idle. A wait for
// the output is not idle.
func (p *Pipe) watchIdle() <-chan struct{} {
	idle := make(chan struct{})
	if p.Idle <= 0 {
		return idle
	}
	var check func()
	check = func() {
		select {
		case <-p.done:
			return
		default:
		}
		if left := p.Idle - p.still(); left > 0 {
			time.AfterFunc(left, check)
			return
		}
		close(idle)
	}
	time.AfterFunc(p.Idle, check)
	return idle
}

func (p *Pipe) idleError() error { return fmt.Errorf("nothing moved for %v", p.Idle) }
