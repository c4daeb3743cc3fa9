package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"tlsup/internal/connect"
	"tlsup/negotiate"
)

// Metrics are written in Prometheus' text format; the tests read it with Prometheus' own parser. Its
// client library would cost each start of the program, the pipe's too, 4 ms, and 4 MB.

// failedAt are the steps that connections fail at, as metrics tell them apart: those of
// connect.Error, the client, and whatever else.
var failedAt = []string{
	string(connect.Resolve), string(connect.Dial), string(negotiate.Greeting), string(negotiate.Capabilities), string(connect.Upgrade),
	string(connect.Handshake), string(connect.Verify), string(connect.Transfer), "client", "other",
}

// stats count what happens to a pair's connections. A nil one counts nothing.
type stats struct {
	open, total    atomic.Int64
	acceptErrors   atomic.Int64
	sent, received atomic.Int64
	failed         [10]atomic.Int64 // by failedAt
	upgrade        histogram        // connect and upgrade
	handshake      histogram
}

func (s *stats) begin() {
	if s != nil {
		s.total.Add(1)
		s.open.Add(1)
	}
}

func (s *stats) end() {
	if s != nil {
		s.open.Add(-1)
	}
}

// fail counts a failure at a step, or where the error tells. That the tunnel stops is none.
func (s *stats) fail(err error, step connect.Step) {
	if s == nil || err == nil || errors.Is(err, errStopped) {
		return
	}
	at := string(step)
	var known *connect.Error
	var client *negotiate.LocalError
	switch {
	case errors.As(err, &client), errors.As(err, new(*headerError)):
		at = "client"
	case errors.As(err, &known):
		at = string(known.Step)
	}
	for i, name := range failedAt {
		if name == at || i == len(failedAt)-1 {
			s.failed[i].Add(1)
			return
		}
	}
}

// timer is told of the steps of one connection that began then.
func (s *stats) timer(began time.Time) func(connect.Step) {
	var upgraded time.Time
	shaken := false // what comes later is beside the session
	return func(done connect.Step) {
		switch {
		case done == connect.Upgrade && upgraded.IsZero():
			upgraded = time.Now()
			s.upgrade.observe(upgraded.Sub(began))
		case done == connect.Handshake && !shaken:
			shaken = true
			s.handshake.observe(time.Since(upgraded))
		}
	}
}

// bounds are the upper ones of a histogram's buckets, in seconds.
var bounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

type histogram struct {
	counts [len(bounds) + 1]atomic.Int64 // not cumulative; the last is for what is above all bounds
	sum    atomic.Int64                  // nanoseconds
}

func (h *histogram) observe(d time.Duration) {
	i := 0
	for i < len(bounds) && d.Seconds() > bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// A tally counts bytes of a connection, and of its pair.
type tally struct {
	own atomic.Int64
	all *atomic.Int64 // nil for none
}

func (t *tally) Add(n int64) {
	t.own.Add(n)
	if t.all != nil {
		t.all.Add(n)
	}
}

func (t *tally) Load() int64 { return t.own.Load() }

// An exposition is metrics in Prometheus' text format, version 0.0.4.
type exposition struct{ bytes.Buffer }

func (e *exposition) family(name, kind, help string) {
	fmt.Fprintf(e, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// sample writes one value; labels are names and values in turn.
func (e *exposition) sample(name string, value any, labels ...string) {
	e.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		e.WriteByte("{,"[min(i, 1)])
		fmt.Fprintf(e, `%s="%s"`, labels[i], labelText.Replace(labels[i+1]))
	}
	if len(labels) > 0 {
		e.WriteByte('}')
	}
	fmt.Fprintf(e, " %v\n", value)
}

var labelText = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (e *exposition) histogram(name string, h *histogram, labels ...string) {
	total := int64(0)
	for i := range h.counts {
		total += h.counts[i].Load()
		bound := "+Inf"
		if i < len(bounds) {
			bound = fmt.Sprint(bounds[i])
		}
		e.sample(name+"_bucket", total, append(labels[:len(labels):len(labels)], "le", bound)...)
	}
	e.sample(name+"_sum", time.Duration(h.sum.Load()).Seconds(), labels...)
	e.sample(name+"_count", total, labels...)
}

// metrics are those of all pairs, labelled with where they listen and lead.
func (m *Monitor) metrics() []byte {
	e := &exposition{}
	each := func(name, kind, help string, write func(p *Pair, labels []string)) {
		e.family(name, kind, help)
		for i := range m.server.Pairs {
			p := &m.server.Pairs[i]
			write(p, []string{"listen", Address(p.Listener.Addr()), "target", p.Target.Protocol.Name + "://" + p.Target.Address()})
		}
	}
	number := func(name, kind, help string, value func(s *stats) int64) {
		each(name, kind, help, func(p *Pair, labels []string) { e.sample(name, value(p.stats), labels...) })
	}
	e.family("tlsup_build_info", "gauge", "The program's version, as labels.")
	e.sample("tlsup_build_info", 1, "version", m.version, "goversion", runtime.Version())
	e.family("tlsup_start_time_seconds", "gauge", "When the tunnel began, as Unix time.")
	e.sample("tlsup_start_time_seconds", float64(m.began.UnixMilli())/1000)
	number("tlsup_connections_open", "gauge", "Connections of clients that are open.", func(s *stats) int64 { return s.open.Load() })
	number("tlsup_connections_limit", "gauge", "How many may be open, 0 for no bound.", func(*stats) int64 { return int64(m.server.MaxConnections) })
	number("tlsup_connections_total", "counter", "Connections of clients that were accepted.", func(s *stats) int64 { return s.total.Load() })
	each("tlsup_connection_failures_total", "counter", "Connections that failed, by the step at which they did.", func(p *Pair, labels []string) {
		for i, step := range failedAt {
			e.sample("tlsup_connection_failures_total", p.stats.failed[i].Load(), append(labels, "step", step)...)
		}
	})
	number("tlsup_accept_failures_total", "counter", "Failures to accept, as for want of file descriptors.", func(s *stats) int64 { return s.acceptErrors.Load() })
	number("tlsup_sent_bytes_total", "counter", "Bytes of sessions to the server.", func(s *stats) int64 { return s.sent.Load() })
	number("tlsup_received_bytes_total", "counter", "Bytes of sessions from the server.", func(s *stats) int64 { return s.received.Load() })
	each("tlsup_upgrade_seconds", "histogram", "How long connecting and the cleartext upgrade took.", func(p *Pair, labels []string) {
		e.histogram("tlsup_upgrade_seconds", &p.stats.upgrade, labels...)
	})
	each("tlsup_handshake_seconds", "histogram", "How long the TLS handshake took.", func(p *Pair, labels []string) {
		e.histogram("tlsup_handshake_seconds", &p.stats.handshake, labels...)
	})
	e.family("go_goroutines", "gauge", "Goroutines that exist.")
	e.sample("go_goroutines", runtime.NumGoroutine())
	return e.Bytes()
}
