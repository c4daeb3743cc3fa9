package report

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// timeline draws what was said as a sequence diagram: the client is on the left, the server on the
// right, and time goes down.
func (p *page) timeline(events []Event) {
	const left, ends, least = "  123.4 ms  |", "<--  --", 30
	lane := least
	for _, e := range events {
		lane = max(lane, utf8.RuneCountInString(e.Text)+len(ends))
	}
	if p.Width > 0 {
		lane = max(p.Width-len(left)-len("|"), least)
	}
	fmt.Fprintf(&p.b, "\n%*sC%*sS\n", len(left)-1, "", lane, "")
	for _, e := range events {
		fmt.Fprintf(&p.b, "%s  |%s|\n", p.paint(faint, fmt.Sprintf("%7.1f ms", e.At)), e.arrow(lane))
	}
}

// arrow draws an event in so many columns. A text that does not fit is cut.
func (e Event) arrow(width int) string {
	text := e.Text
	if most := width - len("<--  --"); utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most-3]) + "..."
	}
	rest := width - utf8.RuneCountInString(text)
	switch e.From {
	case byClient:
		return "-- " + text + " " + strings.Repeat("-", rest-5) + ">"
	case byServer:
		return "<" + strings.Repeat("-", rest-5) + " " + text + " --"
	}
	return strings.Repeat(" ", rest/2) + text + strings.Repeat(" ", rest-rest/2)
}
