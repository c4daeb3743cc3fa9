package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/urfave/cli/v2"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/pipe"
	"tlsup/tunnel"
)

// tunnelFlags are the options of tunnel.
func tunnelFlags() []cli.Flag {
	return slices.Concat(upgradeFlags(), wayFlags(), trustFlags(), []cli.Flag{
		&cli.StringFlag{Name: "user", Usage: "`NAME` to log in with, where the upgrade does that in the client's place"},
		&cli.StringFlag{Name: "password-file", Usage: "`FILE` with the password, in place of TLSUP_PASSWORD"},
		&cli.StringFlag{Name: "unix-mode", Usage: "`MODE` of a Unix socket that is listened on, in octal"},
		&cli.IntFlag{Name: "max-connections", Value: 1024, Usage: "`NUMBER` of connections that each listener may have open; new ones wait"},
		&cli.BoolFlag{Name: "accept-proxy-protocol", Usage: "want the PROXY protocol's header, v1 or v2, at each client's beginning, from a load balancer"},
		&cli.GenericFlag{Name: "drain", Value: newSeconds(10 * time.Second), Usage: "when told to stop, give open connections `SECONDS` to end"},
		&cli.StringFlag{Name: "metrics", Usage: "serve Prometheus' metrics, /healthz and /readyz over HTTP at `ADDR`, as [ADDR:]PORT or unix:PATH"},
		&cli.StringFlag{Name: "log-format", Value: "text", Usage: "log in `FORMAT` text or json"},
		traceFlag(),
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v", "V"}, Usage: "log the cleartext exchange too"},
	})
}

// onStdio is the LISTEN that stands for one session on stdin and stdout.
const onStdio = "-"

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
		if err := p.startTrace(c, pl.targets[0]); err != nil {
			return err
		}
		pairs[0].Watch = p.tracing.Watch
		return p.tunnelStdio(c.Context, pl, pairs[0])
	}
	pl.server.Pairs = pairs
	defer pl.close()
	if pl.command == nil {
		p.reloadAtHangup(c.Context, pl) // before the log says that it listens
	}
	if err := pl.open(); err != nil {
		return err
	}
	stop, err := pl.monitor()
	if err != nil {
		return err
	}
	defer stop()
	if pl.command != nil {
		return p.tunnelCommand(c.Context, pl)
	}
	if err := p.serve(c.Context, context.WithoutCancel(c.Context), pl); err != nil {
		return err
	}
	return context.Cause(c.Context)
}

// open opens the listeners. A pair of whose LISTEN there are several becomes as many pairs.
func (pl *tunnelPlan) open() error {
	listeners, opened, err := tunnel.Listen(pl.places, pl.mode)
	if err != nil {
		return &connect.Error{Target: quote.Escape(pl.listen[opened]), Step: connect.Listen, Err: err}
	}
	pairs := pl.server.Pairs
	pl.server.Pairs = nil
	for i, pair := range pairs {
		for _, pair.Listener = range listeners[i] {
			pl.server.Pairs = append(pl.server.Pairs, pair)
			pl.log.Info("listening", "listen", tunnel.Address(pair.Listener.Addr()), "target", pair.Target.Address())
		}
	}
	return nil
}

func (pl *tunnelPlan) close() {
	for _, pair := range pl.server.Pairs {
		if pair.Listener != nil {
			pair.Listener.Close()
		}
	}
}

// serve serves until stop ends, and drains until now does; a second signal ends it at once.
func (p *program) serve(stop, now context.Context, pl *tunnelPlan) error {
	now, cut := context.WithCancel(now)
	defer cut()
	p.again.Store(&cut)
	defer context.AfterFunc(stop, func() {
		pl.notify(daemon.SdNotifyStopping)
		pl.log.Info("stopping", "drain", pl.server.Drain)
	})()
	defer pl.watchdog()()
	pl.notify(daemon.SdNotifyReady)
	if err := pl.server.Serve(stop, now); !errors.Is(err, tunnel.ErrCutOff) {
		return err
	}
	return nil
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

// pairs makes the pairs, without their listeners.
func (p *program) pairs(c *cli.Context, pl *tunnelPlan) ([]tunnel.Pair, error) {
	pairs := make([]tunnel.Pair, len(pl.targets))
	pl.identities = p.identities(c, pl)
	for _, target := range pl.targets {
		o, err := connection(c, target, sentNames(c))
		if err != nil {
			return nil, err
		}
		log := pl.log.With("target", target.Address())
		notice := func(text string) { log.Warn(text) }
		if pl.listen[0] == onStdio {
			notice = func(text string) { p.message.line("%s: warning: %s", target.Address(), text) }
			o.Notice = notice
		}
		pl.identities.options, pl.identities.notices = append(pl.identities.options, o), append(pl.identities.notices, notice)
	}
	if err := pl.identities.read(c.Context); err != nil {
		return nil, err
	}
	if err := p.useLegacy(c); err != nil {
		return nil, err
	}
	for _, warning := range trustWarnings(c) {
		if pl.listen[0] == onStdio {
			p.message.line("warning: %s", warning)
		} else {
			pl.log.Warn(warning)
		}
	}
	for i, target := range pl.targets {
		pairs[i] = tunnel.Pair{
			Target: target, Options: pl.identities.current[i].Load, Raw: c.Bool("raw"),
			User: c.String("user"), Password: pl.password,
		}
	}
	return pairs, nil
}
