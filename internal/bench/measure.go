package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// limit is how long a client may run.
const limit = 2 * time.Minute

// A sample is what one run of a program has taken.
type sample struct {
	Wall   time.Duration
	CPU    time.Duration // user and system
	RSS    int64         // its largest resident set in bytes, 0 where unknown; of idle connections theirs
	P99    time.Duration `json:",omitempty"` // of round trips; their median is Wall
	Server time.Duration `json:",omitempty"` // the server's CPU time meanwhile, 0 where unknown
	suite  string
}

// runArg makes this program the starter of a client. Linux counts a process as no smaller
// than the one that has started it, so the starter is small: it has done nothing before.
const runArg = "run-for-bench"

// An outcome is what the starter tells on standard error.
type outcome struct {
	sample
	Err string
}

// start is the starter's process: it runs a client on its own standard input and output.
func start(argv []string) (o outcome) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, &complaint
	before := time.Now()
	err := cmd.Run()
	o.Wall = time.Since(before)
	switch {
	case ctx.Err() != nil:
		o.Err = fmt.Sprintf("has not ended after %v", limit)
	case err != nil:
		lines := strings.Split(strings.TrimSpace(complaint.String()), "\n")
		o.Err = fmt.Sprintf("%v: %.200q", err, lines[len(lines)-1])
	default:
		o.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		o.RSS = peakRSS(cmd.ProcessState)
	}
	return o
}

// run runs a client once. That it exits with another status than 0 is an error.
func run(ctx context.Context, argv []string, in io.Reader, out io.Writer) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	var told bytes.Buffer
	cmd := exec.CommandContext(ctx, self, append([]string{runArg}, argv...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &told
	if err := cmd.Run(); err != nil {
		return sample{}, fmt.Errorf("starter: %w", err)
	}
	var o outcome
	if err := json.Unmarshal(told.Bytes(), &o); err != nil {
		return sample{}, fmt.Errorf("starter: %w", err)
	}
	if o.Err != "" {
		return sample{}, errors.New(o.Err)
	}
	return o.sample, nil
}

// A figure is one number of a sample; less is better.
type figure struct {
	Name string
	of   func(sample) float64
}

var figures = []figure{
	{"wall", func(s sample) float64 { return s.Wall.Seconds() }},
	{"CPU", func(s sample) float64 { return s.CPU.Seconds() }},
	{"RSS", func(s sample) float64 { return float64(s.RSS) }},
	{"p99", func(s sample) float64 { return s.P99.Seconds() }},
}

// median returns the middle of the samples' figures, or the mean of the two in the middle.
// There must be one at least.
func median(samples []sample, of func(sample) float64) float64 {
	all := make([]float64, len(samples))
	for i, s := range samples {
		all[i] = of(s)
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// A ratio is tlsup's figure by that of the peer which is best at it.
type ratio struct {
	Figure, Peer string
	Ratio        float64 // of the medians
	Low, High    float64 // the lowest and highest among the rounds
}

// ratios compares the subject with the best of its peers, once for each figure. There are
// none if the subject or all peers have failed, or the system does not tell.
func ratios(rows []row) []ratio {
	var all []ratio
	for _, f := range figures {
		if r, ok := compare(rows, f, nil); ok {
			all = append(all, r)
		}
	}
	return all
}

// compare compares the subject with the best of some peers, nil for all, at one figure.
func compare(rows []row, f figure, peers []string) (r ratio, ok bool) {
	var own, best *row
	for i := range rows {
		row := &rows[i]
		switch {
		case !row.ok():
		case row.Client == subject:
			own = row
		case peers != nil && !slices.Contains(peers, row.Client) || median(row.Samples, f.of) == 0:
		case best == nil || median(row.Samples, f.of) < median(best.Samples, f.of):
			best = row
		}
	}
	if own == nil || best == nil {
		return r, false
	}
	r = ratio{Figure: f.Name, Peer: best.Client, Ratio: median(own.Samples, f.of) / median(best.Samples, f.of)}
	for i := range own.Samples {
		one := f.of(own.Samples[i]) / f.of(best.Samples[i])
		if i == 0 {
			r.Low, r.High = one, one
		}
		r.Low, r.High = min(r.Low, one), max(r.High, one)
	}
	return r, true
}
