package connect

import (
	"errors"

	"tlsup/negotiate"
)

// A Step is a part of a run, named in errors.
type Step string

// The steps, in the order of the wire. Those of the cleartext phase are negotiate's.
const (
	Listen    Step = "listen"
	Resolve   Step = "resolve"
	Dial      Step = "connect"
	Upgrade   Step = Step(negotiate.Upgrade)
	Handshake Step = "handshake"
	Verify    Step = "verify"
	Transfer  Step = "session"
)

// Exit statuses, the same in every mode.
const (
	StatusOK           = 0
	StatusSession      = 1 // input or output failed, or the peer cut the stream
	StatusUsage        = 2 // the command line is wrong
	StatusNoConnection = 3
	StatusNoUpgrade    = 4
	StatusHandshake    = 5
	StatusNotTrusted   = 6
	StatusSignal       = 128 // plus the signal's number
)

// Reasons that a caller may want to tell apart.
var (
	ErrNoHost   = errors.New("no such host")                                  // at Resolve
	ErrNoAnswer = errors.New("no answer in time")                             // at Handshake
	ErrClosed   = errors.New("server closed the connection in the handshake") // at Handshake
)

// An Error tells at which step a run ended, why, and what to do.
type Error struct {
	Target string // host:port
	Step   Step
	Err    error
	Hint   string // "" where nothing is known
}

// Error gives "host:port: step: reason".
func (e *Error) Error() string { return e.Target + ": " + string(e.Step) + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Status is the exit status that belongs to the step.
func (e *Error) Status() int {
	switch e.Step {
	case Listen, Resolve, Dial:
		return StatusNoConnection
	case Handshake:
		return StatusHandshake
	case Verify:
		return StatusNotTrusted
	case Transfer:
		return StatusSession
	}
	return StatusNoUpgrade
}
