package gnutls

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tlsup/internal/quote"
)

// A Line is a command line that was read.
type Line struct {
	Operands []string
	given    []given // in their order
}

type given struct {
	option *Option
	no     bool
	value  string
}

// A SyntaxError tells that the command line can't be read.
type SyntaxError struct{ text string }

func (e *SyntaxError) Error() string { return e.text }

// An UnsupportedError names an option that can't be used here.
type UnsupportedError struct{ Option, Why string }

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("option --%s is not supported%s", e.Option, e.Why)
}

// unsupported returns the error that belongs to an option's standing, or nil.
func (g given) unsupported() error {
	switch {
	case g.no: // what is not done is not done
		return nil
	case g.option.Standing == Never:
		return &UnsupportedError{g.option.Name, ": " + g.option.Here}
	case strings.HasPrefix(g.value, "pkcs11:") && strings.HasPrefix(g.option.Name, "x509"):
		return &UnsupportedError{g.option.Name, " with PKCS #11"}
	}
	return nil
}

// Parse reads a command line, without the program's name, as getopt_long does: options stand
// anywhere in front of --, long ones may be cut as long as they can be told apart, and have their
// value attached by = or behind them; short ones may be clustered, and have it attached. Errors are
// a *SyntaxError, or an *UnsupportedError for an option that can't be used here.
func Parse(args []string) (*Line, error) {
	l := new(Line)
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var err error
		switch {
		case arg == "--":
			l.Operands = append(l.Operands, args...)
			args = nil
		case strings.HasPrefix(arg, "--"):
			args, err = l.long(arg[2:], args)
		case len(arg) > 1 && arg[0] == '-':
			args, err = l.short(arg[1:], args)
		default:
			l.Operands = append(l.Operands, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return l, l.check()
}

// long reads a long option, whose value may be the first of the arguments behind it. It returns
// those that are left.
func (l *Line) long(text string, behind []string) ([]string, error) {
	name, value, attached := strings.Cut(text, "=")
	option, no, err := findLong(name)
	switch {
	case err != nil:
		return nil, err
	case no || option.Kind == Flag:
		if attached {
			return nil, syntaxf("option '--%s' doesn't allow an argument", quote.Escape(name))
		}
	case attached, option.Attached:
	case len(behind) == 0:
		return nil, syntaxf("option '--%s' requires an argument", option.Name)
	default:
		value, behind = behind[0], behind[1:]
	}
	l.add(option, no, value)
	return behind, nil
}

// findLong finds an option by its name, that of its negation, or the beginning of one.
func findLong(name string) (option *Option, no bool, err error) {
	var like []string
	for i := range Options {
		o := &Options[i]
		names := []string{o.Name}
		if o.No {
			names = append(names, "no-"+o.Name)
		}
		for at, candidate := range names {
			if candidate == name {
				return o, at == 1, nil
			}
			if strings.HasPrefix(candidate, name) {
				option, no = o, at == 1
				like = append(like, "'--"+candidate+"'")
			}
		}
	}
	switch len(like) {
	case 0:
		return nil, false, syntaxf("unrecognized option '--%s'", quote.Escape(name))
	case 1:
		return option, no, nil
	}
	return nil, false, syntaxf("option '--%s' is ambiguous; possibilities: %s", quote.Escape(name), strings.Join(like, " "))
}

// short reads a cluster of short options, like long.
func (l *Line) short(cluster string, behind []string) ([]string, error) {
	for i := 0; i < len(cluster); i++ {
		at := slices.IndexFunc(Options, func(o Option) bool { return o.Short == cluster[i] })
		if at < 0 || cluster[i] == 0 {
			_, n := utf8.DecodeRuneInString(cluster[i:])
			return nil, syntaxf("invalid option -- '%s'", quote.Escape(cluster[i:i+n]))
		}
		option := &Options[at]
		switch rest := cluster[i+1:]; {
		case option.Kind == Flag:
			l.add(option, false, "")
			continue
		case rest != "" || option.Attached:
			l.add(option, false, rest)
		case len(behind) == 0:
			return nil, syntaxf("option requires an argument -- '%c'", option.Short)
		default:
			l.add(option, false, behind[0])
			behind = behind[1:]
		}
		break
	}
	return behind, nil
}

func (l *Line) add(option *Option, no bool, value string) {
	if option.Alias != "" {
		option = find(option.Alias)
	}
	l.given = append(l.given, given{option, no, value})
}

// conflicts exclude each other.
var conflicts = [][2]string{{"starttls-proto", "starttls"}, {"list", "port"}, {"save-ocsp", "save-ocsp-multi"}}

// needs have to come with another.
var needs = [][2]string{{"x509certfile", "x509keyfile"}, {"starttls-name", "starttls-proto"}}

// check checks values and combinations, and refuses what can't be done. Help is given to whoever
// asks for it.
func (l *Line) check() error {
	if l.Has("help") || l.Has("more-help") || l.Has("version") {
		return nil
	}
	for _, g := range l.given {
		if err := g.check(); err != nil {
			return err
		}
	}
	for _, pair := range conflicts {
		if l.Has(pair[0]) && l.Has(pair[1]) {
			return syntaxf("the '%s' and '%s' options conflict", pair[0], pair[1])
		}
	}
	for _, g := range l.given {
		if err := g.unsupported(); err != nil {
			return err
		}
	}
	for _, pair := range needs {
		if l.Has(pair[0]) && !l.Has(pair[1]) {
			return syntaxf("%s option requires the %s options", pair[0], pair[1])
		}
	}
	return nil
}

// check checks a value.
func (g given) check() error {
	switch g.option.Kind {
	case Number:
		n, err := strconv.Atoi(g.value)
		switch {
		case err != nil && !errors.Is(err, strconv.ErrRange):
			return syntaxf("'%s' is not a recognizable number.", quote.Escape(g.value))
		case err != nil || n < 0 || g.option.Max > 0 && n > g.option.Max:
			return syntaxf("%s option value %s is out of range", g.option.Name, quote.Escape(g.value))
		}
	case File:
		if _, err := os.Stat(g.value); err != nil {
			return syntaxf("%s option: file %s does not exist", g.option.Name, quote.Short(g.value))
		}
	}
	return nil
}

func syntaxf(format string, args ...any) error { return &SyntaxError{fmt.Sprintf(format, args...)} }

// Has reports whether an option was given, and the last time not as --no-NAME.
func (l *Line) Has(name string) bool {
	g := l.last(name)
	return g != nil && !g.no
}

// No reports whether an option was given as --no-NAME the last time.
func (l *Line) No(name string) bool {
	g := l.last(name)
	return g != nil && g.no
}

// Value returns an option's value, of several the last; "" if it was not given.
func (l *Line) Value(name string) string {
	if g := l.last(name); g != nil {
		return g.value
	}
	return ""
}

// Values returns all values of an option that may be repeated.
func (l *Line) Values(name string) []string {
	var all []string
	for _, g := range l.given {
		if g.option.Name == name {
			all = append(all, g.value)
		}
	}
	return all
}

// Int returns the value of an option of kind Number, or what to take in its place.
func (l *Line) Int(name string, none int) int {
	if n, err := strconv.Atoi(l.Value(name)); err == nil {
		return n
	}
	return none
}

func (l *Line) last(name string) *given {
	for i := len(l.given) - 1; i >= 0; i-- {
		if l.given[i].option.Name == name {
			return &l.given[i]
		}
	}
	return nil
}
