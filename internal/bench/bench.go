package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"
)

// A bench is one run: how, and what came out.
type bench struct {
	System   string
	CPUs     int
	Rounds   int
	Size     int64 // bytes in a transfer
	Sessions int   // in a round
	Idle     int   // connections at most on which nothing moves
	Clients  []client
	Tunnels  []forwarder
	Missing  []string // programs that are not installed
	LeastRSS int64    // what a process that takes next to nothing is counted with here
	Works    []table
	Verdicts []verdict
	Growth   *growth `json:",omitempty"`

	rest    time.Duration // how long connections are idle before their memory is looked at
	server  *server
	dir     string
	file    string // what is uploaded
	program string // tlsup
}

// A table is what came out of one work.
type table struct {
	work
	Rows   []row
	Ratios []ratio
}

// A row is one client's part of a table.
type row struct {
	Client      string
	Suite       string   `json:",omitempty"` // TLS version, cipher suite, key exchange group
	NotMeasured string   `json:",omitempty"` // the reason
	Failed      string   `json:",omitempty"` // how
	Samples     []sample `json:",omitempty"` // one a round
}

func (r row) ok() bool { return r.NotMeasured == "" && r.Failed == "" && len(r.Samples) > 0 }

// run measures, and how cost grows with the work if that is wanted. A client that fails is no error of it; see failures.
func (b *bench) run(ctx context.Context, only *regexp.Regexp, program string, grow bool) (err error) {
	b.System, b.CPUs = runtime.GOOS+"/"+runtime.GOARCH, runtime.NumCPU()
	b.Clients, b.Missing = installed(ctx)
	var missing []string
	b.Tunnels, missing = installedForwarders(ctx)
	b.Missing = slices.Compact(slices.Sorted(slices.Values(append(b.Missing, missing...))))
	if b.dir, err = os.MkdirTemp("", "tlsup-bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.program = program; program == "" {
		b.program = filepath.Join(b.dir, "tlsup.exe") // Windows needs the ending, nobody else minds
		if err := buildSubject(ctx, b.program); err != nil {
			return fmt.Errorf("build tlsup: %w", err)
		}
	}
	b.file = filepath.Join(b.dir, "upload")
	if err := writeFile(b.file, b.Size); err != nil {
		return err
	}
	if b.server, err = startServer(b.ca(), b.Size); err != nil {
		return err
	}
	defer b.server.stop()
	for _, w := range slices.Concat(works, tunnelWorks) {
		if only.MatchString(w.Name) {
			b.Works = append(b.Works, table{work: w, Rows: b.rows(w)})
		}
	}
	if len(b.Works) == 0 {
		return fmt.Errorf("no work matches %q", only)
	}
	for i := range b.Works {
		if err := b.check(ctx, &b.Works[i]); err != nil {
			return err
		}
	}
	for round := range b.Rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, b.Rounds)
		for i := range b.Works {
			if b.Works[i].kind == idle && round%3 != 0 { // memory varies little, and takes long
				continue
			}
			if err := b.round(ctx, round, &b.Works[i]); err != nil {
				return err
			}
		}
	}
	if s, err := run(ctx, []string{"true"}, nil, nil); err == nil {
		b.LeastRSS = s.RSS
	}
	for i := range b.Works {
		b.Works[i].Ratios = ratios(b.Works[i].Rows)
	}
	b.Verdicts = b.verdicts()
	if grow {
		b.Growth, err = b.grow(ctx)
	}
	return err
}

// failures returns what clients did not do.
func (b *bench) failures() error {
	var all []error
	for _, t := range b.Works {
		for _, r := range t.Rows {
			if r.Failed != "" {
				all = append(all, fmt.Errorf("%s: %s: %s", t.Name, r.Client, r.Failed))
			}
		}
	}
	return errors.Join(all...)
}

// writeFile writes what is uploaded.
func writeFile(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = (&source{size: size}).WriteTo(f)
	return errors.Join(err, f.Close())
}

func (b *bench) ca() string { return filepath.Join(b.dir, "ca.pem") }

// rows returns who does a work, and why not.
func (b *bench) rows(w work) (rows []row) {
	if w.tunnel == nil {
		for _, c := range b.Clients {
			_, why := w.command(c)
			rows = append(rows, row{Client: c.Name, NotMeasured: why})
		}
		return rows
	}
	for _, f := range b.Tunnels {
		if _, ok := f.Ways[w.tunnel.way]; ok {
			rows = append(rows, row{Client: f.Name, NotMeasured: b.hindrance(w, f)})
		}
	}
	return rows
}

// hindrance is what is in the way of a forwarder's work, "" for nothing.
func (b *bench) hindrance(w work, f forwarder) string {
	files := openFiles()
	need := uint64(2*w.tunnel.atOnce + 200)
	now, _ := rssOf(os.Getpid())
	switch {
	case f.forks && (w.kind == idle || w.tunnel.single):
		return "has a process for each connection"
	case w.kind != idle:
		return ""
	case now == 0:
		return "this system does not tell"
	case w.tunnel.atOnce > b.Idle:
		return fmt.Sprintf("more than the %d that were asked for", b.Idle)
	case need > files:
		return fmt.Sprintf("takes %d open files, %d are allowed", need, files)
	}
	return ""
}

// round lets everybody do a work once, in an order that moves on each round.
func (b *bench) round(ctx context.Context, round int, t *table) error {
	for i := range t.Rows {
		at := (i + round) % len(t.Rows)
		r := &t.Rows[at]
		if r.NotMeasured != "" || r.Failed != "" {
			continue
		}
		s, err := b.perform(ctx, t.work, r.Client)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			r.Failed = err.Error()
			b.server.forget()
			continue
		}
		r.Suite = s.suite
		r.Samples = append(r.Samples, s)
	}
	return nil
}

// check lets everybody send once to a server that looks at what comes; the one that is measured with
// does not even decrypt it.
func (b *bench) check(ctx context.Context, t *table) error {
	w := t.work
	if !slices.Contains(unchecked, w.service) {
		return nil
	}
	w.service += checked
	for i := range t.Rows {
		r := &t.Rows[i]
		if r.NotMeasured != "" {
			continue
		}
		if _, err := b.perform(ctx, w, r.Client); ctx.Err() != nil {
			return context.Cause(ctx)
		} else if err != nil {
			r.Failed = err.Error()
			b.server.forget()
		}
	}
	return nil
}

// perform lets a program do a work once.
func (b *bench) perform(ctx context.Context, w work, name string) (sample, error) {
	if w.pinned {
		defer pin(b.server.pid)()
	}
	if w.tunnel != nil {
		at := slices.IndexFunc(b.Tunnels, func(f forwarder) bool { return f.Name == name })
		return b.forward(ctx, w, b.Tunnels[at])
	}
	c := b.Clients[slices.IndexFunc(b.Clients, func(c client) bool { return c.Name == name })]
	program := c.Name
	if c.Name == subject {
		program = b.program
	}
	command, _ := w.command(c)
	return w.do(b, ctx, c, args(command, program, b.ca(), b.server.Ports[w.service]))
}
