package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A target is what tlsup's figure by that of the best peer has to be, and what it should be.
type target struct {
	Row        string // what it is about
	Work       string
	Figure     string
	Must, Goal float64
	Against    []string `json:",omitempty"` // the peers that count; nil: all
}

// targets are one a work and figure.
var targets = slices.Concat(
	timed("a upload", "upload", nil, 0.75, 0.60, 0.80, 0.65),
	timed("a upload from a pipe", "upload-pipe", nil, 0.75, 0.60, 0.80, 0.65),
	timed("b download", "download", nil, 0.75, 0.62, 0.90, 0.78),
	timed("b download to a pipe", "download-pipe", nil, 0.60, 0.45, 0.60, 0.45),
	timed("c both ways at once", "both", nil, 0.75, 0.60, 0.75, 0.60),
	timed("d tunnel, 1 up", "tunnel-up-1", nil, 0.85, 0.68, 0.85, 0.68),
	timed("d tunnel, 1 down", "tunnel-down-1", nil, 0.85, 0.68, 0.85, 0.68),
	timed("d tunnel, 1 both", "tunnel-both-1", nil, 0.85, 0.68, 0.85, 0.68),
	timed("d tunnel, 8 up", "tunnel-up-8", nil, 0.70, 0.50, 0.80, 0.60),
	timed("d tunnel, 8 down", "tunnel-down-8", nil, 0.70, 0.50, 0.80, 0.60),
	timed("d tunnel, 8 both", "tunnel-both-8", nil, 0.70, 0.50, 0.80, 0.60),
	[]target{
		{"e short session", "starttls", "wall", 0.25, 0.17, gnutls},
		{"e short session", "starttls", "CPU", 1.20, 1.00, gnutls},
		{"e tunnel sessions", "tunnel-session", "CPU", 1.15, 0.90, []string{"haproxy"}},
	},
	timed("e tunnel sessions, resumed", "tunnel-resumed", nil, 0.90, 0.70, 1.00, 0.80),
	timed("e tunnel sessions, SMTP", "tunnel-smtp", stunnel, 0.65, 0.50, 0.85, 0.65),
	timed("e tunnel sessions, IMAP", "tunnel-imap", stunnel, 0.65, 0.50, 0.85, 0.65),
	timed("e tunnel sessions, PostgreSQL", "tunnel-postgres", stunnel, 0.65, 0.50, 0.85, 0.65),
	[]target{
		{"f 100 idle in a tunnel", "tunnel-idle-100", "RSS", 1.40, 1.15, nil},
		{"f 1000 idle in a tunnel", "tunnel-idle-1000", "RSS", 0.80, 0.50, nil},
		{"f 5000 idle in a tunnel", "tunnel-idle-5000", "RSS", 0.80, 0.50, nil},
		{"f peak of an upload", "upload-pipe", "RSS", 1.30, 1.15, []string{"gnutls-cli", "openssl"}},
		{"f peak of a download", "download-pipe", "RSS", 1.30, 1.15, []string{"gnutls-cli", "openssl"}},
		{"g round trip", "trip", "wall", 1.10, 0.95, nil},
		{"g round trip", "trip", "p99", 1.30, 1.10, nil},
		{"g round trip, tunnel", "tunnel-trip", "wall", 1.20, 1.00, nil},
		{"g round trip, tunnel", "tunnel-trip", "p99", 1.40, 1.10, nil},
		{"h --raw up", "tunnel-raw-up", "CPU", 0.70, 0.48, []string{"socat"}},
		{"h --raw down", "tunnel-raw-down", "CPU", 1.30, 1.00, []string{"socat"}},
	},
)

var (
	gnutls  = []string{"gnutls-cli"}
	stunnel = []string{"stunnel4"}
)

// timed are the targets of CPU and of wall time.
func timed(row, work string, against []string, cpuMust, cpuGoal, wallMust, wallGoal float64) []target {
	return []target{
		{row, work, "CPU", cpuMust, cpuGoal, against},
		{row, work, "wall", wallMust, wallGoal, against},
	}
}

// A verdict is what became of a target.
type verdict struct {
	target
	Peer      string  `json:",omitempty"`
	Ratio     float64 // 0: not measured
	Low, High float64
}

// Says is the verdict in a word or two.
func (v verdict) Says() string {
	switch {
	case v.Ratio == 0:
		return "not measured"
	case v.Ratio <= v.Goal:
		return "goal"
	case v.Ratio <= v.Must:
		return "must"
	}
	return "MISSED"
}

// verdicts judges the works that were measured.
func (b *bench) verdicts() (all []verdict) {
	for _, t := range targets {
		i := slices.IndexFunc(b.Works, func(w table) bool { return w.Name == t.Work })
		if i < 0 {
			continue
		}
		v := verdict{target: t}
		f := figures[slices.IndexFunc(figures, func(f figure) bool { return f.Name == t.Figure })]
		if r, ok := compare(b.Works[i].Rows, f, t.Against); ok {
			v.Peer, v.Ratio, v.Low, v.High = r.Peer, r.Ratio, r.Low, r.High
		}
		all = append(all, v)
	}
	return all
}

// printVerdicts prints them in a table that is one in Markdown too.
func (b *bench) printVerdicts(w io.Writer) {
	if len(b.Verdicts) == 0 {
		return
	}
	rows := [][]string{{"what", "figure", "tlsup / peer", "of the rounds", "peer", "must", "goal", ""}}
	for _, v := range b.Verdicts {
		ratio, rounds := "-", "-"
		if v.Ratio != 0 {
			ratio, rounds = fmt.Sprintf("%.2f", v.Ratio), fmt.Sprintf("%.2f to %.2f", v.Low, v.High)
		}
		rows = append(rows, []string{v.Row, v.Figure, ratio, rounds, v.Peer, fmt.Sprintf("%.2f", v.Must), fmt.Sprintf("%.2f", v.Goal), v.Says()})
	}
	fmt.Fprintf(w, "\n%s / best peer, medians of this run; less is better\n\n", subject)
	printMarkdown(w, rows)
}

// printMarkdown prints a table with its columns in line.
func printMarkdown(w io.Writer, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell), 3)
		}
	}
	line := func(row []string) {
		for i, cell := range row {
			fmt.Fprintf(w, "| %-*s ", widths[i], cell)
		}
		fmt.Fprintln(w, "|")
	}
	line(rows[0])
	rules := make([]string, len(widths))
	for i, width := range widths {
		rules[i] = strings.Repeat("-", width)
	}
	line(rules)
	for _, row := range rows[1:] {
		line(row)
	}
}
