package report

import (
	"fmt"
	"slices"
	"strings"
)

// scan writes what a server accepts.
func (p *page) scan(s *Scan) {
	p.tries("versions", s.Versions)
	if s.reached() { // or nothing can be said of what is below
		p.tries("cipher suites before TLS 1.3", s.Suites)
		if s.Chosen13 != nil {
			p.row("TLS 1.3", plain, "of its three suites the server chose "+*s.Chosen13)
		}
		p.tries("groups", s.Groups)
	}
	p.b.WriteString("\n" + p.paint(bold, "not tried, since crypto/tls can't") + "\n")
	for _, text := range s.NotTried {
		fmt.Fprintf(&p.b, "%*s", labelIndent, "")
		p.words(plain, text, labelIndent, labelIndent)
	}
	if s.Incomplete != nil {
		p.b.WriteString("\n" + p.paint(red, "given up: "+*s.Incomplete) + "\n")
	}
}

// reached reports whether the server accepts any version.
func (s *Scan) reached() bool {
	return slices.ContainsFunc(s.Versions, func(t Try) bool { return t.Accepted != nil && *t.Accepted })
}

// tries writes a list of offers: the accepted ones, and then the others by what became of them.
func (p *page) tries(title string, tries []Try) {
	fmt.Fprintf(&p.b, "\n%s\n", p.paint(bold, title))
	var others []string
	names := map[string][]string{}
	width := 0
	for _, t := range tries {
		if t.Accepted != nil && *t.Accepted {
			width = max(width, len(t.Name))
		}
	}
	for _, t := range tries {
		if t.Accepted == nil || !*t.Accepted {
			text := t.fate()
			if names[text] == nil {
				others = append(others, text)
			}
			names[text] = append(names[text], t.Name)
			continue
		}
		text, colour := "accepted", green
		if t.Weak {
			text, colour = "accepted, though it is weak", yellow
		}
		fmt.Fprintf(&p.b, "%*s%-*s  %s\n", labelIndent, "", width, t.Name, p.paint(colour, text))
	}
	for _, text := range others {
		fmt.Fprintf(&p.b, "%*s", labelIndent, "")
		p.words(faint, text+": "+strings.Join(names[text], ", "), labelIndent, 2*labelIndent)
	}
}

// fate says what became of an offer that was not accepted.
func (t Try) fate() string {
	word := "refused"
	if t.Accepted == nil {
		word = "not tried"
	}
	if t.Reason == nil {
		return word
	}
	return word + " (" + *t.Reason + ")"
}
