package tunnel

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"tlsup/internal/connect"
	"tlsup/internal/testca"
	"tlsup/negotiate"
)

// monitored starts a tunnel with a monitor.
func monitored(t *testing.T, pair Pair) (*bench, *Monitor) {
	t.Helper()
	var m *Monitor
	b := start(t, pair, func(s *Server) {
		s.MaxConnections = 5
		m = s.Monitor(`1.0 "beta"\`)
	})
	return b, m
}

// get asks a monitor.
func get(m *Monitor, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// families has Prometheus' own parser read the metrics.
func families(t *testing.T, m *Monitor) map[string]*dto.MetricFamily {
	t.Helper()
	w := get(m, "/metrics")
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8") {
		t.Fatal(w.Code, w.Header())
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	all, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// read returns one of the metrics, by its labels.
func read(t *testing.T, m *Monitor, name string, labels ...string) *dto.Metric {
	t.Helper()
	for _, metric := range families(t, m)[name].GetMetric() {
		found := 0
		for _, pair := range metric.Label {
			for i := 0; i < len(labels); i += 2 {
				if pair.GetName() == labels[i] && pair.GetValue() == labels[i+1] {
					found += 2
				}
			}
		}
		if found == len(labels) {
			return metric
		}
	}
	t.Fatalf("no %s %v", name, labels)
	return nil
}

// TestMetrics: a connection is counted while it is open and when it has ended.
func TestMetrics(t *testing.T) {
	p := newPeer(t)
	b, m := monitored(t, p.pair(t))
	labels := []string{"listen", b.addr, "target", negotiate.TLS().Name + "://" + b.Pairs[0].Target.Address()}
	read(t, m, "tlsup_build_info", "version", `1.0 "beta"\`)
	if got := read(t, m, "tlsup_connections_limit", labels...).Gauge.GetValue(); got != 5 {
		t.Errorf("limit %v", got)
	}
	client := dial(t, b)
	server := p.next(t)
	b.journal.await(t, "opened", 1)
	if got := read(t, m, "tlsup_connections_open", labels...).Gauge.GetValue(); got != 1 {
		t.Errorf("%v open", got)
	}
	io.WriteString(client, "question")
	if _, err := io.ReadFull(server, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	io.WriteString(server, "answer")
	server.Close()
	if _, err := io.ReadAll(client); err != nil {
		t.Fatal(err)
	}
	client.Close()
	b.journal.await(t, "closed", 1)
	b.end(t)
	for name, want := range map[string]float64{
		"tlsup_connections_total": 1, "tlsup_sent_bytes_total": 8, "tlsup_received_bytes_total": 6, "tlsup_accept_failures_total": 0,
	} {
		if got := read(t, m, name, labels...).Counter.GetValue(); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := read(t, m, "tlsup_connections_open", labels...).Gauge.GetValue(); got != 0 {
		t.Errorf("%v open", got)
	}
	for _, name := range []string{"tlsup_upgrade_seconds", "tlsup_handshake_seconds"} {
		h := read(t, m, name, labels...).Histogram
		last := h.Bucket[len(h.Bucket)-1]
		if h.GetSampleCount() != 1 || h.GetSampleSum() <= 0 || !math.IsInf(last.GetUpperBound(), 1) || last.GetCumulativeCount() != 1 {
			t.Errorf("%s: %v", name, h)
		}
	}
	if w := get(m, "/readyz"); w.Code != 503 || w.Body.String() != "the tunnel stops\n" {
		t.Error(w.Code, w.Body)
	}
}

// TestFamilies: from the beginning all is told that will ever be, with its type and what it means.
func TestFamilies(t *testing.T) {
	p := newPeer(t)
	b, m := monitored(t, p.pair(t))
	all := families(t, m)
	pair := []string{b.addr, negotiate.TLS().Name + "://" + b.Pairs[0].Target.Address()}
	for name, want := range map[string]struct {
		kind    dto.MetricType
		metrics int
	}{
		"tlsup_connections_open":          {dto.MetricType_GAUGE, 1},
		"tlsup_connections_limit":         {dto.MetricType_GAUGE, 1},
		"tlsup_connections_total":         {dto.MetricType_COUNTER, 1},
		"tlsup_connection_failures_total": {dto.MetricType_COUNTER, len(failedAt)},
		"tlsup_accept_failures_total":     {dto.MetricType_COUNTER, 1},
		"tlsup_sent_bytes_total":          {dto.MetricType_COUNTER, 1},
		"tlsup_received_bytes_total":      {dto.MetricType_COUNTER, 1},
		"tlsup_upgrade_seconds":           {dto.MetricType_HISTOGRAM, 1},
		"tlsup_handshake_seconds":         {dto.MetricType_HISTOGRAM, 1},
	} {
		family := all[name]
		if family.GetType() != want.kind || family.GetHelp() == "" || len(family.GetMetric()) != want.metrics {
			t.Errorf("%s: %v", name, family)
		}
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range metric.Label {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["listen"] != pair[0] || labels["target"] != pair[1] {
				t.Errorf("%s: %v", name, labels)
			}
			if h := metric.Histogram; h != nil {
				if len(h.Bucket) != len(bounds)+1 || h.GetSampleCount() != 0 {
					t.Errorf("%s: %v", name, h)
				}
				for i, bound := range bounds {
					if h.Bucket[i].GetUpperBound() != bound {
						t.Errorf("%s: bucket %d ends at %v", name, i, h.Bucket[i].GetUpperBound())
					}
				}
			}
			if metric.Counter.GetValue() != 0 || name == "tlsup_connections_open" && metric.Gauge.GetValue() != 0 {
				t.Errorf("%s: %v", name, metric)
			}
		}
	}
	for name, kind := range map[string]dto.MetricType{
		"tlsup_build_info": dto.MetricType_GAUGE, "go_info": dto.MetricType_GAUGE, "go_goroutines": dto.MetricType_GAUGE,
		"go_gc_duration_seconds": dto.MetricType_SUMMARY, "go_memstats_alloc_bytes": dto.MetricType_GAUGE,
	} {
		if family := all[name]; family.GetType() != kind || len(family.GetMetric()) != 1 {
			t.Errorf("%s: %v", name, family)
		}
	}
	if runtime.GOOS == "linux" {
		for _, name := range []string{
			"process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes",
			"process_start_time_seconds", "process_open_fds", "process_max_fds",
		} {
			if family := all[name]; len(family.GetMetric()) != 1 {
				t.Errorf("%s: %v", name, family)
			}
		}
	}
}

// TestServersShareNothing: what one counts is not told of the other.
func TestServersShareNothing(t *testing.T) {
	p := newPeer(t)
	one, told := monitored(t, p.pair(t))
	other, beside := monitored(t, p.pair(t))
	one.Pairs[0].stats.fail(errors.New("something else"), "other")
	if got := read(t, told, "tlsup_connection_failures_total", "listen", one.addr, "step", "other").Counter.GetValue(); got != 1 {
		t.Errorf("%v failures", got)
	}
	for _, metric := range families(t, beside)["tlsup_connection_failures_total"].Metric {
		if metric.Counter.GetValue() != 0 || metric.Label[0].GetValue() != other.addr {
			t.Errorf("%v", metric)
		}
	}
}

// TestFailures: each kind of failure is counted as such.
func TestFailures(t *testing.T) {
	for at, err := range map[string]error{
		"verify":     &connect.Error{Step: connect.Verify, Err: errors.New("")},
		"greeting":   &connect.Error{Step: connect.Step(negotiate.Greeting), Err: errors.New("")},
		"client":     &connect.Error{Step: connect.Upgrade, Err: &negotiate.LocalError{Err: io.EOF}},
		"other":      errors.New("something else"),
		"session":    &connect.Error{Step: connect.Transfer, Err: errors.New("")},
		"resolve":    &connect.Error{Step: connect.Resolve, Err: errors.New("")},
		"":           errStopped,
		"handshake":  &connect.Error{Step: connect.Handshake, Err: errors.New("")},
		"not a step": nil,
	} {
		p := newPeer(t)
		b, m := monitored(t, p.pair(t))
		b.Pairs[0].stats.fail(err, "other")
		for _, step := range failedAt {
			got := read(t, m, "tlsup_connection_failures_total", "step", string(step)).Counter.GetValue()
			if (got == 1) != (string(step) == at) {
				t.Errorf("%v: %v at %s", err, got, step)
			}
		}
	}
}

// TestReady: the target is tried, once for all who ask, and the reason is told.
func TestReady(t *testing.T) {
	s := serve(t, "imap")
	t.Run("ready", func(t *testing.T) {
		_, m := monitored(t, to(t, "imap", s))
		var wait sync.WaitGroup
		for range 5 {
			wait.Go(func() {
				if w := get(m, "/readyz"); w.Code != 200 || w.Body.String() != "ok\n" {
					t.Error(w.Code, w.Body)
				}
			})
		}
		wait.Wait()
		began := m.checks[0].began
		get(m, "/readyz")
		if m.checks[0].began != began && time.Since(began) < checkAgain {
			t.Error("tried again at once")
		}
		m.checks[0].began = began.Add(-checkAgain)
		get(m, "/readyz")
		if m.checks[0].began == began.Add(-checkAgain) {
			t.Error("not tried again")
		}
	})
	t.Run("not trusted", func(t *testing.T) {
		ca, err := testca.New("somebody else's")
		if err != nil {
			t.Fatal(err)
		}
		pair := to(t, "imap", s)
		o := options(t, ca)
		pair.Options = func() *connect.Options { return o }
		_, m := monitored(t, pair)
		if w := get(m, "/readyz"); w.Code != 503 || !strings.Contains(w.Body.String(), pair.Target.Address()+": verify: ") {
			t.Error(w.Code, w.Body)
		}
		if w := get(m, "/healthz"); w.Code != 200 {
			t.Error(w.Code)
		}
	})
	t.Run("raw", func(t *testing.T) {
		pair := to(t, "imap", s)
		pair.Raw = true
		_, m := monitored(t, pair)
		if w := get(m, "/readyz"); w.Code != 200 {
			t.Error(w.Code, w.Body)
		}
	})
	t.Run("nobody waits for ever", func(t *testing.T) {
		p := newPeer(t) // that never shakes hands
		_, m := monitored(t, p.pair(t))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/readyz", nil))
		if w.Code != 503 || !strings.Contains(w.Body.String(), "no result yet") {
			t.Error(w.Code, w.Body)
		}
		p.next(t)
	})
	_, m := monitored(t, to(t, "imap", s))
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("POST", "/metrics", nil))
	if w.Code != 405 || get(m, "/").Code != 404 {
		t.Error(w.Code)
	}
}
