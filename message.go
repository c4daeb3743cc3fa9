package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"tlsup/internal/connect"
	"tlsup/internal/quote"
	"tlsup/internal/trust"
	"tlsup/negotiate"
	"tlsup/pipe"
)

// What is said to a person, all of it on standard error:
//
//	tlsup: HOST:PORT: step: what is wrong     an error; lower case, no full stop
//	tlsup: hint: what to do about it
//	C: / S:                                   the cleartext exchange, with -v
//	tlsup: ...                                notices
//
// Nothing from the network gets here unescaped.
type message struct{ w io.Writer }

// line says one line.
func (m message) line(format string, args ...any) {
	fmt.Fprintf(m.w, "tlsup: "+format+"\n", args...)
}

// failure says why a run ended, unless it ended quietly.
func (m message) failure(err error) {
	var failed *connect.Error
	switch {
	case err == nil, errors.Is(err, pipe.ErrOutputClosed), errors.Is(err, context.Canceled):
	case errors.As(err, new(signalError)), errors.As(err, new(commandError)), errors.As(err, new(reportedError)):
	case errors.As(err, &failed):
		m.line("%s", reason(failed))
		var untrusted *trust.Error
		if errors.As(err, &untrusted) {
			for _, line := range untrusted.Detail() {
				m.line("%s", line)
			}
		}
		if failed.Hint != "" {
			m.line("hint: %s", failed.Hint)
		}
	case errors.As(err, new(usageError)):
		m.line("%v", err)
		m.line("hint: see tlsup --help")
	default:
		m.line("%s", reason(err))
	}
}

// reason is an error's text without what is known: the addresses of the connection, the
// names of stdin and stdout, the system's call.
func reason(err error) string {
	text := connect.Reason(err)
	var file *fs.PathError
	if errors.As(err, &file) && (file.Path == os.Stdin.Name() || file.Path == os.Stdout.Name()) {
		text = strings.Replace(text, file.Error(), file.Err.Error(), 1)
	}
	return text
}

// text is stdout for what is not a session: the reader may go away here too.
type text struct{ *os.File }

func (t text) Write(p []byte) (int, error) {
	n, err := t.File.Write(p)
	return n, pipe.WriteError(err)
}

// WriteString is Write, in place of the file's.
func (t text) WriteString(s string) (int, error) { return t.Write([]byte(s)) }

// exchange says one line of a cleartext exchange.
func (m message) exchange(l negotiate.Line) {
	fmt.Fprintln(m.w, quote.Escape(l.String()))
}
