// Package quote makes text from the network safe to show to a person: no
// control character, terminal escape, bidirectional override or invalid UTF-8
// reaches a terminal or a log as it came.
package quote

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxQuote is how much of what a server said is quoted in a message, in bytes
// of the text before it is escaped.
const MaxQuote = 200

// Escape returns s with everything that is not printable written as a Go
// escape (\r, \x1b, \u202e). A backslash is doubled, so that an escape in the
// result was never one in s.
func Escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x`)
			b.WriteByte("0123456789abcdef"[s[i]>>4])
			b.WriteByte("0123456789abcdef"[s[i]&15])
		case strconv.IsPrint(r):
			b.WriteString(s[i : i+n])
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
		i += n
	}
	return b.String()
}

// Short returns s in double quotes, escaped and cut at MaxQuote bytes, without
// the line end that it may have.
func Short(s string) string {
	s = strings.TrimRight(s, "\r\n")
	cut := ""
	if len(s) > MaxQuote {
		end := MaxQuote
		for end > MaxQuote-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s, cut = s[:end], "..."
	}
	return `"` + Escape(s) + cut + `"`
}
