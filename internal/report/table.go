package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A Table has a row for each of many servers.
type Table struct {
	Style
	w      io.Writer
	target int // width of its column
}

// mostTarget is how wide the column of targets may be where lines are broken.
const mostTarget = 40

// NewTable begins a table for targets, whose names are known before the rows.
func NewTable(w io.Writer, style Style, targets []string) (*Table, error) {
	t := &Table{Style: style, w: w, target: len("TARGET")}
	for _, name := range targets {
		t.target = max(t.target, utf8.RuneCountInString(name))
	}
	if style.Width > 0 {
		t.target = min(t.target, mostTarget)
	}
	return t, t.line(bold, "TARGET", "VERSION", "DAYS", "MS", "RESULT", "")
}

// Row writes a row. The days are those that the certificate of the chain that ends first has left.
func (t *Table) Row(r *Report) error {
	version, days, took, colour := "-", "-", "-", red
	if r.TLS != nil {
		version = strings.TrimPrefix(r.TLS.Version, "TLS ")
		if r.TLS.PostQuantum {
			version += " pq"
		}
	}
	if left, ok := r.daysLeft(); ok {
		days = fmt.Sprint(left)
	}
	if total, ok := r.Milliseconds.total(); ok {
		took = fmt.Sprintf("%.0f", total)
	}
	switch {
	case r.Status == 0 && r.warning == "":
		colour = green
	case r.Status == 0:
		colour = yellow
	}
	word, text := r.result()
	return t.line(colour, r.Target, version, days, took, word, text)
}

// daysLeft is how many days the certificate that ends first has left, of those that count.
func (r *Report) daysLeft() (days int, ok bool) {
	for _, c := range r.Chain {
		counts := c.Used || r.Verification != nil && !r.Verification.Trusted
		if counts && (!ok || c.DaysLeft < days) {
			days, ok = c.DaysLeft, true
		}
	}
	return days, ok
}

// total is how long it took until the handshake was done, if it was.
func (t Times) total() (ms float64, ok bool) {
	for _, part := range []*float64{t.Resolve, t.Connect, t.Upgrade, t.Handshake} {
		if part != nil {
			ms += *part
		}
	}
	return ms, t.Handshake != nil
}

// result says how a check went: in a word or a step, and in full.
func (r *Report) result() (word, text string) {
	switch {
	case r.Error != nil:
		return r.Error.Step, r.Error.Reason
	case r.warning != "":
		return "NOT TRUSTED, let pass", r.warning
	}
	return "trusted", ""
}

// line writes a row. A text that does not fit beside the word stands below.
func (t *Table) line(colour, target, version, days, took, word, text string) error {
	p := &page{Style: t.Style}
	p.b.WriteString(target)
	column := utf8.RuneCountInString(target)
	if column > t.target {
		p.b.WriteString("\n")
		column = 0
	}
	fmt.Fprintf(&p.b, "%*s  %-7s  %5s  %5s  ", t.target-column, "", version, days, took)
	beside := word
	if text != "" {
		beside += ": " + text
	}
	const indent = 4
	at := t.target + len("  VERSION  12345  12345  ")
	if p.Width == 0 || text == "" || at+utf8.RuneCountInString(beside) <= p.Width {
		p.b.WriteString(p.paint(colour, beside) + "\n")
	} else {
		fmt.Fprintf(&p.b, "%s\n%*s", p.paint(colour, word), indent, "")
		p.words(colour, text, indent, indent)
	}
	_, err := io.WriteString(t.w, p.b.String())
	return err
}
