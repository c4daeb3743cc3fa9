// Tlsup connects stdin and stdout to a remote host, performs the protocol's cleartext
// upgrade to TLS, and keeps piping through the TLS session.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/urfave/cli/v2"

	"tlsup/internal/connect"
	"tlsup/internal/stack"
	"tlsup/internal/trace"
	"tlsup/pipe"
)

// version is set by the linker for a release.
var version = ""

func main() {
	stack.Reserve()
	os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// run is the program: it returns the exit status.
func run(args []string, stdin, stdout, stderr *os.File) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	p := &program{stdin: stdin, stdout: stdout, message: message{stderr}}
	p.watchSignals(cancel)
	if rest, ok := asGnutls(args); ok {
		return p.gnutls(ctx, rest)
	}
	err := p.main(ctx, args[1:])
	p.message.failure(err)
	p.events.end(err, status(err))
	p.endTrace(err)
	return status(err)
}

// A program is one run.
type program struct {
	stdin, stdout *os.File
	message       message
	events        *events                            // of --status-fd
	tracing       *trace.Trace                       // of --trace; nil for none
	command       []string                           // COMMAND ARGS, behind --
	environ       []string                           // for COMMAND; nil: the process's own
	starting      sync.Mutex                         // held while a command is being started
	child         atomic.Pointer[os.Process]         // the command while it runs
	again         atomic.Pointer[context.CancelFunc] // called at a second ending signal
	// taken, if set, is asked first whether a signal means something else than the end.
	taken atomic.Pointer[func(syscall.Signal) bool]
}

// A usageError is a wrong command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// A signalError is the end of a run by a signal.
type signalError struct{ syscall.Signal }

func (e signalError) Error() string { return "ended by signal: " + e.Signal.String() }

// A commandError is the status of a command that was run on the session.
type commandError int

func (e commandError) Error() string { return fmt.Sprintf("command ended with status %d", int(e)) }

// A reportedError is the status of a run whose failures have been told.
type reportedError int

func (e reportedError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// status is the exit status that belongs to an error.
func status(err error) int {
	var failed *connect.Error
	var sig signalError
	var command commandError
	var reported reportedError
	switch {
	case err == nil:
		return connect.StatusOK
	case errors.As(err, &command):
		return int(command)
	case errors.As(err, &reported):
		return int(reported)
	case errors.As(err, &sig):
		return connect.StatusSignal + int(sig.Signal)
	case errors.Is(err, pipe.ErrOutputClosed):
		return connect.StatusSignal + int(syscall.SIGPIPE)
	case errors.As(err, &failed):
		return failed.Status()
	case errors.As(err, new(usageError)):
		return connect.StatusUsage
	}
	return connect.StatusSession
}

// watchSignals ends the context with a signalError at a signal, or hands the signal to the
// command that is running: how the session ends is the command's to decide. Signals that were
// ignored when the program started (nohup, a shell's background jobs) stay so.
func (p *program) watchSignals(cancel context.CancelCauseFunc) {
	signals := make(chan os.Signal, 8)
	for _, sig := range endingSignals {
		if !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
	// A closed output is seen as an error of writing, not as a signal that ends the
	// program; a command that is run still gets the signal's usual meaning.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		ending := false
		for sig := range signals {
			p.starting.Lock() // a command may say that it is ready before its process is known here
			child := p.child.Load()
			p.starting.Unlock()
			if child != nil {
				if !sentToGroup(sig) {
					child.Signal(sig)
				}
				continue
			}
			if taken := p.taken.Load(); taken != nil && (*taken)(sig.(syscall.Signal)) {
				continue
			}
			if again := p.again.Load(); again != nil && ending {
				(*again)()
			}
			ending = true
			cancel(signalError{sig.(syscall.Signal)})
		}
	}()
}

// main sorts the arguments, since urfave/cli takes no option behind the first operand, and
// runs what they ask for.
func (p *program) main(ctx context.Context, args []string) error {
	app := p.app(args)
	sorted, command, err := sortArguments(app, args)
	if err != nil {
		return err
	}
	if asksForHelp(sorted) {
		return help(text{p.stdout}, app, sorted[0])
	}
	p.command = command
	return runSorted(ctx, app, sorted)
}

// app describes the command line. Options of subcommands that are not among args, nil for all, are left out:
// they cost each run a tenth of a millisecond.
func (p *program) app(args []string) *cli.App {
	options := func(name string, make func() []cli.Flag) []cli.Flag {
		if args != nil && !slices.Contains(args, name) {
			return nil
		}
		return named(make())
	}
	app := &cli.App{
		Name:   "tlsup",
		Usage:  "connect stdin and stdout to a server, upgrade to TLS, pipe on",
		Flags:  named(pipeFlags()),
		Action: p.pipe,
		Commands: []*cli.Command{
			{
				Name:      "tunnel",
				Usage:     "give clients that know nothing of TLS a local port in front of a server that upgrades",
				ArgsUsage: "LISTEN TARGET [LISTEN TARGET]... [-- COMMAND [ARG...]]",
				Flags:     options("tunnel", tunnelFlags),
				Action:    p.tunnel,
			},
			{
				Name:      "check",
				Usage:     "upgrade, report on handshake and certificates, exit",
				ArgsUsage: "TARGET...",
				Flags:     options("check", checkFlags),
				Action:    p.check,
			},
			{
				Name:      "explain",
				Usage:     "show the steps of an upgrade, as C: and S: lines",
				ArgsUsage: "[PROTOCOL]",
				Action:    p.explain,
			},
			{
				Name:      "demo",
				Usage:     "all of it against a server inside the process, on loopback",
				ArgsUsage: "[PROTOCOL]",
				Action:    p.demo,
			},
		},
	}
	return app
}

// versionText is the release, or what the module was built from.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return strings.Trim(info.Main.Version, "()")
	}
	return "devel"
}
