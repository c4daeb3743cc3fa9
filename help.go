package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"
)

// asksForHelp reports whether --help is among the sorted arguments. It wins over all else
// that is asked for: urfave/cli would take an operand for the name of a topic.
func asksForHelp(sorted []string) bool {
	options := sorted[:slices.Index(sorted, "--")]
	return slices.Contains(options, "--help") || slices.Contains(options, "-h")
}

// help prints how the program is used, or one of its subcommands.
func help(w io.Writer, app *cli.App, name string) error {
	var b strings.Builder
	if sub := app.Command(name); sub != nil {
		fmt.Fprintf(&b, "%s %s: %s\n\nUsage:\n  %s %s [options] %s\n\nOptions:\n", app.Name, sub.Name, sub.Usage, app.Name, sub.Name, sub.ArgsUsage)
		writeOptions(&b, sub.Flags)
	} else {
		fmt.Fprintf(&b, "%s: %s\n\nUsage:\n%s\nOptions:\n", app.Name, app.Usage, usageText)
		writeOptions(&b, app.Flags)
		fmt.Fprintf(&b, "\nExamples:\n%s", examplesText)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const usageText = `  tlsup [options] TARGET [PORT]
  tlsup [options] TARGET -- COMMAND [ARG...]
  tlsup tunnel [options] LISTEN TARGET [LISTEN TARGET]... [-- COMMAND [ARG...]]
  tlsup check [options] TARGET...
  tlsup explain [PROTOCOL]
  tlsup demo [PROTOCOL]

TARGET is SCHEME://HOST[:PORT], or HOST[:PORT] with --starttls-proto PROTO
(the same), --starttls (by hand), or neither (TLS from the first byte).
`

const examplesText = `  tlsup smtp://mail.example.org
  printf 'a LOGOUT\r\n' | tlsup -v imap://mail.example.org
  tlsup --starttls --crlf mail.example.org 25
  tlsup tunnel 1143 imap://mail.example.org
  tlsup check --expires-in 14d smtp://mail.example.org imaps://mail.example.org
  tlsup demo
`

// Columns of the list of options.
const (
	helpIndent = 28
	helpWidth  = 79
)

// writeOptions lists options, each with its text beside it or, if its names are long,
// below.
func writeOptions(b *strings.Builder, flags []cli.Flag) {
	for _, f := range append(slices.Clone(flags), cli.HelpFlag) {
		names, text := describeOption(f.(cli.DocGenerationFlag))
		fmt.Fprintf(b, "%-*s", helpIndent-1, names)
		if len(names) >= helpIndent-1 {
			fmt.Fprintf(b, "\n%*s", helpIndent-1, "")
		}
		writeWords(b, text, helpIndent-1)
		b.WriteString("\n")
	}
}

// writeWords writes text in lines that fit a terminal, the first of which begins where
// indent columns are taken already.
func writeWords(b *strings.Builder, text string, indent int) {
	column := indent
	for _, word := range strings.Fields(text) {
		if column+1+len(word) > helpWidth {
			fmt.Fprintf(b, "\n%*s", indent, "")
			column = indent
		}
		if column > 0 {
			word = " " + word
		}
		b.WriteString(word)
		column += len(word)
	}
}

// placeholder matches the word in an option's text that its value is called by.
var placeholder = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("`([^`]*)`") })

// describeOption returns an option as it is typed, and what it does.
func describeOption(f cli.DocGenerationFlag) (names, text string) {
	var short, long []string
	for _, name := range f.Names() {
		if len(name) == 1 {
			short = append(short, "-"+name)
		} else {
			long = append(long, "--"+name)
		}
	}
	names = "  " + strings.Join(append(short, long...), ", ")
	if len(short) == 0 {
		names = "      " + long[0]
	}
	text = placeholder().ReplaceAllString(f.GetUsage(), "$1")
	if !f.TakesValue() {
		return names, text
	}
	if m := placeholder().FindStringSubmatch(f.GetUsage()); m != nil {
		names += " " + m[1]
	}
	if d := f.GetDefaultText(); d != "" {
		text += " (default: " + d + ")"
	}
	return names, text
}
