package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// inside runs the program inside the test, without signals.
func inside(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var messages bytes.Buffer
	p := &program{stdin: in, stdout: out, message: message{&messages}}
	err = p.main(context.Background(), args)
	p.message.failure(err)
	said, readErr := os.ReadFile(out.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(said), messages.String(), status(err)
}

// quietly is inside for what has to succeed without a message.
func quietly(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	stdout, stderr, code := inside(t, args...)
	if code != 0 || stderr != "" {
		t.Fatalf("tlsup %q: status %d, stderr %q", args, code, stderr)
	}
	return stdout
}

// begins matches a note that says what a server sends behind the handshake by itself.
var begins = regexp.MustCompile(`greets|by itself|[Bb]oth sides|is silent|says nothing|[Tt]he client (begins|goes on|sends|speaks first)|[Bb]oth (sides )?(begin|negotiate)|reach(es)? the user|is not part of the session|waits for|open a new stream|answers`)

func TestExplain(t *testing.T) {
	for _, p := range negotiate.All() {
		t.Run(p.Name, func(t *testing.T) {
			text := quietly(t, "explain", p.Name)
			wants := slices.Concat([]string{p.Name + ": " + p.Title + "\n"}, p.Specs, p.ALPN)
			clear := p.Upgrade != nil || p == negotiate.Auto()
			if clear {
				wants = append(wants, "\n  <TLS>\n")
			}
			if clear && !exchanged.MatchString(text) {
				t.Error("no exchange")
			}
			if words := strings.Join(strings.Fields(text), " "); !strings.Contains(words, p.Note) {
				t.Errorf("does not contain the note %q", p.Note)
			}
			if !begins.MatchString(p.Note) {
				t.Errorf("does not say who begins inside TLS, and what becomes of it: %q", p.Note)
			}
			for _, r := range p.Remarks {
				wants = append(wants, "\n       # "+r.Text+"\n")
			}
			for _, want := range wants {
				if !strings.Contains(text, want) {
					t.Errorf("does not contain %q", want)
				}
			}
			if !clear && strings.Contains(text, "\n  C: ") {
				t.Error("cleartext where TLS comes first")
			}
			if t.Failed() {
				t.Log("\n" + text)
			}
		})
	}
}

// exchanged matches a line of an exchange. A protocol may leave all of it to one side.
var exchanged = regexp.MustCompile(`(?m)^  [CS]: \S`)

// answered matches an answer; a protocol may have empty lines too.
var answered = regexp.MustCompile(`(?m)^  S: \S`)

func TestDemo(t *testing.T) {
	for _, p := range negotiate.All() {
		t.Run(p.Name, func(t *testing.T) {
			text := quietly(t, "demo", p.Name)
			clear, inside, ok := strings.Cut(text, "\nInside TLS:\n")
			version := "TLS 1.3"
			if p.MaxVersion != 0 {
				version = tls.VersionName(p.MaxVersion)
			}
			if !ok || !strings.Contains(clear, "\nThe handshake:\n  "+version+", ") {
				t.Error("no session")
			}
			if p.Upgrade != nil && !exchanged.MatchString(clear) {
				t.Error("no exchange in the clear")
			}
			if p.Inside != nil {
				lines, err := rehearse(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				at := slices.IndexFunc(lines, func(l negotiate.Line) bool { return l.TLS })
				if n := strings.Count(clear, "\n  C:") + strings.Count(clear, "\n  S:"); n != at {
					t.Errorf("%d lines in the clear, want %d", n, at)
				}
			}
			if !strings.Contains(inside, "  C: ") || !strings.Contains(inside, "  S: ") {
				t.Error("no exchange inside TLS")
			}
			if !answered.MatchString(inside) {
				t.Error("no answer with a text")
			}
			if t.Failed() {
				t.Log("\n" + text)
			}
		})
	}
	if got, name := quietly(t, "demo"), negotiate.Default().Name; !strings.Contains(got, " "+name+" server ") && !strings.Contains(got, " server for "+name+" ") {
		t.Errorf("the default is not %s:\n%s", name, got)
	}
}

func TestList(t *testing.T) {
	text := quietly(t, "--list")
	if text != quietly(t, "explain") || text != quietly(t, "-l") {
		t.Error("explain without an argument is another table")
	}
	rows := strings.Split(text, "\n")
	for _, p := range negotiate.All() {
		if !slices.ContainsFunc(rows, func(row string) bool {
			return strings.HasPrefix(row, strings.Join(append([]string{p.Name}, p.Aliases...), ", ")+"  ") && strings.HasSuffix(row, "  "+p.Title)
		}) {
			t.Errorf("no row for %s", p.Name)
		}
	}
}

func TestHelp(t *testing.T) {
	text := quietly(t, "--help")
	if text != quietly(t, "-h") || text != quietly(t, "localhost", "--help") {
		t.Error("more than one help")
	}
	for line := range strings.Lines(text) {
		if strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
			t.Errorf("a line that ends in a blank: %q", line)
		}
	}
	if !strings.HasPrefix(quietly(t, "--version"), "tlsup ") {
		t.Error("no version")
	}
	for _, name := range []string{"explain", "demo"} {
		if text := quietly(t, name, "--help"); !strings.Contains(text, "tlsup "+name+" ") {
			t.Errorf("help of %s:\n%s", name, text)
		}
	}
}
