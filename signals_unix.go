//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// endingSignals end a run.
var endingSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

// forwardedSignals are handed to a command that runs on the session, as endingSignals are.
// SIGWINCH is not: the terminal sends it to the command too.
var forwardedSignals = []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCONT}

// sentToGroup reports whether a signal is one that a terminal sends, to all processes of
// its foreground group, and we are in that: a command that we run has got it already.
func sentToGroup(sig os.Signal) bool {
	if sig != syscall.SIGINT && sig != syscall.SIGQUIT {
		return false
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

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
