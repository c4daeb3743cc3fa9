package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/internal/report"
	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// checkFlags are the options of check.
func checkFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "targets", Usage: "check the targets in `FILE` too, one a line; - is standard input"},
		&cli.IntFlag{Name: "jobs", Value: 8, Usage: "check `NUMBER` of targets at a time"},
		&cli.BoolFlag{Name: "json", Usage: "print the report as JSON, one object a line"},
		&cli.BoolFlag{Name: "print-cert", Usage: "print the certificates that the server sends, in PEM, in place of the report"},
		&cli.StringFlag{Name: "expires-in", Usage: "fail, with status 6, when a certificate of the chain ends within `TIME`: 14d, 36h, 2w"},
		&cli.BoolFlag{Name: "timeline", Usage: "draw what client and server said, with the time"},
		&cli.BoolFlag{Name: "scan", Usage: "try versions, cipher suites and groups one at a time, a connection each"},
		&cli.StringFlag{Name: "port", Aliases: []string{"p"}, Usage: "`PORT` to connect to, a number or a service's name"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v", "V"}, Usage: "print the cleartext exchange to standard error; one target at a time"},
		traceFlag(),
	}
	for _, f := range named(slices.Concat(upgradeFlags(), wayFlags(), trustFlags())) {
		if name := f.Names()[0]; name != "raw" && name != "idle-timeout" { // of a session
			flags = append(flags, f)
		}
	}
	return flags
}

// A checkPlan is what the command line asks check to do.
type checkPlan struct {
	names   []string // as they were given
	targets []connect.Target
	options []report.Options // of each target
	jobs    int
	json    bool
	pem     bool
	each    bool // a report for each target in place of the table
}

// check upgrades, shakes hands and reports. Its reports are the output; what prevents one is an error.
func (p *program) check(c *cli.Context) error {
	if err := checkConflicts(c); err != nil {
		return err
	}
	pl, err := p.checkPlan(c)
	if err != nil {
		return err
	}
	if c.IsSet("trace") && len(pl.targets) > 1 {
		return usagef("option --trace is for one target, there are %d", len(pl.targets))
	}
	if err := p.startTrace(c, pl.targets[0]); err != nil {
		return err
	}
	p.tracing.Watch(&pl.options[0].Connect)
	out, err := p.checkOutput(pl)
	if err != nil {
		return err
	}
	defer out.end()
	ctx, stop := context.WithCancel(c.Context)
	defer stop()
	worst := connect.StatusOK
	for _, result := range checkAll(ctx, pl) {
		var o outcome
		select {
		case o = <-result:
		case <-ctx.Done():
			o.err = context.Cause(ctx)
		}
		if o.err == nil {
			o.err = out.show(o.report)
		}
		if o.err != nil {
			return o.err
		}
		p.tracing.Failure(o.report.Err())
		worst = max(worst, o.report.Status)
	}
	if worst != connect.StatusOK {
		return reportedError(worst)
	}
	return nil
}

// checkPlan reads the options and operands. It opens no connection. Its errors are usageErrors.
func (p *program) checkPlan(c *cli.Context) (*checkPlan, error) {
	pl := &checkPlan{jobs: c.Int("jobs"), json: c.Bool("json"), pem: c.Bool("print-cert") && !c.Bool("json")}
	if pl.jobs < 1 {
		return nil, usagef("option --jobs: %d is less than one", pl.jobs)
	}
	if c.Bool("verbose") {
		pl.jobs = 1 // or the exchanges would be mixed
	}
	for _, name := range []string{"timeline", "scan"} {
		if pl.pem && c.Bool(name) {
			return nil, usagef("options --print-cert and --%s exclude each other without --json", name)
		}
	}
	protocol, err := starttlsProto(c)
	if err != nil {
		return nil, err
	}
	add := func(name string) error {
		if strings.Trim(name, "0123456789") == "" && name != "" {
			return fmt.Errorf("%s is no target: a port belongs to its target, as in HOST:%s", name, name)
		}
		target, err := connect.ParseTarget(name, c.String("port"), protocol)
		target.Verb = c.Command.Name
		pl.names, pl.targets = append(pl.names, name), append(pl.targets, target)
		return err
	}
	for _, name := range c.Args().Slice() {
		if err := add(name); err != nil {
			return nil, usageError{err}
		}
	}
	if c.IsSet("targets") {
		if err := p.readTargets(c.String("targets"), add); err != nil {
			return nil, usagef("option --targets: %w", err)
		}
	}
	if len(pl.targets) == 0 {
		return nil, usagef("no target: tlsup check [options] TARGET...")
	}
	pl.each = len(pl.targets) == 1 || c.Bool("timeline") || c.Bool("scan")
	return pl, p.checkOptions(c, pl)
}

// readTargets reads targets from a file, one a line, with comments behind #.
func (p *program) readTargets(file string, add func(string) error) error {
	from := io.Reader(p.stdin)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		from = f
	}
	lines := bufio.NewScanner(from)
	n := 1
	for ; lines.Scan(); n++ {
		words := strings.Fields(strings.TrimPrefix(lines.Text(), "\ufeff")) // some editors begin a file with that
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) > 1 && !strings.HasPrefix(words[1], "#") {
			return fmt.Errorf("%s, line %d: %s is one word too many", quote.Escape(file), n, quote.Short(words[1]))
		}
		if err := add(words[0]); err != nil {
			return fmt.Errorf("%s, line %d: %w", quote.Escape(file), n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s, line %d: it has over %d bytes", quote.Escape(file), n, bufio.MaxScanTokenSize)
	case err != nil:
		return fmt.Errorf("%s: %w", quote.Escape(file), err)
	}
	return nil
}

// checkOptions reads the options for each target.
func (p *program) checkOptions(c *cli.Context, pl *checkPlan) error {
	common := report.Options{
		Timeline: c.Bool("timeline"), Scan: c.Bool("scan"), PEM: c.Bool("print-cert"),
		ExpiresText: c.String("expires-in"),
	}
	var err error
	if common.Timeout, err = seconds(c, "timeout"); err != nil {
		return err
	}
	if common.Timeout <= 0 {
		return usagef("option --timeout: has to be more than nothing")
	}
	if c.IsSet("expires-in") {
		if common.ExpiresIn, err = parseExpiry(common.ExpiresText); err != nil {
			return usagef("option --expires-in: %w", err)
		}
	}
	for _, target := range pl.targets {
		o := common
		if o.Connect, err = connection(c, target, pl.sentNames(c, target.Protocol)); err != nil {
			return err
		}
		o.Connect.Notice = func(text string) { p.message.line("%s: warning: %s", target.Address(), text) }
		if c.Bool("verbose") {
			o.Connect.Trace = p.message.exchange
			o.Connect.Recognised = func(q *negotiate.Protocol, why string) { p.message.line("taken for %s: %s", q.Name, why) }
			o.Connect.Dialing = func(address string) { p.message.line("connecting to %s", quote.Escape(address)) }
			o.Connect.TLSA = func(d *trust.DANE) { p.message.line("%s", d) }
		}
		if stderr, ok := p.message.w.(*os.File); ok && isTerminal(stderr) && len(pl.targets) == 1 {
			o.Connect.Waiting = func(hint string) { p.message.line("%s: no greeting yet; %s", target.Address(), hint) }
		}
		pl.options = append(pl.options, o)
	}
	settings, err := p.trust(c, nil)
	if err != nil {
		return usageError{err}
	}
	for i, target := range pl.targets {
		if err := useTrust(&pl.options[i].Connect, settings, target); err != nil {
			return err
		}
	}
	return nil
}

// sentNames are what the upgrade sends to one target of several: a name that its protocol has no use for
// is for others, where there are some.
func (pl *checkPlan) sentNames(c *cli.Context, p *negotiate.Protocol) connect.Options {
	o := sentNames(c)
	sends := func(t connect.Target) bool { return t.Protocol.Names != negotiate.NoName }
	if p.Names == negotiate.NoName && slices.ContainsFunc(pl.targets, sends) {
		o.Name = ""
	}
	if !p.From && slices.ContainsFunc(pl.targets, func(t connect.Target) bool { return t.Protocol.From }) {
		o.From = ""
	}
	return o
}

// parseExpiry reads a length of time: a number with one of the units h, d and w.
func parseExpiry(text string) (time.Duration, error) {
	units := map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if text != "" {
		unit, known := units[text[len(text)-1]]
		n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
		const most = 100 * 365 * 24 * time.Hour
		if known && err == nil && n > 0 && time.Duration(n) <= most/unit {
			return time.Duration(n) * unit, nil
		}
	}
	return 0, fmt.Errorf("%s is no time like 14d (days), 36h (hours) or 2w (weeks)", quote.Short(text))
}

// An outcome is a report, or why there is none.
type outcome struct {
	report *report.Report
	err    error
}

// checkAll checks the targets, some at a time. Each has a channel for its outcome.
func checkAll(ctx context.Context, pl *checkPlan) []chan outcome {
	outcomes := make([]chan outcome, len(pl.targets))
	next := make(chan int, len(pl.targets))
	for i := range outcomes {
		outcomes[i] = make(chan outcome, 1)
		next <- i
	}
	close(next)
	for range min(pl.jobs, len(pl.targets)) {
		go func() {
			for i := range next {
				if ctx.Err() != nil {
					return
				}
				r, err := report.Check(ctx, pl.names[i], pl.targets[i], pl.options[i])
				outcomes[i] <- outcome{r, err}
			}
		}()
	}
	return outcomes
}

// checkOutput is where the results of check go.
type checkOutput struct {
	*program
	plan  *checkPlan
	style report.Style
	table *report.Table
	bar   *progressbar.ProgressBar // nil: none
	shown int
}

// longList is how many targets a list has that progress is shown for.
const longList = 8

func (p *program) checkOutput(pl *checkPlan) (*checkOutput, error) {
	o := &checkOutput{program: p, plan: pl, style: styleOf(p.stdout)}
	if stderr, ok := p.message.w.(*os.File); ok && len(pl.targets) >= longList && isTerminal(stderr) {
		o.bar = progressbar.NewOptions(len(pl.targets),
			progressbar.OptionSetWriter(stderr),
			progressbar.OptionSetDescription("checking"),
			progressbar.OptionShowCount(),
			progressbar.OptionClearOnFinish(),
		)
		o.bar.RenderBlank()
	}
	if pl.each || pl.json || pl.pem {
		return o, nil
	}
	var names []string
	for _, name := range pl.names {
		names = append(names, quote.Escape(name))
	}
	o.clear()
	var err error
	o.table, err = report.NewTable(text{p.stdout}, o.style, names)
	return o, err
}

// clear takes the bar off the terminal, for something else to be written there.
func (o *checkOutput) clear() {
	if o.bar != nil {
		o.bar.Clear()
	}
}

func (o *checkOutput) end() {
	if o.bar != nil {
		o.bar.Clear()
	}
}

// show writes one result. Standard error has what standard output does not tell.
func (o *checkOutput) show(r *report.Report) error {
	o.clear()
	w := text{o.stdout}
	var err error
	switch {
	case o.plan.json:
		err = r.WriteJSON(w)
	case o.plan.pem:
		if _, err = w.Write(r.PEM()); err == nil {
			o.tell(r)
		}
	case o.plan.each:
		err = o.report(w, r)
	default:
		err = o.table.Row(r)
	}
	o.shown++
	if o.bar != nil {
		o.bar.Set(o.shown)
	}
	return err
}

// report writes a report for a person, and the error that is not in it.
func (o *checkOutput) report(w io.Writer, r *report.Report) error {
	if o.shown > 0 {
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	if r.Address != nil || r.Timeline != nil || len(o.plan.targets) > 1 {
		if err := r.Text(w, o.style); err != nil {
			return err
		}
	}
	if r.Error != nil && (r.Error.Step != string(connect.Verify) || r.Verification == nil) {
		o.tell(r)
	}
	return nil
}

// tell says on standard error what is wrong.
func (o *checkOutput) tell(r *report.Report) {
	switch err := r.Err(); {
	case err != nil && errors.As(optionError(err), new(usageError)):
		o.message.failure(optionError(err))
	case err != nil:
		o.message.failure(err)
	case r.Warning() != "":
		o.message.line("%s: warning: %s", r.Server, r.Warning())
	}
}

// mostColumns is how wide a report may be: longer lines are hard to read.
const mostColumns = 120

// styleOf is how reports look on standard output: with colours on a terminal, unless NO_COLOR
// (no-color.org) or TERM say otherwise.
func styleOf(stdout *os.File) report.Style {
	if !isTerminal(stdout) {
		return report.Style{}
	}
	width, _, err := term.GetSize(int(stdout.Fd()))
	if err != nil || width < 1 {
		width = 80
	}
	dumb := os.Getenv("TERM") == "dumb"
	return report.Style{Width: min(width, mostColumns), Colour: os.Getenv("NO_COLOR") == "" && !dumb && understandsColours(stdout)}
}
