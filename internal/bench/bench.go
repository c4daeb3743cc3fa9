package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"
)

// A bench is one run: how, and what came out.
type bench struct {
	System   string
	CPUs     int
	Rounds   int
	Size     int64 // bytes in a transfer
	Sessions int   // in a round
	Clients  []client
	Missing  []string // clients that are not installed
	LeastRSS int64    // what a process that takes next to nothing is counted with here
	Works    []table

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

// run measures. A client that fails is no error of it; see failures.
func (b *bench) run(ctx context.Context, only *regexp.Regexp, program string) (err error) {
	b.System, b.CPUs = runtime.GOOS+"/"+runtime.GOARCH, runtime.NumCPU()
	b.Clients, b.Missing = installed(ctx)
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
	for _, w := range works {
		if only.MatchString(w.Name) {
			t := table{work: w}
			for _, c := range b.Clients {
				_, why := w.command(c)
				t.Rows = append(t.Rows, row{Client: c.Name, NotMeasured: why})
			}
			b.Works = append(b.Works, t)
		}
	}
	if len(b.Works) == 0 {
		return fmt.Errorf("no work matches %q", only)
	}
	for round := range b.Rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, b.Rounds)
		for i := range b.Works {
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
	return nil
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

// round lets every client do a work once, in an order that moves on each round.
func (b *bench) round(ctx context.Context, round int, t *table) error {
	for i := range t.Rows {
		at := (i + round) % len(t.Rows)
		r, c := &t.Rows[at], b.Clients[at]
		if r.NotMeasured != "" || r.Failed != "" {
			continue
		}
		program := c.Name
		if c.Name == subject {
			program = b.program
		}
		command, _ := t.command(c)
		s, err := t.do(b, ctx, c, args(command, program, b.ca(), b.server.Ports[t.service]))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			r.Failed = err.Error()
			b.server.next(time.Second) // what it saw of this is not the next client's
			continue
		}
		r.Suite = s.suite
		r.Samples = append(r.Samples, s)
	}
	return nil
}
