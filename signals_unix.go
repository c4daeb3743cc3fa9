//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// endingSignals end a run.
var endingSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

// forwardedSignals are handed to a command that runs on the session, as endingSignals are.
var forwardedSignals = []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT}

// startSignal returns a channel that is closed at the first SIGALRM, the order to start
// TLS in manual mode.
func startSignal() <-chan struct{} {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGALRM)
	start := make(chan struct{})
	go func() {
		<-signals
		close(start)
	}()
	return start
}
