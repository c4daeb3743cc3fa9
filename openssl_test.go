package main

import (
	"regexp"
	"runtime"
	"strings"
	"testing"

	"tlsup/internal/realserver"
)

// A habit is a row of the README's table: a command of openssl, and what it is here.
type habit struct{ theirs, ours string }

var habitRow = regexp.MustCompile("(?m)^\\| `(openssl [^`]*)` \\| `(tlsup [^`]*)` \\|$")

func habits(t *testing.T) []habit {
	t.Helper()
	var all []habit
	for _, m := range habitRow.FindAllStringSubmatch(readDoc(t, readmeFile), -1) {
		all = append(all, habit{m[1], m[2]})
	}
	if len(all) == 0 {
		t.Fatalf("%s has no table of habits", readmeFile)
	}
	return all
}

// TestHabits runs both sides of each row, against the same servers.
func TestHabits(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the README's examples are for a Unix shell")
	}
	e := newExamples(t)
	for _, h := range habits(t) {
		t.Run(h.ours, func(t *testing.T) {
			e.run(t, block{text: h.ours + " </dev/null"})
		})
		t.Run(h.theirs, func(t *testing.T) {
			realserver.Tool(t, "openssl")
			e.run(t, block{text: h.theirs + " </dev/null"})
		})
	}
}

// TestManualHabits holds the manual against the README. With -update it is rewritten.
func TestManualHabits(t *testing.T) {
	escape := strings.NewReplacer("-", `\-`, "''", `\(aq\(aq`)
	var lines []string
	for _, h := range habits(t) {
		lines = append(lines, ".It "+escape.Replace(h.theirs))
		line := ""
		for _, word := range strings.Fields(escape.Replace(h.ours)) {
			if len(line)+len(word) >= 79 {
				lines, line = append(lines, line), ""
			}
			line = strings.TrimSpace(line + " " + word)
		}
		lines = append(lines, line)
	}
	compareLines(t, manualFile, `.\" s_client: begin`, `.\" s_client: end`, lines)
}
