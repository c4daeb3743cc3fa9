package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/tunnel"
)

// A tunnelPlan is what the command line asks a tunnel to do.
type tunnelPlan struct {
	listen   []string
	places   []tunnel.Place // none for onStdio
	targets  []connect.Target
	mode     fs.FileMode
	server   tunnel.Server // without its pairs
	password string
	log      *slog.Logger
	command  *exec.Cmd     // nil for none
	metrics  *tunnel.Place // nil for none

	identities *identities
}

// idleOnStdio are the options that would do nothing where nothing is listened on.
var idleOnStdio = []string{"drain", "max-connections", "metrics", "accept-proxy-protocol"}

// tunnelPlan reads the options and operands of tunnel. It opens no connection.
func (p *program) tunnelPlan(c *cli.Context) (*tunnelPlan, error) {
	operands := c.Args().Slice()
	if len(operands) == 0 || len(operands)%2 != 0 {
		return nil, usagef("tunnel takes pairs: tlsup tunnel [options] LISTEN TARGET [LISTEN TARGET]... [-- COMMAND [ARG...]]")
	}
	pl := &tunnelPlan{}
	err := pl.pairs(c, operands)
	if err != nil {
		return nil, err
	}
	for _, name := range idleOnStdio {
		if pl.listen[0] == onStdio && c.IsSet(name) {
			return nil, usagef("option --%s can't be used with %s, one session on stdin and stdout", name, onStdio)
		}
	}
	if pl.listen[0] != onStdio && c.IsSet("trace") {
		return nil, usagef("option --trace is for one session: LISTEN has to be %s", onStdio)
	}
	if !c.Bool("verbose") && pl.listen[0] == onStdio && c.IsSet("log-format") {
		return nil, usagef("option --log-format can't be used with %s, whose log is empty without --verbose", onStdio)
	}
	if c.IsSet("user") && (c.Bool("raw") || !slices.ContainsFunc(pl.targets, func(t connect.Target) bool { return t.Protocol.Login })) {
		return nil, usagef("option --user is for an upgrade that logs in in the client's place, which this tunnel's do not")
	}
	if c.IsSet("metrics") {
		place, err := tunnel.ParsePlace(c.String("metrics"))
		if err == nil && place.Activated() {
			err = errors.New("the service manager's sockets are for clients")
		}
		if err != nil {
			return nil, usagef("option --metrics %s: %w", quote.Short(c.String("metrics")), err)
		}
		pl.metrics = &place
	}
	if err := pl.limits(c); err != nil {
		return nil, err
	}
	if p.command != nil {
		if pl.listen[0] == onStdio {
			return nil, usagef("%s can't be used with a command, which has stdin and stdout", onStdio)
		}
		if pl.command, err = findCommand(p.command); err != nil {
			return nil, err
		}
	}
	if pl.log, err = p.logger(c, pl); err != nil {
		return nil, err
	}
	pl.server.Log = pl.log
	pl.server.ProxyHeader = c.Bool("accept-proxy-protocol")
	if pl.password, err = secret(c, "password-file", "TLSUP_PASSWORD"); err != nil {
		return nil, usageError{err}
	}
	return pl, nil
}

// pairs reads the operands, LISTEN TARGET [LISTEN TARGET]...
func (pl *tunnelPlan) pairs(c *cli.Context, operands []string) error {
	protocol, err := starttlsProto(c)
	if err != nil {
		return err
	}
	for i := 0; i < len(operands); i += 2 {
		target, err := connect.ParseTarget(operands[i+1], "", protocol)
		if err != nil {
			return usageError{err}
		}
		if why := target.Protocol.NoTunnel; why != "" && !c.Bool("raw") {
			return usagef("%s can't be tunnelled: %s; --raw hands the connection over to a client's own TLS", target.Protocol.Name, why)
		}
		pl.listen, pl.targets = append(pl.listen, operands[i]), append(pl.targets, target)
		if operands[i] == onStdio {
			if len(operands) > 2 {
				return usagef("%s, a session on stdin and stdout, stands alone", onStdio)
			}
			continue
		}
		place, err := tunnel.ParsePlace(operands[i])
		if err != nil {
			return usagef("LISTEN %s: %w", quote.Short(operands[i]), err)
		}
		pl.places = append(pl.places, place)
	}
	if err := tunnel.CheckPlaces(pl.places); err != nil {
		return usageError{err}
	}
	return nil
}

// limits reads the options that are numbers.
func (pl *tunnelPlan) limits(c *cli.Context) (err error) {
	if pl.server.MaxConnections = c.Int("max-connections"); pl.server.MaxConnections < 1 {
		return usagef("option --max-connections: %d is less than one", pl.server.MaxConnections)
	}
	for _, x := range []struct {
		name  string
		value *time.Duration
	}{{"timeout", &pl.server.Timeout}, {"idle-timeout", &pl.server.Idle}, {"drain", &pl.server.Drain}} {
		if *x.value, err = seconds(c, x.name); err != nil {
			return err
		}
		switch {
		case *x.value <= 0 && x.name == "timeout":
			return usagef("option --%s: has to be more than nothing", x.name)
		case *x.value < 0:
			return usagef("option --%s: can't be negative", x.name)
		}
	}
	if !c.IsSet("unix-mode") {
		return nil
	}
	mode, err := strconv.ParseUint(c.String("unix-mode"), 8, 9)
	if err != nil || mode == 0 {
		return usagef("option --unix-mode: %s is no mode like 660", quote.Short(c.String("unix-mode")))
	}
	for _, listen := range append(slices.Clone(pl.listen), c.String("metrics")) {
		if strings.HasPrefix(listen, "unix:") {
			pl.mode = fs.FileMode(mode)
			return nil
		}
	}
	return usagef("option --unix-mode: no Unix socket is listened on")
}

// logger is where the tunnel tells of its connections. One session on stdin and stdout ends with a
// message, as in the pipe; a command has standard error for itself as long as all goes well.
func (p *program) logger(c *cli.Context, pl *tunnelPlan) (*slog.Logger, error) {
	options := &slog.HandlerOptions{}
	switch {
	case c.Bool("verbose"):
		options.Level = slog.LevelDebug
	case pl.listen[0] == onStdio:
		options.Level = slog.LevelError + 1
	case pl.command != nil:
		options.Level = slog.LevelWarn
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
