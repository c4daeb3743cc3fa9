package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/internal/trust"
	"tlsup/negotiate"
	"tlsup/pipe"
	"tlsup/tunnel"
)

// tunnelFlags are the options of tunnel.
func tunnelFlags() []cli.Flag {
	return append(append(append(upgradeFlags(), wayFlags()...), trustFlags()...),
		&cli.StringFlag{Name: "user", Usage: "`NAME` to log in with, where the upgrade does that in the client's place"},
		&cli.StringFlag{Name: "password-file", Usage: "`FILE` with the password, in place of TLSUP_PASSWORD"},
		&cli.StringFlag{Name: "unix-mode", Usage: "`MODE` of a Unix socket that is listened on, in octal"},
		&cli.IntFlag{Name: "max-connections", Value: 1024, Usage: "`NUMBER` of connections that each listener may have open; new ones wait"},
		&cli.GenericFlag{Name: "drain", Value: newSeconds(10 * time.Second), Usage: "when told to stop, give open connections `SECONDS` to end"},
		&cli.StringFlag{Name: "log-format", Value: "text", Usage: "log in `FORMAT` text or json"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v", "V"}, Usage: "log the cleartext exchange too"},
	)
}

// onStdio is the LISTEN that stands for one session on stdin and stdout.
const onStdio = "-"

// A tunnelPlan is what the command line asks a tunnel to do.
type tunnelPlan struct {
	listen   []string
	places   []tunnel.Place // none for onStdio
	targets  []connect.Target
	mode     fs.FileMode
	server   tunnel.Server // without its pairs
	password string
	log      *slog.Logger
}

// tunnel gives clients that know nothing of TLS a local port in front of servers that upgrade.
func (p *program) tunnel(c *cli.Context) error {
	if err := checkConflicts(c); err != nil {
		return err
	}
	pl, err := p.tunnelPlan(c)
	if err != nil {
		return err
	}
	pairs, err := p.pairs(c, pl)
	if err != nil {
		return err
	}
	if pl.listen[0] == onStdio {
		return p.tunnelStdio(c.Context, pl, pairs[0])
	}
	pl.server.Pairs = pairs
	defer func() {
		for _, pair := range pl.server.Pairs {
			if pair.Listener != nil {
				pair.Listener.Close()
			}
		}
	}()
	for i := range pairs {
		if pairs[i].Listener, err = pl.places[i].Listen(pl.mode); err != nil {
			return &connect.Error{Target: quote.Escape(pl.listen[i]), Step: connect.Listen, Err: err}
		}
	}
	for _, pair := range pairs {
		pl.log.Info("listening", "listen", tunnel.Address(pair.Listener.Addr()), "target", pair.Target.Address())
	}
	return p.serve(c.Context, &pl.server)
}

// serve serves until a signal comes, and drains; a second one ends it at once.
func (p *program) serve(ctx context.Context, server *tunnel.Server) error {
	now, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	p.again.Store(&stop)
	err := server.Serve(ctx, now)
	if err != nil && !errors.Is(err, tunnel.ErrCutOff) {
		return err
	}
	return context.Cause(ctx)
}

// tunnelStdio serves one client on stdin and stdout.
func (p *program) tunnelStdio(ctx context.Context, pl *tunnelPlan, pair tunnel.Pair) error {
	client, err := clientOnStdio(p.stdin, p.stdout)
	if err != nil {
		return err
	}
	err = pl.server.ServeConn(ctx, &pair, client)
	var failed *connect.Error
	if err == nil || errors.As(err, &failed) || errors.As(err, new(signalError)) || errors.Is(err, pipe.ErrOutputClosed) {
		return err
	}
	return &connect.Error{Target: pair.Target.Address(), Step: connect.Transfer, Err: err}
}

// tunnelPlan reads the options and operands of tunnel. It opens no connection.
func (p *program) tunnelPlan(c *cli.Context) (*tunnelPlan, error) {
	operands := c.Args().Slice()
	if len(operands) == 0 || len(operands)%2 != 0 {
		return nil, usagef("tunnel takes pairs: tlsup tunnel [options] LISTEN TARGET [LISTEN TARGET]...")
	}
	pl := &tunnelPlan{}
	var protocol *negotiate.Protocol
	var err error
	if c.IsSet("starttls-proto") {
		if protocol, err = connect.FindProtocol(c.String("starttls-proto")); err != nil {
			return nil, usagef("option --starttls-proto: %w", err)
		}
	}
	for i := 0; i < len(operands); i += 2 {
		target, err := connect.ParseTarget(operands[i+1], "", protocol)
		if err != nil {
			return nil, usageError{err}
		}
		if why := target.Protocol.NoTunnel; why != "" && !c.Bool("raw") {
			return nil, usagef("%s can't be tunnelled: %s; --raw hands the connection over to a client's own TLS", target.Protocol.Name, why)
		}
		pl.listen, pl.targets = append(pl.listen, operands[i]), append(pl.targets, target)
		if operands[i] == onStdio {
			if len(operands) > 2 {
				return nil, usagef("%s, a session on stdin and stdout, stands alone", onStdio)
			}
			continue
		}
		place, err := tunnel.ParsePlace(operands[i])
		if err != nil {
			return nil, usagef("LISTEN %s: %w", quote.Short(operands[i]), err)
		}
		pl.places = append(pl.places, place)
	}
	if err := pl.limits(c); err != nil {
		return nil, err
	}
	if pl.log, err = p.logger(c, pl.listen[0] == onStdio); err != nil {
		return nil, err
	}
	pl.server.Log = pl.log
	if pl.password, err = secret(c, "password-file", "TLSUP_PASSWORD"); err != nil {
		return nil, usageError{err}
	}
	return pl, nil
}

// limits reads the options that are numbers.
func (pl *tunnelPlan) limits(c *cli.Context) (err error) {
	if pl.server.MaxConnections = c.Int("max-connections"); pl.server.MaxConnections < 1 {
		return usagef("option --max-connections: %d is less than one", pl.server.MaxConnections)
	}
	for name, value := range map[string]*time.Duration{"timeout": &pl.server.Timeout, "idle-timeout": &pl.server.Idle, "drain": &pl.server.Drain} {
		if *value, err = seconds(c, name); err != nil {
			return err
		}
		if *value < 0 || *value == 0 && name == "timeout" {
			return usagef("option --%s: has to be more than nothing", name)
		}
	}
	if !c.IsSet("unix-mode") {
		return nil
	}
	mode, err := strconv.ParseUint(c.String("unix-mode"), 8, 9)
	if err != nil || mode == 0 {
		return usagef("option --unix-mode: %s is no mode like 660", quote.Short(c.String("unix-mode")))
	}
	for _, listen := range pl.listen {
		if strings.HasPrefix(listen, "unix:") {
			pl.mode = fs.FileMode(mode)
			return nil
		}
	}
	return usagef("option --unix-mode: no Unix socket is listened on")
}

// logger is where the tunnel tells of its connections. One session on stdin and stdout ends with a
// message, as in the pipe.
func (p *program) logger(c *cli.Context, stdio bool) (*slog.Logger, error) {
	options := &slog.HandlerOptions{}
	switch {
	case c.Bool("verbose"):
		options.Level = slog.LevelDebug
	case stdio:
		options.Level = slog.LevelError + 1
	}
	switch format := c.String("log-format"); format {
	case "text":
		return slog.New(slog.NewTextHandler(p.message.w, options)), nil
	case "json":
		options.ReplaceAttr = inSeconds
		return slog.New(slog.NewJSONHandler(p.message.w, options)), nil
	default:
		return nil, usagef("option --log-format: %s is neither text nor json", quote.Short(format))
	}
}

// inSeconds writes lengths of time as numbers of seconds, not of nanoseconds.
func inSeconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.Float64Value(a.Value.Duration().Seconds())
	}
	return a
}

// pairs makes the pairs, without their listeners.
func (p *program) pairs(c *cli.Context, pl *tunnelPlan) ([]tunnel.Pair, error) {
	pairs := make([]tunnel.Pair, len(pl.targets))
	options := make([]connect.Options, len(pl.targets))
	for i, target := range pl.targets {
		o, err := connection(c, target)
		if err != nil {
			return nil, err
		}
		log := pl.log.With("target", target.Address())
		o.Notice = func(text string) { log.Warn(text) }
		if pl.listen[0] == onStdio {
			o.Notice = func(text string) { p.message.line("%s: warning: %s", target.Address(), text) }
		}
		if c.Bool("verbose") {
			o.Trace = func(l negotiate.Line) { log.Debug(quote.Escape(l.String())) }
			o.Recognised = func(q *negotiate.Protocol, why string) { log.Debug("recognised", "protocol", q.Name, "why", why) }
			o.Dialing = func(address string) { log.Debug("connecting", "address", quote.Escape(address)) }
		}
		options[i] = o
	}
	settings, err := p.trust(c)
	if err != nil {
		return nil, usageError{err}
	}
	for i, target := range pl.targets {
		current := &atomic.Pointer[connect.Options]{}
		if err := renew(current, options[i], settings, target); err != nil {
			return nil, err
		}
		pairs[i] = tunnel.Pair{
			Target: target, Options: current.Load, Raw: c.Bool("raw"),
			User: c.String("user"), Password: pl.password,
		}
	}
	return pairs, nil
}

// renew makes settings on trust those of the connections to come. Sessions that were made with
// others are not resumed.
func renew(current *atomic.Pointer[connect.Options], o connect.Options, settings *trust.Config, target connect.Target) error {
	if err := useTrust(&o, settings, target); err != nil {
		return err
	}
	o.Sessions = connect.NewSessions()
	current.Store(&o)
	return nil
}

// secret reads a password from the file that an option names, without its last line end, or from
// the environment.
func secret(c *cli.Context, option, variable string) (string, error) {
	if !c.IsSet(option) {
		return os.Getenv(variable), nil
	}
	data, err := os.ReadFile(c.String(option))
	if err != nil {
		return "", fmt.Errorf("option --%s: %w", option, err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}
