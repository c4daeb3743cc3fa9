package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// print writes the tables for a person.
func (b *bench) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s, %d CPUs; medians of %d rounds, %s in a transfer, %d sessions in a round, %d through a tunnel\n",
		b.System, b.CPUs, b.Rounds, mib(float64(b.Size)), b.Sessions, b.Sessions*perSession)
	if b.LeastRSS > 0 {
		fmt.Fprintf(w, "peak RSS below %s can't be seen here\n", mib(float64(b.LeastRSS)))
	}
	if len(b.Missing) > 0 {
		fmt.Fprintf(w, "not installed, so not measured: %s\n", strings.Join(b.Missing, ", "))
	}
	fmt.Fprintln(w)
	kinds := make(map[bool]bool) // with a tunnel and without
	for _, t := range b.Works {
		kinds[t.tunnel != nil] = true
	}
	for _, c := range b.Clients {
		if !kinds[false] {
			break
		}
		fmt.Fprintf(w, "%s\t%s\n", c.Name, cmp.Or(c.Version, "of this module"))
		for _, command := range []string{c.TLS, c.STARTTLS} {
			if command != "" {
				fmt.Fprintf(w, "\t  %s\n", command)
			}
		}
	}
	for _, f := range b.Tunnels {
		if !kinds[true] {
			break
		}
		fmt.Fprintf(w, "%s\t%s\n", f.Name, cmp.Or(f.Version, "of this module"))
		command, config := f.lines("tls")
		for line := range strings.Lines(command + "\n" + config) {
			if line = strings.TrimRight(line, "\n"); line != "" {
				fmt.Fprintf(w, "\t  %s\n", strings.ReplaceAll(line, "\t", "  "))
			}
		}
	}
	for _, t := range b.Works {
		b.printTable(w, t)
	}
	b.printRatios(w)
	if err := w.Flush(); err != nil {
		return err
	}
	b.printVerdicts(out)
	if b.Growth != nil {
		b.Growth.print(out)
	}
	return nil
}

// A column is a figure as it is printed.
type column struct {
	head string
	cell func(b *bench, samples []sample) string
}

// ofTime is a column of the median of a time.
func ofTime(head string, of func(sample) time.Duration) column {
	return column{head, func(_ *bench, samples []sample) string {
		return ms(median(samples, func(s sample) float64 { return of(s).Seconds() }))
	}}
}

var (
	wallColumn   = ofTime("wall", func(s sample) time.Duration { return s.Wall })
	cpuColumn    = ofTime("CPU", func(s sample) time.Duration { return s.CPU })
	serverColumn = ofTime("server's CPU", func(s sample) time.Duration { return s.Server })
	rssColumn    = column{"peak RSS", func(_ *bench, samples []sample) string {
		if rss := median(samples, func(s sample) float64 { return float64(s.RSS) }); rss != 0 {
			return mib(rss)
		}
		return "-"
	}}
)

// columns are what is printed of each kind of work.
var columns = map[kind][]column{
	transfer: {
		wallColumn,
		{"rate", func(b *bench, samples []sample) string {
			return mib(float64(b.Size)/median(samples, figures[0].of)) + "/s"
		}},
		cpuColumn,
		{"CPU/GiB", func(b *bench, samples []sample) string {
			return ms(median(samples, figures[1].of) * (1 << 30) / float64(b.Size))
		}},
		rssColumn, serverColumn,
	},
	session: {
		wallColumn,
		{"rate", func(_ *bench, samples []sample) string {
			return fmt.Sprintf("%.0f/s", 1/median(samples, figures[0].of))
		}},
		cpuColumn, rssColumn,
	},
	idle: {{"RSS over the empty tunnel", rssColumn.cell}},
	trip: {
		ofTime("median", func(s sample) time.Duration { return s.Wall }),
		ofTime("p99", func(s sample) time.Duration { return s.P99 }),
		cpuColumn,
	},
}

func (b *bench) printTable(w io.Writer, t table) {
	fmt.Fprintf(w, "\n%s: %s\n  by", t.Name, t.About)
	for _, c := range columns[t.kind] {
		fmt.Fprintf(w, "\t%s", c.head)
	}
	fmt.Fprintln(w, "\t")
	for _, r := range t.Rows {
		note := r.Suite
		switch {
		case r.Failed != "":
			note = "failed: " + r.Failed
		case r.NotMeasured != "":
			note = "not measured: " + r.NotMeasured
		}
		fmt.Fprintf(w, "  %s", r.Client)
		for _, c := range columns[t.kind] {
			cell := "-"
			if r.ok() {
				cell = c.cell(b, r.Samples)
			}
			fmt.Fprintf(w, "\t%s", cell)
		}
		fmt.Fprintf(w, "\t%s\n", note)
	}
}

// printRatios prints tlsup's figures by those of the best peer.
func (b *bench) printRatios(w io.Writer) {
	fmt.Fprintf(w, "\n%s / best peer, in this run (lowest to highest of the rounds); less is better\n  work", subject)
	for _, f := range figures {
		fmt.Fprintf(w, "\t%s", f.Name)
	}
	fmt.Fprintln(w)
	for _, t := range b.Works {
		fmt.Fprintf(w, "  %s", t.Name)
		for _, f := range figures {
			cell := "-"
			for _, r := range t.Ratios {
				if r.Figure == f.Name {
					cell = fmt.Sprintf("%.2f (%.2f to %.2f) %s", r.Ratio, r.Low, r.High, r.Peer)
				}
			}
			fmt.Fprintf(w, "\t%s", cell)
		}
		fmt.Fprintln(w)
	}
}

func ms(seconds float64) string {
	switch {
	case seconds == 0: // unknown
		return "-"
	case seconds < 0.01:
		return fmt.Sprintf("%.3f ms", seconds*1e3)
	}
	return fmt.Sprintf("%.1f ms", seconds*1e3)
}

func mib(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }
