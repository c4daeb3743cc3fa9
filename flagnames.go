package main

import "github.com/urfave/cli/v2"

// A namedFlag is an option that knows its names: urfave/cli cleans them by an expression each time it is
// asked, and asks for those of all options for each of them.
type namedFlag struct {
	cli.DocGenerationFlag
	names []string
}

// Names are the option's names, without dashes.
func (f namedFlag) Names() []string { return f.names }

// named gives options their names once.
func named(flags []cli.Flag) []cli.Flag {
	for i, f := range flags {
		switch f := f.(type) {
		case *cli.StringFlag:
			flags[i] = namedFlag{f, append([]string{f.Name}, f.Aliases...)}
		case *cli.BoolFlag:
			flags[i] = namedFlag{f, append([]string{f.Name}, f.Aliases...)}
		case *cli.IntFlag:
			flags[i] = namedFlag{f, append([]string{f.Name}, f.Aliases...)}
		case *cli.GenericFlag:
			flags[i] = namedFlag{f, append([]string{f.Name}, f.Aliases...)}
		}
	}
	return flags
}
