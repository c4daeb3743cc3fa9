package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"tlsup/internal/gnutls"
	"tlsup/internal/realserver"
)

const gnutlsManual = "man/tlsup-gnutls-cli.1"

// TestGnutlsManual holds the manual against the options and words that are known. With -update it
// is rewritten.
func TestGnutlsManual(t *testing.T) {
	var entries []string
	for _, o := range gnutls.Options {
		entries = append(entries, gnutlsEntry(o)...)
	}
	compareLines(t, gnutlsManual, `.\" options: begin`, `.\" options: end`, entries)
	compareLines(t, gnutlsManual, `.\" words: begin`, `.\" words: end`, gnutlsWords())
}

// gnutlsEntry is an option's entry in the manual.
func gnutlsEntry(o gnutls.Option) []string {
	var names []string
	if o.Short != 0 {
		name := string(o.Short)
		if o.Short == '!' {
			name = `\&!` // else it would be punctuation
		}
		names = append(names, name)
	}
	names = append(names, "-"+o.Name)
	if o.No {
		names = append(names, "-no-"+o.Name)
	}
	head := ".It Fl " + strings.Join(names, " , ")
	if o.Value != "" {
		head += " Ar " + o.Value
	}
	text := sentence(o.Help)
	if o.Value != "" && o.Max > 0 {
		text += fmt.Sprintf(" From 0 to %d.", o.Max)
	}
	switch {
	case o.Standing == gnutls.Never:
		text += " Not supported: " + o.Here + "."
	case o.Here != "":
		text += " " + sentence(o.Here)
	}
	return append([]string{head}, macroText(text)...)
}

func sentence(s string) string { return capital(s) + "." }

var optionInText = regexp.MustCompile(`^--([a-z-]+)([.,;:]*)$`)

// macroText is text as lines of the manual, a sentence a line and no line
// too long, with options in their macro.
func macroText(text string) []string {
	var lines []string
	line := ""
	end := func() {
		if line != "" {
			lines = append(lines, line)
		}
		line = ""
	}
	for _, word := range strings.Fields(text) {
		if m := optionInText.FindStringSubmatch(word); m != nil {
			end()
			lines = append(lines, strings.TrimSpace(".Fl -"+m[1]+" "+m[2]))
			continue
		}
		if len(line)+len(word) >= 79 {
			end()
		}
		line = strings.TrimSpace(line + " " + word)
		if strings.HasSuffix(word, ".") {
			end()
		}
	}
	end()
	return lines
}

// gnutlsWords are the words of priority strings, as lines of the manual.
func gnutlsWords() []string {
	var lines []string
	w := gnutls.PriorityWords()
	for _, kind := range []struct {
		lead  string
		words []string
	}{
		{"", w.Sets},
		{"Behind it, + adds what a word stands for, and - or ! take it away:", w.Known},
		{"These stand alone:", w.Special},
		{"These can be taken away, but not added:", w.Absent},
		{"These change nothing:", w.Harmless},
		{"These can't be told to Go's TLS:", w.Refused},
	} {
		if kind.lead != "" {
			lines = append(lines, ".Pp", kind.lead)
		}
		for i, word := range kind.words {
			mark := " ,"
			if i == len(kind.words)-1 {
				mark = " ."
			}
			lines = append(lines, ".Cm "+word+mark)
		}
	}
	return lines
}

// TestGnutlsManualLint checks the form of the page.
func TestGnutlsManualLint(t *testing.T) {
	mandoc := realserver.Tool(t, "mandoc")
	out, _ := exec.Command(mandoc, "-Tlint", "-W", "style", gnutlsManual).CombinedOutput()
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, gnutlsManual+":") && !strings.Contains(line, "referenced manual not found") {
			t.Error(line)
		}
	}
}
