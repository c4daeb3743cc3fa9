package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"tlsup/internal/connect"
	"tlsup/internal/gnutls"
	"tlsup/internal/quote"
	"tlsup/internal/trust"
	"tlsup/negotiate"
	"tlsup/pipe"
)

// pipe connects, and carries bytes between the session and stdin and stdout, or COMMAND.
func (p *program) pipe(c *cli.Context) error {
	for _, name := range []string{"list", "version"} {
		if c.Bool(name) && c.NArg() > 0 {
			return usagef("option --%s takes no target", name)
		}
	}
	if c.IsSet("as") {
		return usagef("option --as has to stand in front of all else, and %s is the one name: tlsup --as %s [options] HOST", gnutls.Name, gnutls.Name)
	}
	if err := checkConflicts(c); err != nil {
		return err
	}
	switch {
	case c.Bool("list"):
		return p.table()
	case c.Bool("version"):
		_, err := fmt.Fprintln(text{p.stdout}, "tlsup", versionText())
		return err
	}
	pl, err := p.plan(c)
	if err != nil {
		return err
	}
	if err := p.driven(c, pl); err != nil {
		return err
	}
	var command *exec.Cmd
	if p.command != nil {
		if command, err = findCommand(p.command); err != nil {
			return err
		}
	}
	if err := p.startTrace(c, pl.target); err != nil {
		return err
	}
	p.tracing.Watch(&pl.connect)
	s := &session{program: p, plan: pl, pipe: &pipe.Pipe{
		In: p.stdin, Out: p.stdout,
		CRLF:     c.Bool("crlf"),
		KeepOpen: c.Bool("no-half-close"),
		Linger:   pl.linger,
		Idle:     pl.idle,
		Notice:   func(text string) { p.message.line("%s: %s", pl.target.Address(), text) },
	}, verbose: c.Bool("verbose"), progress: c.Bool("progress"), halfClose: c.Bool("half-close"), raw: c.Bool("raw")}
	s.pipe.Terminal = command == nil && isTerminal(p.stdin)
	s.lines = s.pipe.Terminal && !c.Bool("no-crlf")
	return s.run(c.Context, command)
}

// driven reads the options for programs that drive this one.
func (p *program) driven(c *cli.Context, pl *plan) (err error) {
	if n := c.String("starttls-fd"); n != "" && n == c.String("status-fd") {
		return usagef("options --starttls-fd and --status-fd: %s can't be both", quote.Short(n))
	}
	if pl.start, err = descriptor(c, "starttls-fd", false); err != nil {
		return err
	}
	file, err := descriptor(c, "status-fd", true)
	if file == nil {
		return err
	}
	p.events = &events{file: file, target: pl.target.Address(), message: p.message}
	pl.connect.Reached, pl.connect.Upgraded = p.events.connected, p.events.upgraded
	return nil
}

// A session is one run of the pipe.
type session struct {
	*program
	plan      *plan
	pipe      *pipe.Pipe
	verbose   bool
	progress  bool
	lines     bool // a line protocol wants CRLF
	halfClose bool // at once, whatever the protocol
	raw       bool // the TLS session is another program's

	tls   *connect.Session
	ucspi *ucspi // nil: the command is not offered it
}

// run connects, starts the command if there is one, and pipes.
func (s *session) run(ctx context.Context, command *exec.Cmd) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var start <-chan struct{}
	if s.plan.manual {
		start = startOrder(s.plan.start)
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // after an error, without close_notify

	var running *running
	if command != nil {
		if running, err = s.startCommand(command, cancel); err != nil {
			return err
		}
		if s.ucspi != nil {
			start = s.ucspi.order(start)
		}
	} else {
		s.pipe.In, s.pipe.Out = inputFrom(s.stdin), outputTo(s.stdout)
		go watchOutput(s.stdout, func() { cancel(pipe.ErrOutputClosed) })
	}
	stopProgress := s.startProgress()
	switch {
	case s.plan.manual:
		err = s.pipe.RunManual(ctx, conn, pipe.Manual{
			StartTLS: func(ctx context.Context) (pipe.Conn, error) { return s.startTLS(ctx, conn) },
			Start:    start, After: s.plan.after,
		})
	case s.raw:
		err = s.pipe.Run(ctx, conn.(pipe.Conn))
	default:
		err = s.pipe.Run(ctx, s.tls)
	}
	stopProgress()
	if err == nil && s.tls != nil {
		err = s.close(ctx)
	}
	err = s.explain(err)
	if running == nil {
		return err
	}
	status := running.end(err)
	if errors.As(status, new(commandError)) {
		s.message.failure(err) // perhaps it failed for that
	}
	return status
}

// close closes the session, unless the context ends while a peer that does not read keeps
// it waiting. What the peer makes of it is no error: both sides have ended.
func (s *session) close(ctx context.Context) error {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.tls.Close()
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// connect opens the session, or in manual mode the bare connection.
func (s *session) connect(ctx context.Context) (net.Conn, error) {
	limited, stop := context.WithTimeout(ctx, s.plan.timeout)
	defer stop()
	if s.plan.manual {
		conn, target, err := connect.Connect(limited, s.plan.target, &s.plan.connect)
		s.plan.target = target
		if err != nil {
			return nil, err
		}
		return s.tracing.ByHand(conn), nil
	}
	if s.raw {
		conn, err := connect.OpenRaw(limited, s.plan.target, &s.plan.connect)
		return conn, optionError(err)
	}
	tls, err := connect.Open(limited, s.plan.target, &s.plan.connect)
	if err != nil {
		return nil, optionError(err)
	}
	s.began(tls)
	return bareConn{tls}, nil
}

// bareConn is a session whose Close sends no close_notify.
type bareConn struct{ *connect.Session }

func (c bareConn) Close() error { return c.Abort() }

// startTLS runs the handshake of manual mode.
func (s *session) startTLS(ctx context.Context, conn net.Conn) (pipe.Conn, error) {
	limited, stop := context.WithTimeout(ctx, s.plan.timeout)
	defer stop()
	if s.ucspi != nil {
		if err := s.ucspi.begin(); err != nil {
			return nil, err
		}
	}
	s.events.upgraded(nil)
	up := negotiate.GoAhead(conn)
	up.ServerName = s.plan.target.ServerName()
	tls, err := connect.Secure(limited, up, s.plan.target, &s.plan.connect)
	switch {
	case err != nil && ctx.Err() != nil: // whose cause has a hint of its own
		return nil, err
	case err != nil:
		return nil, s.manualHint(err)
	}
	s.began(tls)
	if s.ucspi != nil {
		s.ucspi.secure(tls)
	}
	return tls, nil
}

// manualHint tells what to do about cleartext where the handshake was due in manual mode:
// mostly TLS was started before the server's go-ahead had come.
func (s *session) manualHint(err error) error {
	var failed *connect.Error
	if errors.As(err, &failed) && failed.Step == connect.Upgrade && s.plan.after == nil {
		failed.Hint = "end the input when the server has given its go-ahead, or wait for it with --starttls-after REGEXP"
		if s.ucspi != nil && s.ucspi.ordered() {
			failed.Hint = readFirst
		}
	}
	return err
}

// began reports on a session that has been set up.
func (s *session) began(tls *connect.Session) {
	s.tls = tls
	s.pipe.Quiet = s.quiet(tls.Protocol)
	s.pipe.CRLF = s.pipe.CRLF || s.lines && tls.Protocol != nil && tls.Protocol.Lines
	state := tls.TLS.ConnectionState()
	if err := tls.Trust.Overlooked(state, tls.ServerName); err != nil {
		s.message.line("%s: warning: %v", s.plan.target.Address(), err)
	}
	s.events.handshake(state, tls.ServerName, tls.Trust.Overlooked(state, tls.ServerName) == nil)
	if s.verbose {
		s.message.line("%s", tls.Trust.Describe(state, tls.ServerName))
		if tls.Trust.OwnCertificates() > 0 && !tls.Requested && !state.DidResume {
			s.message.line("the server did not ask for the client's certificate, which was not sent")
		}
	}
}

// quiet is how long the server has to say nothing after the end of the input before it is sent
// close_notify. Inside plain TLS there may be a stream, whose end the server waits for.
func (s *session) quiet(spoken *negotiate.Protocol) time.Duration {
	if s.halfClose || spoken == negotiate.TLS() {
		return 0
	}
	return 500 * time.Millisecond
}

// explain gives an error of the session the target.
func (s *session) explain(err error) error {
	var failed *connect.Error
	switch {
	case err == nil, errors.As(err, &failed), errors.As(err, new(signalError)), errors.Is(err, pipe.ErrOutputClosed):
		return err
	}
	e := &connect.Error{Target: s.plan.target.Address(), Step: connect.Transfer, Err: err}
	var cleartext *negotiate.CleartextError
	switch {
	case errors.As(err, &cleartext), errors.Is(err, pipe.ErrNotStarted), errors.Is(err, pipe.ErrNoLine):
		e.Step = connect.Upgrade
	case errors.Is(err, pipe.ErrResetBehind):
		e.Hint = "a server may drop what it still owes when our side ends: --no-half-close"
	case trust.WantsRenegotiation(err):
		e.Hint = "the server begins another handshake, as some do to ask for a client's certificate: that cannot be done here, it has to ask in the first one"
	case trust.RefusesClient(err):
		// With TLS 1.3 the client's handshake is over before the server has seen its certificate.
		e.Step, e.Hint = connect.Handshake, s.plan.connect.Trust.HandshakeHint(err)
	}
	return e
}

// findCommand looks for the program before anything is opened.
func findCommand(args []string) (*exec.Cmd, error) {
	// exec.Command looks for names, but not at paths.
	path, err := exec.LookPath(args[0])
	var named *exec.Error
	var file *fs.PathError
	switch {
	case err == nil:
		command := exec.Command(path, args[1:]...)
		command.Args[0] = args[0]
		return command, nil
	case errors.As(err, &file):
		err = file.Err
	case errors.As(err, &named):
		err = named.Err
	}
	return nil, usagef("command %s: %w", quote.Short(args[0]), err)
}

// running is a command on the session.
type running struct {
	command       *exec.Cmd
	stdin, stdout io.Closer // our ends
	done          chan error
}

// startCommand starts the command with its stdin and stdout on the pipe, and forwards signals
// to it. When it has ended, the server is not waited for much longer.
func (s *session) startCommand(command *exec.Cmd, cancel context.CancelCauseFunc) (*running, error) {
	command.Stderr, command.Env = os.Stderr, s.environment()
	stdin, stdout, err := s.commandStreams(command, cancel)
	if err != nil {
		return nil, err
	}
	hand := s.handSignals()
	err = command.Start()
	hand(command.Process)
	if s.ucspi != nil {
		s.ucspi.started()
	}
	if err != nil {
		return nil, usagef("command %s: %w", quote.Short(command.Path), err)
	}
	r := &running{command: command, stdin: stdin, stdout: stdout, done: make(chan error, 1)}
	gone := make(chan struct{})
	s.pipe.In, s.pipe.Out, s.pipe.Gone = stdout, &commandInput{Writer: stdin}, gone
	if s.ucspi != nil {
		go s.ucspi.watch()
	}
	go func() {
		// Process.Wait, not Cmd.Wait, which would close the pipe with output still in it.
		state, err := command.Process.Wait()
		if s.ucspi != nil {
			s.ucspi.exited()
		}
		s.child.Store(nil)
		if err == nil && !state.Success() {
			err = &exec.ExitError{ProcessState: state}
		}
		close(gone)
		r.done <- err
	}()
	return r, nil
}

// commandStreams are our ends of the streams of a command that is to be started. In manual mode it is
// offered UCSPI-TLS.
func (s *session) commandStreams(command *exec.Cmd, cancel context.CancelCauseFunc) (stdin io.WriteCloser, stdout io.ReadCloser, err error) {
	if s.plan.manual && s.plan.after == nil {
		if s.ucspi, err = offerUCSPI(command); err != nil {
			return nil, nil, err
		}
	}
	if u := s.ucspi; u != nil {
		u.target, u.cancel = s.plan.target.Address(), cancel
		return ucspiOut{u}, ucspiIn{u}, nil
	}
	if stdin, err = command.StdinPipe(); err == nil {
		stdout, err = command.StdoutPipe()
	}
	return stdin, stdout, err
}

// end waits for the command after the session has ended, and returns its status. A session that
// failed is not covered up by a command that did not notice.
func (r *running) end(session error) error {
	var sig signalError
	if errors.As(session, &sig) { // it came when there was no command yet to hand it to
		r.command.Process.Signal(sig.Signal)
	}
	r.stdin.Close()
	r.stdout.Close() // what it still writes goes nowhere, and it is told so
	err := commandStatus(<-r.done)
	if session != nil && !errors.As(err, new(commandError)) {
		return session
	}
	return err
}

// handSignals has signals go to a command that is to be started: what it returns is called with it, nil if
// it could not be started. Those that come before are held until then.
func (p *program) handSignals() (to func(child *os.Process)) {
	p.starting.Lock()
	others := make(chan os.Signal, 8)
	if len(forwardedSignals) > 0 { // none would mean all
		signal.Notify(others, forwardedSignals...)
	}
	return func(child *os.Process) {
		p.child.Store(child)
		p.starting.Unlock()
		if child == nil {
			return
		}
		go func() {
			for sig := range others {
				child.Signal(sig)
			}
		}()
	}
}

// commandStatus makes a commandError of the end of a command that ended with a status.
func commandStatus(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return commandError(connect.StatusSignal + int(ws.Signal()))
	}
	return commandError(exit.ExitCode())
}

// commandInput is a command's stdin. A command that does not read all of it is no error.
type commandInput struct {
	io.Writer
	closed bool
}

func (c *commandInput) Write(p []byte) (int, error) {
	if !c.closed {
		if _, err := c.Writer.Write(p); err != nil {
			c.closed = true
		}
	}
	return len(p), nil
}
