package main

import (
	"os"
	"syscall"
)

// endingSignals end a run.
var endingSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}

// forwardedSignals are handed to a command that runs on the session, as endingSignals are.
var forwardedSignals []os.Signal

// sentToGroup reports whether a signal is one that a console sends to all its processes: a
// command that we run has got it already.
func sentToGroup(sig os.Signal) bool { return sig == os.Interrupt }

// startSignal returns nil: the system has no SIGALRM, and the end of the input alone
// starts TLS in manual mode.
func startSignal() <-chan struct{} { return nil }
