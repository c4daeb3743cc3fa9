package negotiate

import (
	"regexp"
	"sync"
)

// lazy returns what compiles an expression when it is first needed: a program that speaks one
// protocol does not pay for all of them at its start.
func lazy(text string) expression {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// An expression is a regular expression that is compiled by then, or now.
type expression func() *regexp.Regexp

// Match reports whether b contains a match.
func (e expression) Match(b []byte) bool { return e().Match(b) }
