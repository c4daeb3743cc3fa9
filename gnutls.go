package main

import (
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"tlsup/internal/connect"
	"tlsup/internal/dns"
	"tlsup/internal/gnutls"
	"tlsup/internal/quote"
	"tlsup/internal/record"
	"tlsup/internal/trust"
	"tlsup/negotiate"
	"tlsup/pipe"
)

// The stand-in for gnutls-cli: the same options, the same words on the same streams at the same
// moments, the same statuses. It is the one exception to what message.go says.

// asGnutls returns the arguments of a run under that name: that of the program, or --as NAME in
// front of all others.
func asGnutls(args []string) (rest []string, ok bool) {
	switch {
	case len(args) > 0 && isGnutls(args[0], runtime.GOOS == "windows"):
		return args[1:], true
	case len(args) > 2 && args[1] == "--as" && args[2] == gnutls.Name:
		return args[3:], true
	case len(args) > 1 && args[1] == "--as="+gnutls.Name:
		return args[2:], true
	}
	return nil, false
}

// isGnutls reports whether a program's path is one of that name; in Windows the case of letters means nothing.
func isGnutls(program string, windows bool) bool {
	name := filepath.Base(program)
	if windows {
		name = strings.ToLower(name)
	}
	return strings.TrimSuffix(name, ".exe") == gnutls.Name
}

// Bounds of what has none there, or one that is too small.
const (
	gnutlsUpgrade   = 30 * time.Second // of the cleartext exchange
	gnutlsHandshake = 40 * time.Second
	// gnutlsSilence is how long a peer may say nothing behind our close_notify.
	gnutlsSilence = 30 * time.Second
)

// A gnutlsRun is one run under the name of gnutls-cli.
type gnutlsRun struct {
	*program
	line *gnutls.Line
	log  io.Writer // standard output, or --logfile

	where    string // HOST:PORT, as it was given
	dialed   string // the address that was tried last
	target   connect.Target
	connect  connect.Options
	chain    *trust.Config // that judges by authorities
	trust    *trust.Config
	resolver *dns.Resolver // for --dane
	priority *gnutls.Priority
	at       time.Time // of --attime; zero: now
	files    gnutlsFiles

	inline *gnutls.Inline // nil: the input holds no commands

	session  *connect.Session // that the pipe is on
	block    *gnutls.Block    // of the handshake that is under way
	hello    *gnutls.Hello
	started  bool        // manual mode has started TLS
	peerDone atomic.Bool // the peer has ended the session
}

// gnutlsFiles are what is written to beside the log; nil: nothing.
type gnutlsFiles struct{ keys, client, server io.Writer }

// gnutls runs under the name of gnutls-cli, and returns the exit status.
func (p *program) gnutls(ctx context.Context, args []string) int {
	g := &gnutlsRun{program: p, log: p.stdout}
	var err error
	if g.line, err = gnutls.Parse(args); err == nil {
		err = g.run(ctx)
	}
	if errors.As(err, new(reportedError)) {
		return status(err)
	}
	return g.failed(err)
}

// say writes to the log, in one piece.
func (g *gnutlsRun) say(format string, args ...any) { fmt.Fprintf(g.log, format, args...) }

// complain writes a line to standard error.
func (g *gnutlsRun) complain(format string, args ...any) {
	fmt.Fprintf(g.message.w, format+"\n", args...)
}

var errNoHostname = errors.New("No hostname specified") //lint:ignore ST1005 the words are given

// run does what the command line asks for.
func (g *gnutlsRun) run(ctx context.Context) error {
	if done, err := g.inform(); done || err != nil {
		return err
	}
	if text := g.line.Value("attime"); g.line.Has("attime") {
		var ok bool
		if g.at, ok = gnutls.ParseTime(text, time.Now()); !ok {
			g.complain("attime option value %s is not a valid time", quote.Escape(text))
			return reportedError(1)
		}
	}
	if len(g.line.Operands) == 0 {
		return errNoHostname
	}
	if err := g.prepare(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	start, armed := startSignal(), make(chan struct{})
	go func() { // until Simple Client Mode begins, the signal has its usual meaning
		select {
		case <-start:
			select {
			case <-armed: // as well, and before
			default:
				cancel(signalError{syscall.SIGALRM})
			}
		case <-armed:
		case <-ctx.Done():
		}
	}()
	go watchOutput(g.stdout, func() { cancel(pipe.ErrOutputClosed) })
	if g.line.Has("starttls") {
		return g.manual(ctx, start, armed)
	}
	return g.automatic(ctx, armed)
}

// inform tells what needs no server, if that is asked for.
func (g *gnutlsRun) inform() (done bool, err error) {
	out := text{g.stdout}
	switch {
	case g.line.Has("help"), g.line.Has("more-help"):
		gnutls.WriteHelp(out)
	case g.line.Has("version"):
		fmt.Fprintf(out, "%s %s\ntlsup %s, called by that name\n", gnutls.Name, gnutls.Compatible, versionText())
	case g.line.Has("priority-list"):
		gnutls.WriteWords(out)
	case g.line.Has("list"):
		p, err := gnutls.ParsePriority(g.priorityText())
		if err != nil {
			return true, err
		}
		gnutls.WriteList(out, g.priorityText(), p)
	case g.line.Has("fips140-mode"):
		if !fips140.Enabled() {
			g.complain("library is NOT in FIPS140 mode")
			return true, reportedError(1)
		}
		fmt.Fprintln(out, "library is in FIPS140 mode")
	case g.line.Has("list-config"):
		fmt.Fprintf(out, "library: crypto/tls of %s\nfips140-mode: %v\ntls-features: alpn ocsp ecdhe\n", runtime.Version(), fips140.Enabled())
	default:
		return false, nil
	}
	return true, nil
}

func (g *gnutlsRun) priorityText() string {
	if g.line.Has("priority") {
		return g.line.Value("priority")
	}
	return "NORMAL"
}

// automatic begins with the handshake, or with an upgrade. Once armed is closed, SIGALRM means nothing.
func (g *gnutlsRun) automatic(ctx context.Context, armed chan<- struct{}) error {
	session, err := g.open(ctx)
	if err != nil {
		return err
	}
	g.say("%s- Handshake was completed\n", g.describe(session))
	if g.line.Has("resume") {
		if session, err = g.resume(ctx, session); err != nil {
			return err
		}
	}
	close(armed)
	g.say("\n- Simple Client Mode:\n\n")
	p := g.pipe()
	if session.Protocol == negotiate.TLS() {
		p.Quiet = 0
	}
	err = p.Run(ctx, g.watched(ctx, session))
	return g.ended(g.session, err)
}

// manual begins in the clear.
func (g *gnutlsRun) manual(ctx context.Context, start <-chan struct{}, armed chan<- struct{}) error {
	conn, err := g.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // after an error, without close_notify
	close(armed)
	g.say("\n- Simple Client Mode:\n\n")
	err = g.pipe().RunManual(ctx, gnutlsClear{conn, g}, pipe.Manual{
		Start: start,
		StartTLS: func(ctx context.Context) (pipe.Conn, error) {
			session, err := g.startTLS(ctx, conn)
			if err != nil {
				return nil, err
			}
			return g.watched(ctx, session), nil
		},
	})
	if errors.Is(err, pipe.ErrNotStarted) {
		g.peerDone.Store(true)
		err = nil
	}
	return g.ended(g.session, err)
}

// pipe joins standard input and output to a session that is to come.
func (g *gnutlsRun) pipe() *pipe.Pipe {
	p := &pipe.Pipe{
		In: inputFrom(g.stdin), Out: outputTo(g.stdout),
		Terminal: isTerminal(g.stdin),
		CRLF:     g.line.Has("crlf"),
		Quiet:    500 * time.Millisecond,
		Linger:   -1,
	}
	if g.line.Has("verbose") {
		p.Out = gnutlsReceived{g}
	}
	return p
}

// ended tells how the session has ended, and closes it.
func (g *gnutlsRun) ended(session *connect.Session, err error) error {
	cut := errors.Is(err, record.ErrCut) || errors.Is(err, record.ErrCutInside)
	if g.peerDone.Load() && !cut {
		g.say("- Peer has closed the GnuTLS connection\n")
	}
	switch {
	case err == nil && session != nil:
		session.Close()
		return nil
	case err == nil, errors.As(err, new(reportedError)), errors.As(err, new(signalError)), errors.Is(err, pipe.ErrOutputClosed):
		return err
	}
	g.alert(err)
	g.complain("*** Fatal error: %s", gnutlsFatal(err))
	if session != nil {
		g.complain("*** Server has terminated the connection abnormally.")
	}
	g.debug(err)
	return reportedError(1)
}

// failed tells why nothing came of the run, and returns the status.
func (g *gnutlsRun) failed(err error) int {
	var failed *connect.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(signalError)), errors.Is(err, pipe.ErrOutputClosed):
		return status(err)
	case errors.As(err, new(*gnutls.UnsupportedError)), errors.As(err, new(*gnutls.MappingError)):
		g.complain("%s: %v", gnutls.Name, err)
		return 2
	case errors.As(err, new(*gnutls.WordError)), errors.Is(err, errNoHostname):
		g.complain("%v", err)
	case errors.As(err, &failed) && failed.Step == connect.Resolve:
		why := capital(failed.Err.Error())
		if errors.Is(err, connect.ErrNoHost) {
			why = "Name or service not known"
		}
		g.complain("Cannot resolve %s: %s", g.where, why)
	case errors.As(err, &failed) && failed.Step == connect.Dial:
		why := failed.Err.Error()
		if number := syscall.Errno(0); errors.As(err, &number) {
			why = number.Error()
		}
		g.complain("Could not connect to %s: %s", g.dialed, capital(why))
	case errors.As(err, &failed):
		g.complain("error in the upgrade: %s: %s", failed.Step, reason(failed.Err))
		g.hint(failed)
		return 2
	default:
		g.complain("%s: %s", gnutls.Name, reason(err))
	}
	return 1
}

// handshakeFailed tells why there is no session.
func (g *gnutlsRun) handshakeFailed(err error) error {
	var failed *connect.Error
	if errors.As(err, new(reportedError)) || !errors.As(err, &failed) {
		return err // it was told, or is a signal
	}
	unexpected := errors.As(err, new(*negotiate.CleartextError))
	if failed.Step != connect.Handshake && failed.Step != connect.Verify && !unexpected {
		return err
	}
	if g.block != nil {
		g.log.Write(g.block.Flush())
	}
	g.alert(err)
	g.complain("*** Fatal error: %s", gnutlsFatal(err))
	g.debug(err)
	if g.started { // programs wait for this line
		g.complain("*** Handshake has failed")
	}
	return reportedError(1)
}

// alert tells of an alert from the server.
func (g *gnutlsRun) alert(err error) {
	if code, ok := trust.Alert(err); ok {
		g.say("*** Received alert [%d]: %s\n", code, gnutls.AlertText(code))
	}
}

// debug tells the reason in words of tlsup's own.
func (g *gnutlsRun) debug(err error) {
	if g.line.Int("debug", 0) == 0 {
		return
	}
	g.complain("|<1>| %s", reason(err))
	var failed *connect.Error
	if errors.As(err, &failed) {
		g.hint(failed)
	}
}

func (g *gnutlsRun) hint(failed *connect.Error) {
	if failed.Hint != "" && g.line.Int("debug", 0) > 0 {
		g.complain("|<1>| hint: %s", failed.Hint)
	}
}

// gnutlsFatal is what GnuTLS says of an error.
func gnutlsFatal(err error) string {
	var number syscall.Errno
	_, alert := trust.Alert(err)
	switch {
	case alert:
		return "A TLS fatal alert has been received."
	case errors.As(err, new(*negotiate.CleartextError)):
		return "An unexpected TLS packet was received."
	case errors.As(err, new(*trust.Error)):
		return "Error in the certificate."
	case errors.Is(err, connect.ErrClosed), errors.Is(err, record.ErrCut), errors.Is(err, record.ErrCutInside):
		return "The TLS connection was non-properly terminated."
	case errors.Is(err, connect.ErrNoAnswer):
		return "The operation timed out"
	case errors.As(err, &number) && number == syscall.EPIPE:
		return "Error in the push function."
	case errors.As(err, &number):
		return "Error in the pull function."
	}
	return reason(err)
}

// capital returns a text with a capital letter in front, as the C library's are.
func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// openGnutlsFile opens a file to write to, in place of what it held.
func openGnutlsFile(name string) (io.Writer, error) {
	if name == "" {
		return nil, nil
	}
	return os.Create(name)
}
