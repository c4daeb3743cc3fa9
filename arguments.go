package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"tlsup/internal/quote"
	"tlsup/internal/suggest"
)

// sortArguments puts the options in front of the operands, as urfave/cli wants them, and
// splits off COMMAND ARGS. Options may stand before or after the target, be attached
// (-p25, --port=25) or clustered (-sv). A -- in front of the first operand ends the options; behind
// it, it begins COMMAND, also of a subcommand that runs one.
func sortArguments(app *cli.App, args []string) (sorted, command []string, err error) {
	flags := app.Flags
	var name []string // of the subcommand
	var options, operands []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--" && len(operands) == 0 && (name == nil || runsCommand(name[0])):
			rest := args[i+1:]
			if at := slices.Index(rest, "--"); at >= 0 {
				rest, command = rest[:at], append([]string{}, rest[at+1:]...)
			}
			operands = rest
			i = len(args)
		case arg == "--":
			command = append([]string{}, args[i+1:]...)
			i = len(args)
		case len(arg) < 2 || arg[0] != '-':
			if sub := app.Command(arg); sub != nil && len(operands) == 0 && name == nil {
				if at := slices.IndexFunc(options, func(o string) bool { return findFlag(sub.Flags, optionName(o)) == nil }); at >= 0 {
					return nil, nil, usagef("option %s can't be used with %s", options[at], arg)
				}
				name, flags = []string{arg}, sub.Flags
				continue
			}
			operands = append(operands, arg)
		case strings.HasPrefix(arg, "--"):
			option, used, err := longOption(flags, args[i:])
			switch other := optionName(arg); {
			case err != nil && name != nil && findFlag(flags, other) == nil && len(other) > 1 && findFlag(app.Flags, other) != nil:
				return nil, nil, usagef("option --%s can't be used with %s", other, name[0])
			case err != nil:
				return nil, nil, err
			}
			options = append(options, option)
			i += used - 1
		default:
			cluster, used, err := shortOptions(flags, args[i:])
			if err != nil {
				return nil, nil, err
			}
			options = append(options, cluster...)
			i += used - 1
		}
	}
	if command != nil && len(command) == 0 {
		return nil, nil, usagef("no command behind --")
	}
	if command != nil && name != nil && !runsCommand(name[0]) {
		return nil, nil, usagef("%s runs no command behind --", name[0])
	}
	sorted = append(append(append(name, options...), "--"), operands...)
	return sorted, command, nil
}

// runSorted reads sorted arguments and calls the action that they ask for. It does what app.RunContext would: that
// prints help by text/template, with which the linker keeps every method of the program, a tenth of its size.
func runSorted(ctx context.Context, app *cli.App, sorted []string) error {
	command := &cli.Command{Name: app.Name, Flags: app.Flags, Action: app.Action}
	end := slices.Index(sorted, "--")
	options, operands := sorted[:end], sorted[end:]
	if len(options) > 0 && !strings.HasPrefix(options[0], "-") {
		command, options = app.Command(options[0]), options[1:]
	}
	set := flag.NewFlagSet(command.Name, flag.ContinueOnError)
	names := make([]string, len(options)) // as they stand first in the list of options
	for i, option := range options {
		names[i] = findFlag(command.Flags, optionName(option)).Names()[0]
	}
	for _, f := range command.Flags {
		// What was not given and has no value reads as nothing, in the set or not; each there takes a microsecond.
		if f.(cli.DocGenerationFlag).GetValue() == "" && !slices.Contains(names, f.Names()[0]) {
			continue
		}
		if err := f.Apply(set); err != nil {
			return err
		}
	}
	for i, name := range names {
		_, value, given := strings.Cut(options[i], "=")
		if !given {
			value = "true"
		}
		if err := set.Set(name, value); err != nil {
			return usagef("option --%s can't be %s: %w", name, quote.Short(value), err)
		}
	}
	if err := set.Parse(operands); err != nil {
		return usageError{err}
	}
	c := cli.NewContext(app, set, nil)
	c.Context, c.Command = ctx, command
	return command.Action(c)
}

// runsCommand reports whether a subcommand takes a COMMAND behind --.
func runsCommand(subcommand string) bool { return subcommand == "tunnel" }

// longOption reads --name, --name=value or --name value from the front of args, and returns
// it as one argument with the number of arguments that it took.
func longOption(flags []cli.Flag, args []string) (option string, used int, err error) {
	name, value, attached := strings.Cut(args[0][2:], "=")
	flag := findFlag(flags, name)
	switch {
	case flag == nil || len(name) == 1:
		return "", 0, unknownOption(flags, "--"+name)
	case !takesValue(flag) && attached:
		return "", 0, usagef("option --%s takes no value, %s can't be used", name, quote.Short(value))
	case !takesValue(flag), attached:
		return args[0], 1, nil
	case len(args) < 2 || args[1] == "--":
		return "", 0, usagef("option --%s needs a value", name)
	}
	return "--" + name + "=" + args[1], 2, nil
}

// shortOptions reads a cluster (-sv), of which the last option may have its value attached
// or in the next argument.
func shortOptions(flags []cli.Flag, args []string) (options []string, used int, err error) {
	cluster := args[0][1:]
	for i, r := range cluster {
		flag := findFlag(flags, string(r))
		if flag == nil {
			return nil, 0, unknownShort(flags, cluster, r)
		}
		rest := cluster[i+1:] // options are ASCII
		if !takesValue(flag) {
			if value, attached := strings.CutPrefix(rest, "="); attached {
				return nil, 0, usagef("option -%c takes no value, %s can't be used", r, quote.Short(value))
			}
			options = append(options, "-"+string(r))
			continue
		}
		if rest != "" {
			return append(options, fmt.Sprintf("-%c=%s", r, strings.TrimPrefix(rest, "="))), 1, nil
		}
		if len(args) < 2 || args[1] == "--" {
			return nil, 0, usagef("option -%c needs a value", r)
		}
		return append(options, fmt.Sprintf("-%c=%s", r, args[1])), 2, nil
	}
	return options, 1, nil
}

// unknownShort names the option in the cluster that is not known, unless the whole is a long
// option with one dash.
func unknownShort(flags []cli.Flag, cluster string, r rune) error {
	name, _, _ := strings.Cut(cluster, "=")
	if utf8.RuneCountInString(cluster) == 1 || likeOption(flags, name) != "" {
		return unknownOption(flags, "-"+name)
	}
	return usagef("unknown option -%s in -%s", quote.Escape(string(r)), quote.Escape(cluster))
}

func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range append(slices.Clone(flags), cli.HelpFlag) {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

// optionName is the name of an option that was read, without dashes and value.
func optionName(option string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(option, "-"), "=")
	return name
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

// impossible are options that people look for, and why there are none.
func impossible() map[string]string {
	return map[string]string{
		"sigalgs": "Go's crypto/tls always offers the same signature algorithms; tlsup check shows which one the server used, and --legacy adds SHA-1",
	}
}

// unknownOption names the option, and why it can't be or which one was probably meant.
func unknownOption(flags []cli.Flag, option string) error {
	if why, ok := impossible()[strings.TrimLeft(option, "-")]; ok {
		return usagef("option %s can't be done: %s", option, why)
	}
	err := fmt.Errorf("unknown option %s", quote.Escape(option))
	if like := likeOption(flags, option); like != "" {
		err = fmt.Errorf("%w, did you mean %s?", err, like)
	}
	return usageError{err}
}

// likeOption finds the option that was meant by one that is not known: with another number
// of dashes, or spelled alike.
func likeOption(flags []cli.Flag, option string) string {
	name := strings.TrimLeft(option, "-")
	if len(name) == 1 && findFlag(flags, name) != nil {
		return "-" + name
	}
	var names []string
	for _, f := range append(slices.Clone(flags), cli.HelpFlag) {
		names = append(names, f.Names()...)
	}
	if like := suggest.Closest(name, names); like != "" {
		return "--" + like
	}
	return ""
}
