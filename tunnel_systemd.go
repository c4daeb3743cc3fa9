package main

import (
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells the service manager, if there is one that wants to know (sd_notify(3)).
func (pl *tunnelPlan) notify(states ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(states, "\n")); err != nil {
		pl.log.Warn("the service manager can't be told", "state", states[0], "error", err)
	}
}

// watchdog tells the service manager, if it wants to know, that accepting works, until stop is called.
// Where it does not for so long, the service manager starts the program anew.
func (pl *tunnelPlan) watchdog() (stop func()) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		pl.log.Warn("no watchdog", "error", err)
	}
	if limit == 0 {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		// One that falls into a failure that passes does not count.
		tick := time.NewTicker(limit / 4)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if pl.server.Accepting() {
					pl.notify(daemon.SdNotifyWatchdog)
				}
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}
