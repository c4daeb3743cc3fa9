package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/urfave/cli/v2"

	"tlsup/internal/connect"
	"tlsup/internal/trust"
)

// identities are what SIGHUP reads again: whom to trust, and the client's own certificate.
type identities struct {
	load    func(ask func(file string) ([]byte, error)) (*trust.Config, error)
	files   bool // are named; the system's authorities can't be read again
	targets []connect.Target
	options []connect.Options                  // of each target, but for what is read
	notices []func(string)                     // what is told of its certificate
	current []*atomic.Pointer[connect.Options] // and with it
	asked   map[string][]byte                  // passphrases, by file
}

func (p *program) identities(c *cli.Context, pl *tunnelPlan) *identities {
	return &identities{
		load: func(ask func(string) ([]byte, error)) (*trust.Config, error) {
			s, err := trustSettings(c)
			if err != nil {
				return nil, err
			}
			s.Passphrase = ask
			return trust.Load(s)
		},
		files:   c.IsSet("x509cafile") || c.IsSet("x509certfile") || c.IsSet("x509crlfile") || c.IsSet("ech"),
		targets: pl.targets,
		asked:   map[string][]byte{},
	}
}

// read reads them for the first time.
func (d *identities) read(ctx context.Context) error {
	settings, err := d.load(func(file string) ([]byte, error) {
		passphrase, err := askPassphrase(ctx, file)
		d.asked[file] = slices.Clone(passphrase)
		return passphrase, err
	})
	if err != nil {
		return usageError{err}
	}
	for range d.targets {
		d.current = append(d.current, &atomic.Pointer[connect.Options]{})
	}
	return d.use(settings)
}

var errNotAsked = errors.New("its passphrase is asked for at the start only")

// readAgain reads them while connections are open, which keep what they have, as do those to come
// if something can't be read. Nobody is asked for a passphrase: the one given before has to do.
func (d *identities) readAgain() error {
	settings, err := d.load(func(file string) ([]byte, error) {
		if passphrase, ok := d.asked[file]; ok {
			return slices.Clone(passphrase), nil
		}
		return nil, errNotAsked
	})
	if err != nil {
		return err
	}
	return d.use(settings)
}

// use makes settings those of the connections to come. Sessions that were made with others are not
// resumed.
func (d *identities) use(settings *trust.Config) error {
	for i, target := range d.targets {
		o := d.options[i]
		if err := useTrust(&o, settings, target); err != nil {
			return err
		}
		o.Sessions, o.Settings = connect.NewSessions(), &connect.Settings{Notice: d.notices[i]}
		d.current[i].Store(&o)
	}
	return nil
}

// reloadAtHangup has SIGHUP read the identities again until ctx ends. A terminal that goes away
// sends that signal too: then it ends the tunnel, as any other run.
func (p *program) reloadAtHangup(ctx context.Context, pl *tunnelPlan) {
	wanted := make(chan struct{}, 1)
	attached := hasTerminal()
	take := func(signal syscall.Signal) bool {
		if signal != syscall.SIGHUP || attached && !hasTerminal() {
			return false
		}
		select {
		case wanted <- struct{}{}:
		default: // it is about to happen
		}
		return true
	}
	p.taken.Store(&take)
	go func() {
		for {
			select {
			case <-wanted:
				pl.reload()
			case <-ctx.Done():
				return
			}
		}
	}()
}

// reload reads the identities again, and says how that went.
func (pl *tunnelPlan) reload() {
	pl.notify(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
	defer pl.notify(daemon.SdNotifyReady)
	switch err := pl.identities.readAgain(); {
	case err != nil:
		pl.log.Error("can't read certificates again, those that were read before stay in use", "error", err)
	case !pl.identities.files:
		pl.log.Warn("nothing to read again: no files are named, and the system's authorities are read once")
	default:
		pl.log.Info("certificates read again")
	}
}

// hasTerminal reports whether there is a terminal that the program was started from.
func hasTerminal() bool {
	in, out, err := openTerminal()
	if err != nil {
		return false
	}
	in.Close()
	out.Close()
	return true
}
