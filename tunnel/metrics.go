package tunnel

import (
	"errors"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/negotiate"
)

// failedAt are the steps that connections fail at, as metrics tell them apart: those of
// connect.Error, the client, and whatever else.
var failedAt = []connect.Step{
	connect.Resolve, connect.Dial, connect.Step(negotiate.Greeting), connect.Step(negotiate.Capabilities), connect.Upgrade,
	connect.Handshake, connect.Verify, connect.Transfer, "client", "other",
}

// stats are the metrics of a pair. A nil one counts nothing.
type stats struct {
	open           prometheus.Gauge
	total          prometheus.Counter
	acceptErrors   prometheus.Counter
	sent, received prometheus.Counter
	failed         map[connect.Step]prometheus.Counter // by failedAt
	upgrade        prometheus.Observer                 // connect and upgrade
	handshake      prometheus.Observer
}

func (s *stats) begin() {
	if s != nil {
		s.total.Inc()
		s.open.Inc()
	}
}

func (s *stats) end() {
	if s != nil {
		s.open.Dec()
	}
}

// fail counts a failure at a step, or where the error tells. That the tunnel stops is none.
func (s *stats) fail(err error, step connect.Step) {
	if s == nil || err == nil || errors.Is(err, errStopped) {
		return
	}
	var known *connect.Error
	var client *negotiate.LocalError
	switch {
	case errors.As(err, &client), errors.As(err, new(*headerError)):
		step = "client"
	case errors.As(err, &known):
		step = known.Step
	}
	counter := s.failed[step]
	if counter == nil {
		counter = s.failed["other"]
	}
	counter.Inc()
}

// timer is told of the steps of one connection that began then.
func (s *stats) timer(began time.Time) func(connect.Step) {
	var upgraded time.Time
	shaken := false // what comes later is beside the session
	return func(done connect.Step) {
		switch {
		case done == connect.Upgrade && upgraded.IsZero():
			upgraded = time.Now()
			s.upgrade.Observe(upgraded.Sub(began).Seconds())
		case done == connect.Handshake && !shaken:
			shaken = true
			s.handshake.Observe(time.Since(upgraded).Seconds())
		}
	}
}

// A tally counts bytes of a connection, and of its pair.
type tally struct {
	own atomic.Int64
	all prometheus.Counter // nil for none
}

func (t *tally) Add(n int64) {
	t.own.Add(n)
	if t.all != nil {
		t.all.Add(float64(n))
	}
}

func (t *tally) Load() int64 { return t.own.Load() }

// bounds are the upper ones of a histogram's buckets, in seconds.
var bounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// count gives each pair its stats, labelled with where it listens and leads. The handler answers with
// them, and with what Go and the system tell of the process.
func (s *Server) count(version string) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	pair := []string{"listen", "target"}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		registry.MustRegister(g)
		return g
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		registry.MustRegister(c)
		return c
	}
	histograms := func(name, help string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: bounds}, pair)
		registry.MustRegister(h)
		return h
	}
	gauges("tlsup_build_info", "The program's version, as labels.", "version", "goversion").WithLabelValues(version, runtime.Version()).Set(1)
	open := gauges("tlsup_connections_open", "Connections of clients that are open.", pair...)
	limit := gauges("tlsup_connections_limit", "How many may be open, 0 for no bound.", pair...)
	total := counters("tlsup_connections_total", "Connections of clients that were accepted.", pair...)
	failed := counters("tlsup_connection_failures_total", "Connections that failed, by the step at which they did.", append(pair, "step")...)
	acceptErrors := counters("tlsup_accept_failures_total", "Failures to accept, as for want of file descriptors.", pair...)
	sent := counters("tlsup_sent_bytes_total", "Bytes of sessions to the server.", pair...)
	received := counters("tlsup_received_bytes_total", "Bytes of sessions from the server.", pair...)
	upgrade := histograms("tlsup_upgrade_seconds", "How long connecting and the cleartext upgrade took.")
	handshake := histograms("tlsup_handshake_seconds", "How long the TLS handshake took.")
	for i := range s.Pairs {
		p := &s.Pairs[i]
		labels := []string{quote.Escape(Address(p.Listener.Addr())), p.Target.Protocol.Name + "://" + p.Target.Address()}
		limit.WithLabelValues(labels...).Set(float64(s.MaxConnections))
		p.stats = &stats{
			open: open.WithLabelValues(labels...), total: total.WithLabelValues(labels...),
			acceptErrors: acceptErrors.WithLabelValues(labels...),
			sent:         sent.WithLabelValues(labels...), received: received.WithLabelValues(labels...),
			failed:  map[connect.Step]prometheus.Counter{},
			upgrade: upgrade.WithLabelValues(labels...), handshake: handshake.WithLabelValues(labels...),
		}
		for _, step := range failedAt {
			p.stats.failed[step] = failed.WithLabelValues(labels[0], labels[1], string(step))
		}
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}
