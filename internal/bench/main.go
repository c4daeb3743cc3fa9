// Command bench measures tlsup side by side with the programs that people use in its
// place, on this machine, in one run:
//
//	go run ./internal/bench [--quick] [--json] [--rounds N] [--size MIB] [--sessions N] [--idle N] [--works REGEXP] [--no-growth] [--plot FILE] [--tlsup FILE]
//
// The clients take turns, each with the same server, which is a process of its own. Only
// ratios of one run mean something: those of two runs, or machines, do not compare. The
// exit status is 1 if a client did not do its work, whatever the figures.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() {
	asProcess(os.Args)
	quick := flag.Bool("quick", false, "small sizes and few rounds, in two minutes or so")
	asJSON := flag.Bool("json", false, "print JSON, with every sample")
	rounds := flag.Int("rounds", 7, "how often each client does each work")
	size := flag.Int64("size", 512, "MiB in a transfer")
	sessions := flag.Int("sessions", 20, "sessions in a round")
	most := flag.Int("idle", 5000, "idle connections at most; those of a tunnel take two open files each")
	only := flag.String("works", "", "measure only works whose names match this expression")
	noGrowth := flag.Bool("no-growth", false, "leave out how cost grows with connections, records and writes")
	plot := flag.String("plot", "", "draw that growth into this file, as SVG")
	program := flag.String("tlsup", "", "measure this tlsup, in place of one built here")
	flag.Parse()
	if *quick {
		given := make(map[string]bool)
		flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
		for name, value := range map[string]string{"rounds": "3", "size": "64", "sessions": "10", "idle": "1000"} {
			if !given[name] {
				flag.Set(name, value)
			}
		}
	}
	match, err := regexp.Compile(*only)
	if err != nil || flag.NArg() > 0 || *rounds < 1 || *size < 1 || *sessions < 1 {
		fmt.Fprintln(os.Stderr, "bench: rounds, size and sessions are at least 1, works is a regular expression")
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	b := &bench{Rounds: *rounds, Size: *size << 20, Sessions: *sessions, Idle: *most, rest: 3 * time.Second}
	err = b.run(ctx, match, *program, !*noGrowth)
	stop()
	if err == nil && b.Growth != nil && *plot != "" {
		err = b.Growth.plotFile(*plot)
	}
	switch {
	case err != nil:
	case *asJSON:
		err = json.NewEncoder(os.Stdout).Encode(b)
	default:
		err = b.print(os.Stdout)
	}
	exit(errors.Join(err, b.failures()))
}

// asProcess makes this program one of a run's other processes, if the arguments say so.
func asProcess(args []string) {
	switch {
	case len(args) == 4 && args[1] == serverArg:
		size, err := strconv.ParseInt(args[3], 10, 64)
		if err == nil {
			err = serve(os.Stdin, os.Stdout, args[2], size)
		}
		exit(err)
	case len(args) > 2 && args[1] == runArg:
		exit(json.NewEncoder(os.Stderr).Encode(start(args[2:])))
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+strings.ReplaceAll(err.Error(), "\n", "\nbench: "))
		os.Exit(1)
	}
	os.Exit(0)
}
