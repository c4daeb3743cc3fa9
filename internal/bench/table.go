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
	fmt.Fprintf(w, "%s, %d CPUs; medians of %d rounds, %s in a transfer, %d sessions in a round\n",
		b.System, b.CPUs, b.Rounds, mib(float64(b.Size)), b.Sessions)
	if b.LeastRSS > 0 {
		fmt.Fprintf(w, "peak RSS below %s can't be seen here\n", mib(float64(b.LeastRSS)))
	}
	if len(b.Missing) > 0 {
		fmt.Fprintf(w, "not installed, so not measured: %s\n", strings.Join(b.Missing, ", "))
	}
	fmt.Fprintln(w)
	for _, c := range b.Clients {
		fmt.Fprintf(w, "%s\t%s\n", c.Name, cmp.Or(c.Version, "of this module"))
		for _, command := range []string{c.TLS, c.STARTTLS} {
			if command != "" {
				fmt.Fprintf(w, "\t  %s\n", command)
			}
		}
	}
	for _, t := range b.Works {
		b.printTable(w, t)
	}
	b.printRatios(w)
	return w.Flush()
}

func (b *bench) printTable(w io.Writer, t table) {
	fmt.Fprintf(w, "\n%s: %s\n", t.Name, t.About)
	fmt.Fprintln(w, "  client\twall\trate\tCPU\tpeak RSS\tserver's CPU\t")
	for _, r := range t.Rows {
		switch {
		case r.Failed != "":
			fmt.Fprintf(w, "  %s\t-\t-\t-\t-\t-\tfailed: %s\n", r.Client, r.Failed)
			continue
		case r.NotMeasured != "":
			fmt.Fprintf(w, "  %s\t-\t-\t-\t-\t-\tnot measured: %s\n", r.Client, r.NotMeasured)
			continue
		}
		wall := median(r.Samples, figures[0].of)
		rate, server := fmt.Sprintf("%.0f/s", 1/wall), "-"
		if t.transfers() {
			rate = mib(float64(b.Size)/wall) + "/s"
			server = ms(median(r.Samples, func(s sample) float64 { return s.Server.Seconds() }))
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Client, ms(wall), rate,
			ms(median(r.Samples, figures[1].of)), mib(median(r.Samples, figures[2].of)), server, r.Suite)
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
	return fmt.Sprintf("%.1f ms", seconds*float64(time.Second/time.Millisecond))
}

func mib(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }
