package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// What a program that drives this one can do: give the order to start TLS by a byte
// (--starttls-fd), and read one JSON object a line on how the session fares (--status-fd).

// descriptor opens the descriptor that an option names, to be read from or written to; nil if it was
// not given.
func descriptor(c *cli.Context, option string, write bool) (*os.File, error) {
	if !c.IsSet(option) {
		return nil, nil
	}
	n, err := strconv.Atoi(c.String(option))
	if err != nil || n < 3 {
		return nil, usagef("option --%s: %s is not the number of a descriptor from 3 on", option, quote.Short(c.String(option)))
	}
	file, err := openDescriptor(n, write)
	if err != nil {
		return nil, usagef("option --%s: %w", option, err)
	}
	return file, nil
}

// startOrder returns a channel that is closed at the first order to start TLS: SIGALRM, or a
// byte from file, if that is not nil. Its end is no order.
func startOrder(file *os.File) <-chan struct{} {
	signal := startSignal()
	if file == nil {
		return signal
	}
	start := make(chan struct{})
	var once sync.Once
	go func() {
		if n, _ := file.Read(make([]byte, 1)); n > 0 {
			once.Do(func() { close(start) })
		}
	}()
	go func() {
		<-signal // never, where there is none
		once.Do(func() { close(start) })
	}()
	return start
}

// An event is a line of --status-fd. Texts from the network are escaped.
type event struct {
	// Event is connected, upgraded, handshake, closed or failed. The last two end a run, one of them
	// each that came as far as its descriptor.
	Event  string `json:"event"`
	Target string `json:"target"`

	Address  string `json:"address,omitempty"`  // connected: where to
	Protocol string `json:"protocol,omitempty"` // upgraded: "" by hand

	*handshakeEvent

	// Of closed and failed: the exit status, and where and why it failed.
	Status *int   `json:"status,omitempty"`
	Step   string `json:"step,omitempty"`
	Reason string `json:"reason,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// A handshakeEvent has the figures of a handshake.
type handshakeEvent struct {
	Version     string `json:"version"`
	Cipher      string `json:"cipher"`
	Group       string `json:"group,omitempty"`
	ALPN        string `json:"alpn,omitempty"`
	Resumed     bool   `json:"resumed"`
	ECH         bool   `json:"ech,omitempty"` // the server took it
	Certificate string `json:"certificate"`   // its subject
	Name        string `json:"name"`          // that it had to be valid for
	Trusted     bool   `json:"trusted"`       // false with --insecure only
}

// events writes them. Its methods do nothing on nil.
type events struct {
	file    *os.File
	target  string
	message message
	mu      sync.Mutex
	stuck   bool // nobody reads
}

// eventWait is how long a reader of events may keep the run waiting.
const eventWait = time.Second

// write writes one line. That nobody reads it is no reason to end the session, or to keep it from ending.
func (e *events) write(ev event) {
	ev.Target = e.target
	line, err := json.Marshal(ev)
	if err != nil {
		return // it consists of texts and numbers
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stuck {
		return
	}
	written := make(chan struct{})
	// A descriptor that others share is not made to have deadlines.
	go func() {
		defer close(written)
		e.file.Write(append(line, '\n'))
	}()
	select {
	case <-written:
	case <-time.After(eventWait):
		e.stuck = true
		e.message.line("option --status-fd: nobody has read for %v: there will be no more events", eventWait)
	}
}

func (e *events) connected(address net.Addr) {
	if e != nil {
		e.write(event{Event: "connected", Address: quote.Escape(address.String())})
	}
}

func (e *events) upgraded(p *negotiate.Protocol) {
	if e == nil {
		return
	}
	ev := event{Event: "upgraded"}
	if p != nil {
		ev.Protocol = p.Name
	}
	e.write(ev)
}

func (e *events) handshake(cs tls.ConnectionState, name string, trusted bool) {
	if e == nil {
		return
	}
	h := &handshakeEvent{
		Version: tls.VersionName(cs.Version), Cipher: tls.CipherSuiteName(cs.CipherSuite), Group: trust.GroupName(cs.CurveID),
		ALPN: quote.Escape(cs.NegotiatedProtocol), Resumed: cs.DidResume, ECH: cs.ECHAccepted, Name: quote.Escape(name), Trusted: trusted,
	}
	if len(cs.PeerCertificates) > 0 {
		h.Certificate = trust.Subject(cs.PeerCertificates[0])
	}
	e.write(event{Event: "handshake", handshakeEvent: h})
}

// end tells how the run has ended.
func (e *events) end(err error, status int) {
	if e == nil {
		return
	}
	ev := event{Event: "closed", Status: &status}
	var failed *connect.Error
	switch {
	case err == nil, errors.As(err, new(commandError)):
	case errors.As(err, &failed):
		ev.Event, ev.Step, ev.Reason, ev.Hint = "failed", string(failed.Step), reason(failed.Err), failed.Hint
	default:
		ev.Event, ev.Reason = "failed", fmt.Sprint(err)
	}
	e.write(ev)
}
