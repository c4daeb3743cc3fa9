package tunnel

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"tlsup/internal/connect"
)

// A Monitor tells, over HTTP, how a Server is:
//
//	/metrics   in Prometheus' text format
//	/healthz   200, as long as the process can answer
//	/readyz    200 if connections are accepted and each target upgrades and shakes hands; 503 with
//	           the reasons if not, or if the server has been told to stop
type Monitor struct {
	server  *Server
	metrics http.Handler
	checks  []*check
}

// Monitor makes a Monitor, before Serve is called. Without one nothing is counted. version is the
// program's.
func (s *Server) Monitor(version string) *Monitor {
	m := &Monitor{server: s, metrics: s.count(version)}
	known := map[connect.Target]bool{}
	for i := range s.Pairs {
		p := &s.Pairs[i]
		if !known[p.Target] { // a target may have several listeners
			known[p.Target] = true
			m.checks = append(m.checks, &check{server: s, pair: p})
		}
	}
	return m
}

// ServeHTTP answers a request.
func (m *Monitor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body := http.StatusOK, "ok\n"
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		status, body = http.StatusMethodNotAllowed, "GET and HEAD alone\n"
	case r.URL.Path == "/metrics":
		m.metrics.ServeHTTP(w, r)
		return
	case r.URL.Path == "/healthz":
	case r.URL.Path == "/readyz":
		if faults := m.faults(r.Context()); faults != nil {
			status, body = http.StatusServiceUnavailable, strings.Join(faults, "\n")+"\n"
		}
	default:
		status, body = http.StatusNotFound, "there is /metrics, /healthz and /readyz\n"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		io.WriteString(w, body)
	}
}

// faults are the reasons why the server is not ready.
func (m *Monitor) faults(ctx context.Context) (faults []string) {
	switch {
	case m.server.stopping.Load():
		return []string{"the tunnel stops"}
	case !m.server.Accepting():
		faults = append(faults, "connections can't be accepted, see the log")
	}
	results := make([]error, len(m.checks))
	var wait sync.WaitGroup
	for i, c := range m.checks {
		wait.Go(func() { results[i] = c.result(ctx) })
	}
	wait.Wait()
	for _, err := range results {
		if err != nil {
			faults = append(faults, err.Error())
		}
	}
	return faults
}

const (
	checkAgain = 10 * time.Second // after which a result is too old
	checkLimit = 10 * time.Second // of a check
)

// A check tries a target. It is safe for several goroutines.
type check struct {
	server *Server
	pair   *Pair

	mu      sync.Mutex
	began   time.Time     // the last one, or the one that is under way
	running chan struct{} // closed at its end
	err     error         // what came out, when running is closed
}

// result returns what came out of a check that is not too old, or of a new one, which goes on
// when ctx ends.
func (c *check) result(ctx context.Context) error {
	c.mu.Lock()
	if c.running == nil || c.ended() && time.Since(c.began) >= checkAgain {
		c.began, c.running = time.Now(), make(chan struct{})
		go c.run(c.running)
	}
	running := c.running
	c.mu.Unlock()
	select {
	case <-running:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("%s: no result yet", c.pair.Target.Address())
	}
}

func (c *check) ended() bool {
	select {
	case <-c.running:
		return true
	default:
		return false
	}
}

func (c *check) run(running chan struct{}) {
	err := c.try()
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	close(running)
}

// try upgrades and shakes hands; with --raw it upgrades.
func (c *check) try() (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%s: fault in the tunnel: %v", c.pair.Target.Address(), fault)
		}
	}()
	limit := cmp.Or(min(c.server.Timeout, checkLimit), checkLimit)
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	options := *c.pair.Options() // the log is for connections: it is told nothing of this one
	var conn io.Closer
	if c.pair.Raw {
		conn, err = connect.OpenRaw(ctx, c.pair.Target, &options)
	} else {
		conn, err = connect.Open(ctx, c.pair.Target, &options)
	}
	if err != nil {
		return err
	}
	conn.Close()
	return nil
}
