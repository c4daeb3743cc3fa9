package negotiate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"tlsup/internal/quote"
)

// A Step is a part of the cleartext phase, named in errors.
type Step string

const (
	Greeting     Step = "greeting"     // waiting for the server's first words
	Capabilities Step = "capabilities" // asking what the server offers
	Upgrade      Step = "upgrade"      // asking for TLS
)

// An Error tells why there was no upgrade.
type Error struct {
	Protocol string // the protocol's name
	Step     Step   // where it ended
	Err      error  // why
	Hint     string // what to do about it; "" where nothing is known
	Heard    bool   // the server had said something
}

// Error gives step and reason, with what the server said quoted and escaped.
func (e *Error) Error() string { return string(e.Step) + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// An OptionError tells that the Options don't fit the protocol, or hold a name that
// must not go into the wire. Nothing was sent.
type OptionError struct {
	Field string // of Options: "Host", "Name" or "From"
	Err   error
}

// Error names the option's value and what is wrong with it.
func (e *OptionError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *OptionError) Unwrap() error { return e.Err }

// Reasons that a caller may want to tell apart.
var (
	// ErrNotOffered: the server does not offer the upgrade.
	ErrNotOffered = errors.New("server does not offer")
	// ErrRefused: the server answered that it will not.
	ErrRefused = errors.New("server refuses")
	// ErrUnexpected: the server's answer has no place in the protocol.
	ErrUnexpected = errors.New("unexpected answer")
	// ErrTooLong: the server sent more than MaxBytes bytes or MaxLines lines.
	ErrTooLong = errors.New("server sent too much in the upgrade")
	// ErrClosed: the server closed the connection.
	ErrClosed = errors.New("server closed the connection")
	// ErrSilent: the time ran out while the server owed an answer.
	ErrSilent = errors.New("no answer in time")
	// ErrUnknown: Auto could not recognise the server.
	ErrUnknown = errors.New("server not recognised")
	// ErrTLS: the server speaks TLS from the first byte.
	ErrTLS = errors.New("server speaks TLS from the first byte")
)

// A CleartextError tells that cleartext came where TLS was due. Text is what came, at
// most a few hundred bytes, raw.
type CleartextError struct {
	Text     []byte
	Upgraded bool   // it came behind a server's go-ahead: an injection, or a server that broke the protocol
	Refusal  string // the words of it, raw, if it has the form of a server's refusal; it may be an injection all the same
	Hint     string // what to do about a refusal; "" where nothing is known
}

// refused looks for a refusal of the server's in an error that may be a *CleartextError. A nil
// protocol knows of none.
func (p *Protocol) refused(err error) error {
	var e *CleartextError
	if p == nil || p.Refusal == nil || !errors.As(err, &e) || !e.Upgraded {
		return err
	}
	if words, hint, ok := p.Refusal(e.Text); ok {
		e.Refusal, e.Hint = words, hint
	}
	return err
}

// Error quotes the text, escaped and cut: all of an injection, the first line of a greeting.
func (e *CleartextError) Error() string {
	if e.Refusal != "" {
		return "server refuses, unless somebody on the way does, in the clear behind the go-ahead: " + quote.Short(e.Refusal)
	}
	if e.Upgraded {
		return "cleartext behind the server's go-ahead, it may have been injected on the way: " + quote.Short(string(e.Text))
	}
	line, _, _ := strings.Cut(string(e.Text), "\n")
	return "server answers in the clear: " + quote.Short(line)
}

// An AnswerError is an answer that ends the upgrade.
type AnswerError struct {
	Err  error  // ErrRefused or ErrUnexpected
	Text string // what the server said, raw
}

// Error quotes the answer, escaped and cut.
func (e *AnswerError) Error() string { return e.Err.Error() + ": " + quote.Short(e.Text) }

// Unwrap returns ErrRefused or ErrUnexpected.
func (e *AnswerError) Unwrap() error { return e.Err }

// Refused is the error for an answer that says no.
func Refused(answer string) error { return &AnswerError{ErrRefused, answer} }

// Unexpected is the error for an answer that the protocol does not allow here.
func Unexpected(answer string) error { return &AnswerError{ErrUnexpected, answer} }

// NotOffered is the error for a server without the capability.
func NotOffered(capability string) error {
	return fmt.Errorf("%w %s", ErrNotOffered, capability)
}

// hinted is an error with a hint for the user.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// Hinted adds a hint to an error that a protocol's Upgrade returns.
func Hinted(err error, hint string) error { return hinted{err, hint} }

// explain gives err, as a protocol's file returned it, its step and plain words.
func (c *Conn) explain(ctx context.Context, p *Protocol, err error) error {
	e := &Error{Protocol: p.Name, Step: c.step, Err: err, Heard: c.received > 0}
	var h hinted
	if errors.As(err, &h) {
		err, e.Err, e.Hint = h.error, h.error, h.hint
	}
	var own *OptionError
	var local *LocalError
	var cleartext *CleartextError
	if errors.As(err, &cleartext) {
		e.Hint = cleartext.Hint
	}
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &local) && !errors.Is(ctx.Err(), context.Canceled):
		e.Err = local
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		e.Err = ErrClosed
		if text := c.unread(); text != "" {
			e.Err = fmt.Errorf("%w in the middle of an answer: %s", ErrClosed, quote.Short(text))
		}
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		if errors.Is(ctx.Err(), context.Canceled) {
			return context.Cause(ctx)
		}
		e.Err = ErrSilent
		if text := c.unread(); text != "" {
			e.Err = fmt.Errorf("%w, only %s", ErrSilent, quote.Short(text))
		}
	case errors.Is(err, context.Canceled):
		return context.Cause(ctx)
	default:
		var op *net.OpError
		if errors.As(err, &op) {
			e.Err = op.Err // without the addresses, which the caller knows
		}
	}
	return e
}
