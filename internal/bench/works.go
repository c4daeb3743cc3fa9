package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A kind of work has figures of its own.
type kind int

const (
	transfer kind = iota // of b.Size bytes
	session              // the figures are those of one
	idle                 // of memory alone
	trip                 // wall is the median of one
)

// A work is what programs are measured at.
type work struct {
	Name  string
	About string
	kind  kind
	// Service is the server's.
	service string
	// do runs a client once and makes sure that it has worked.
	do func(b *bench, ctx context.Context, c client, argv []string) (sample, error)
	// pinned: on Linux all of it runs on one core.
	pinned bool
	// tunnel is for forwarders, in place of do.
	tunnel *tunnelWork
}

var works = []work{
	{Name: "upload", About: "a file to the server", service: "sink", do: func(b *bench, ctx context.Context, _ client, argv []string) (sample, error) {
		file, err := os.Open(b.file)
		if err != nil {
			return sample{}, err
		}
		defer file.Close()
		return b.upload(ctx, argv, file)
	}},
	{Name: "upload-pipe", About: "a pipe to the server", service: "sink", do: func(b *bench, ctx context.Context, _ client, argv []string) (sample, error) {
		return b.upload(ctx, argv, &source{size: b.Size})
	}},
	{Name: "download", About: "the server to " + os.DevNull, service: "source", do: func(b *bench, ctx context.Context, c client, argv []string) (sample, error) {
		return b.download(ctx, c, argv, nil)
	}},
	{Name: "download-pipe", About: "the server to a pipe", service: "source", do: func(b *bench, ctx context.Context, c client, argv []string) (sample, error) {
		var out sink
		w := bufio.NewWriterSize(&out, chunk) // which reads with the whole of its buffer
		s, err := b.download(ctx, c, argv, w)
		w.Flush()
		return s, cmp.Or(err, out.check(b.Size))
	}},
	{Name: "both", About: "half of it each way at once, between two pipes and the server", service: "both", do: (*bench).bothWays},
	{Name: "trip", About: "64 bytes to the server and back, all on one core", kind: trip, service: "echo", pinned: true, do: (*bench).pipeTrips},
	{Name: "session", About: "connect, TLS from the first byte, one line, end", kind: session, service: "tls", do: (*bench).sessions},
	{Name: "starttls", About: "connect, upgrade by SMTP STARTTLS, one line, end", kind: session, service: "starttls", do: (*bench).sessions},
}

// command returns the client's command for the work, or why there is none.
func (w work) command(c client) (command, why string) {
	switch {
	case (w.service == "source" || w.service == "both") && c.noDownload != "":
		return "", c.noDownload
	case w.service == "starttls" && c.STARTTLS == "":
		return "", "has no STARTTLS"
	case w.service == "starttls":
		return c.STARTTLS, ""
	}
	return c.TLS, ""
}

// upload sends in, and expects that the server answers with the number of bytes.
func (b *bench) upload(ctx context.Context, argv []string, in io.Reader) (sample, error) {
	var answer bytes.Buffer
	s, err := run(ctx, argv, in, &answer)
	if err != nil {
		return s, err
	}
	if want := fmt.Sprintf("%d\n", b.Size); answer.String() != want {
		return s, fmt.Errorf("the answer is %.100q, not %q", answer.String(), want)
	}
	err = b.transferred(&s)
	return s, err
}

// download writes what the server sends to out, or to the null device.
func (b *bench) download(ctx context.Context, c client, argv []string, out io.Writer) (sample, error) {
	var in io.Reader
	if c.keepsInput {
		r, w, err := os.Pipe()
		if err != nil {
			return sample{}, err
		}
		defer r.Close()
		defer w.Close()
		in = r
	}
	s, err := run(ctx, argv, in, out)
	if err != nil {
		return s, err
	}
	err = b.transferred(&s)
	return s, err
}

// bothWays sends half of the bytes and receives as many meanwhile.
func (b *bench) bothWays(ctx context.Context, c client, argv []string) (s sample, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return s, err
	}
	defer r.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		(&source{size: b.Size / 2}).WriteTo(w)
		if !c.keepsInput {
			w.Close()
		}
	}()
	var in sink
	out := bufio.NewWriterSize(&in, chunk)
	s, err = run(ctx, argv, r, out)
	r.Close()
	<-sent
	w.Close()
	if err != nil {
		return s, err
	}
	out.Flush()
	if err := in.check(b.Size / 2); err != nil {
		return s, err
	}
	err = b.transferred(&s)
	return s, err
}

// pipeTrips returns how long 64 bytes take to the server and back.
func (b *bench) pipeTrips(ctx context.Context, c client, argv []string) (s sample, err error) {
	in, toIt, err := os.Pipe()
	if err != nil {
		return s, err
	}
	defer toIt.Close()
	fromIt, out, err := os.Pipe()
	if err != nil {
		return s, err
	}
	defer fromIt.Close()
	ended := make(chan error, 1)
	go func() {
		var err error
		s, err = run(ctx, argv, in, out)
		in.Close()
		out.Close()
		ended <- err
	}()
	conn := struct {
		io.Reader
		io.Writer
	}{fromIt, toIt}
	n := 100 * b.Sessions
	_, err = trips(conn, n/10)
	var took sample
	if err == nil {
		took, err = trips(conn, n)
	}
	io.WriteString(toIt, enough)
	if !c.keepsInput {
		toIt.Close()
	}
	if err := cmp.Or(<-ended, err); err != nil {
		return s, err
	}
	r, err := b.server.next(answerWait)
	s.suite, s.Wall, s.P99 = r.Suite, took.Wall, took.P99
	s.CPU /= time.Duration(n + n/10)
	return s, err
}

// transferred takes the server's word for how much has passed.
func (b *bench) transferred(s *sample) error {
	r, err := b.server.next(answerWait)
	if err != nil {
		return err
	}
	if r.Bytes != b.Size {
		return fmt.Errorf("the server has counted %d bytes, not %d", r.Bytes, b.Size)
	}
	s.Server, s.suite = r.CPU, r.Suite
	return nil
}

// sessions runs session after session and returns what one of them has taken.
func (b *bench) sessions(ctx context.Context, _ client, argv []string) (sample, error) {
	var all sample
	for range b.Sessions {
		var answer bytes.Buffer
		s, err := run(ctx, argv, strings.NewReader("QUIT\r\n"), &answer)
		if err != nil {
			return s, err
		}
		if lines := "\n" + answer.String(); !strings.Contains(lines, "\n221 ") || !strings.HasSuffix(lines, "\n") {
			return s, fmt.Errorf("the answer to QUIT is not in %.100q", answer.String())
		}
		r, err := b.server.next(answerWait)
		if err != nil {
			return s, err
		}
		all.suite = r.Suite
		all.Wall += s.Wall
		all.CPU += s.CPU
		all.RSS = max(all.RSS, s.RSS)
	}
	all.Wall /= time.Duration(b.Sessions)
	all.CPU /= time.Duration(b.Sessions)
	return all, nil
}
