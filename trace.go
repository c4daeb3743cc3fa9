package main

import (
	"errors"
	"runtime"
	"time"

	"github.com/urfave/cli/v2"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/internal/trace"
)

// startTrace begins the trace of a run with a target, if one is wanted. Its errors are usageErrors.
func (p *program) startTrace(c *cli.Context, target connect.Target) (err error) {
	if !c.IsSet("trace") {
		return nil
	}
	if p.tracing, err = trace.Create(c.String("trace")); err != nil {
		return usagef("option --trace: %w", err)
	}
	p.tracing.Note("tlsup %s, %s, %s/%s, %s", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH, time.Now().UTC().Format(time.RFC3339))
	p.tracing.Note("target %s, protocol %s", quote.Escape(target.Address()), target.Protocol.Name)
	if c.IsSet("proxy") {
		p.tracing.Note("through a proxy")
	}
	return nil
}

// endTrace ends the trace of a run that ended with err.
func (p *program) endTrace(err error) {
	if !errors.As(err, new(reportedError)) { // what has been told is in it
		p.tracing.Failure(err)
	}
	if failed := p.tracing.End(status(err)); failed != nil {
		p.message.line("warning: the trace is not whole: %v", failed)
	}
}
