package negotiate

import (
	"regexp"
	"sync"
)

// An expression is a regular expression that is compiled when it is first needed: a program that speaks
// one protocol does not pay for all of them at its start.
type expression struct {
	text     string
	once     sync.Once
	compiled *regexp.Regexp
}

// lazy returns an expression, which the compiler lays out.
func lazy(text string) *expression { return &expression{text: text} }

// get returns the compiled expression.
func (e *expression) get() *regexp.Regexp {
	e.once.Do(func() { e.compiled = regexp.MustCompile(e.text) })
	return e.compiled
}

// Match reports whether b contains a match.
func (e *expression) Match(b []byte) bool { return e.get().Match(b) }
