package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"tlsup/internal/quote"
)

// askPassphrase asks on the terminal for the passphrase of a key.
func askPassphrase(ctx context.Context, file string) ([]byte, error) {
	passphrase, err := askTerminal(ctx, func(t *term.Terminal) (string, error) {
		return t.ReadPassword(fmt.Sprintf("passphrase of %s: ", quote.Escape(file)))
	})
	if err != nil {
		return nil, err
	}
	return []byte(passphrase), nil
}

// askHost returns what asks whether to trust a server that is not known; nil without --tofu. The
// server waits for the answer no longer than --timeout.
func (p *program) askHost(c *cli.Context, timeout time.Duration) func(question string) (bool, error) {
	if !c.Bool("tofu") {
		return nil
	}
	return func(question string) (bool, error) {
		asked := time.Now()
		answer, err := askTerminal(c.Context, func(t *term.Terminal) (string, error) {
			last := strings.LastIndex(question, "\n") + 1
			fmt.Fprint(t, question[:last])
			t.SetPrompt(question[last:] + " (yes or no) ")
			return t.ReadLine()
		})
		yes := strings.EqualFold(strings.TrimSpace(answer), "yes")
		if yes && time.Since(asked) > timeout {
			p.message.line("the key is kept, for the next run: the answer took longer than --timeout")
		}
		return yes, err
	}
}

// askTerminal asks on the terminal: read asks, and returns the answer.
func askTerminal(ctx context.Context, read func(*term.Terminal) (string, error)) (string, error) {
	in, out, err := openTerminal()
	if err != nil {
		return "", errors.New("there is no terminal to ask on")
	}
	defer in.Close()
	defer out.Close()
	// Before the prompt, so that nothing that is typed at it is echoed.
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return "", err
	}
	defer term.Restore(int(in.Fd()), state)

	keys := &keyboard{Reader: in}
	var answer string
	done := make(chan error, 1)
	go func() {
		var err error
		answer, err = read(term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{keys, out}, ""))
		done <- err
	}()
	select {
	case err = <-done:
	case <-ctx.Done(): // a signal; the read is left behind
		err = context.Cause(ctx)
	}
	switch {
	case err == nil:
		return answer, nil
	case keys.interrupted.Load():
		err = signalError{syscall.SIGINT}
	case err == io.EOF:
		err = errors.New("none was given")
	}
	fmt.Fprint(out, "\r\n")
	return "", err
}

// keyboard is a terminal in raw mode, in which Ctrl+C is a byte.
type keyboard struct {
	io.Reader
	interrupted atomic.Bool
}

func (k *keyboard) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	if bytes.IndexByte(p[:n], 'C'-'@') >= 0 {
		k.interrupted.Store(true)
	}
	return n, err
}
