package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"

	"golang.org/x/term"

	"tlsup/internal/quote"
)

// askPassphrase asks on the terminal for the passphrase of a key.
func askPassphrase(ctx context.Context, file string) ([]byte, error) {
	in, out, err := openTerminal()
	if err != nil {
		return nil, errors.New("there is no terminal to ask on")
	}
	defer in.Close()
	defer out.Close()
	// Before the prompt, so that nothing that is typed at it is echoed.
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	defer term.Restore(int(in.Fd()), state)

	keys := &keyboard{Reader: in}
	var passphrase string
	read := make(chan error, 1)
	go func() {
		var err error
		t := term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{keys, out}, "")
		passphrase, err = t.ReadPassword(fmt.Sprintf("passphrase of %s: ", quote.Escape(file)))
		read <- err
	}()
	select {
	case err = <-read:
	case <-ctx.Done(): // a signal; the read is left behind
		err = context.Cause(ctx)
	}
	switch {
	case err == nil:
		return []byte(passphrase), nil
	case keys.interrupted.Load():
		err = signalError{syscall.SIGINT}
	case err == io.EOF:
		err = errors.New("none was given")
	}
	fmt.Fprint(out, "\r\n")
	return nil, err
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
