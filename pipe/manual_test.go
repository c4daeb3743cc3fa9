package pipe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"tlsup/internal/record"
	"tlsup/negotiate"
)

var ready = regexp.MustCompile(`^220 `)

// serve expects text in the clear on the server's connection, says answer, then runs the
// server's handshake.
func (r *rig) serve(t testing.TB, text, answer string) {
	t.Helper()
	expect(t, r.bare, text)
	if _, err := io.WriteString(r.bare, answer); err != nil {
		t.Fatal(err)
	}
	r.handshake(t)
}

func (r *rig) handshake(t testing.TB) {
	t.Helper()
	var err error
	if r.server, err = serverTLS(r.bare); err != nil {
		t.Fatal(err)
	}
}

// manualPipe is runManual over a connection without buffers.
func manualPipe(t testing.TB, p *Pipe, m Manual) *rig {
	a, b := net.Pipe()
	p.Linger = -1
	return runManual(t, t.Context(), p, m, a, b)
}

// TestManualEndOfInput: the end of the input is the order to start TLS.
func TestManualEndOfInput(t *testing.T) {
	bubble(t, "of a file", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "input")
		if err := os.WriteFile(name, []byte("STARTTLS\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		r := manualPipe(t, &Pipe{In: file}, Manual{})
		r.serve(t, "STARTTLS\r\n", "")
		got := <-readAll(r.server)
		if got.text != "" || got.err != nil {
			t.Errorf("inside TLS the server read %q, %v; want close_notify", got.text, got.err)
		}
		time.Sleep(time.Hour)
		go func() {
			io.WriteString(r.server, "220 inside\r\n")
			r.server.Close()
		}()
		expect(t, r.out, "220 inside\r\n")
		want(t, r.end(), nil)
	})
	bubble(t, "of a terminal, which is read again", func(t *testing.T) {
		in := newTerminal(t)
		r := manualPipe(t, &Pipe{In: in, Terminal: true}, Manual{})
		in.line("STARTTLS\r\n")
		expect(t, r.bare, "STARTTLS\r\n")
		io.WriteString(r.bare, "220 go ahead\r\n")
		expect(t, r.out, "220 go ahead\r\n")
		time.Sleep(time.Hour)
		in.end()
		in.line("EHLO me\r\n") // typed while the handshake is under way
		r.handshake(t)
		expect(t, r.server, "EHLO me\r\n")
		time.Sleep(time.Hour) // no deadline of the upgrade is left
		in.line("QUIT\r\n")
		expect(t, r.server, "QUIT\r\n")
		go io.WriteString(r.server, "221 bye\r\n")
		expect(t, r.out, "221 bye\r\n")
		in.end()
		want(t, (<-readAll(r.server)).err, nil)
		time.Sleep(time.Hour)
		r.server.Close()
		want(t, r.end(), nil)
	})
	bubble(t, "of a terminal that sent nothing", func(t *testing.T) {
		in := newTerminal(t)
		r := manualPipe(t, &Pipe{In: in, Terminal: true}, Manual{})
		in.end()
		r.handshake(t)
		r.server.CloseWrite()
		want(t, r.end(), nil)
	})
	bubble(t, "together with data", func(t *testing.T) {
		r := manualPipe(t, &Pipe{In: iotest.DataErrReader(strings.NewReader("STARTTLS\r\n"))}, Manual{})
		r.serve(t, "STARTTLS\r\n", "")
		want(t, (<-readAll(r.server)).err, nil)
		r.server.Close()
		want(t, r.end(), nil)
	})
	bubble(t, "with CRLF", func(t *testing.T) {
		in := newTerminal(t)
		r := manualPipe(t, &Pipe{In: in, Terminal: true, CRLF: true}, Manual{})
		in.line("STARTTLS\n")
		in.end()
		in.line("QUIT\n")
		r.serve(t, "STARTTLS\r\n", "")
		expect(t, r.server, "QUIT\r\n")
		r.server.CloseWrite()
		want(t, r.end(), nil)
	})
	bubble(t, "with Quiet", func(t *testing.T) {
		r := manualPipe(t, &Pipe{In: strings.NewReader("x"), Quiet: time.Minute}, Manual{})
		time.Sleep(time.Hour)
		r.serve(t, "x", "")
		start := time.Now()
		go io.WriteString(r.server, "220 inside\r\n")
		expect(t, r.out, "220 inside\r\n")
		want(t, (<-readAll(r.server)).err, nil)
		inFakeTime(t, start, time.Minute)
		r.server.Close()
		want(t, r.end(), nil)
	})
	bubble(t, "with KeepOpen", func(t *testing.T) {
		r := manualPipe(t, &Pipe{In: strings.NewReader("x"), KeepOpen: true}, Manual{})
		r.serve(t, "x", "")
		upload := readAll(r.server)
		time.Sleep(time.Hour)
		r.server.CloseWrite()
		want(t, <-r.result, nil)
		select {
		case got := <-upload:
			t.Errorf("the server read %v before the caller closed", got)
		default:
		}
		r.client.Close()
		want(t, (<-upload).err, nil)
	})
}

// TestManualStart: an order comes from outside while the input goes on.
func TestManualStart(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		bubble(t, fmt.Sprintf("terminal %v", terminal), func(t *testing.T) {
			start := make(chan struct{}, 2)
			r := manualPipe(t, &Pipe{Terminal: terminal}, Manual{Start: start})
			r.types("STARTTLS\r\n")
			expect(t, r.bare, "STARTTLS\r\n")
			start <- struct{}{}
			r.handshake(t)
			r.types("EHLO me\r\n")
			expect(t, r.server, "EHLO me\r\n")
			start <- struct{}{} // a later order does nothing
			time.Sleep(time.Hour)
			r.types("QUIT\r\n")
			expect(t, r.server, "QUIT\r\n")
			r.in.Close()
			want(t, (<-readAll(r.server)).err, nil)
			r.server.Close()
			want(t, r.end(), nil)
		})
	}
	bubble(t, "a channel that is closed", func(t *testing.T) {
		start := make(chan struct{})
		r := manualPipe(t, &Pipe{}, Manual{Start: start})
		close(start)
		r.handshake(t)
		r.in.Close()
		want(t, (<-readAll(r.server)).err, nil)
		r.server.Close()
		want(t, r.end(), nil)
	})
	bubble(t, "while a write blocks", func(t *testing.T) {
		start := make(chan struct{}, 1)
		r := manualPipe(t, &Pipe{}, Manual{Start: start})
		r.types("STARTTLS\r\n")
		synctest.Wait()
		start <- struct{}{}
		time.Sleep(time.Hour)
		r.types("EHLO me\r\n")
		r.serve(t, "STARTTLS\r\n", "")
		expect(t, r.server, "EHLO me\r\n")
		r.server.CloseWrite()
		want(t, r.end(), nil)
	})
	bubble(t, "while the output blocks", func(t *testing.T) {
		start := make(chan struct{}, 1)
		r := manualPipe(t, &Pipe{}, Manual{Start: start})
		io.WriteString(r.bare, "220 go ahead\r\n")
		start <- struct{}{}
		time.Sleep(time.Hour)
		expect(t, r.out, "220 go ahead\r\n")
		r.handshake(t)
		r.server.CloseWrite()
		want(t, r.end(), nil)
	})
	bubble(t, "at the end of the input of a terminal", func(t *testing.T) {
		in := newTerminal(t)
		start := make(chan struct{}, 1)
		r := manualPipe(t, &Pipe{In: in, Terminal: true}, Manual{Start: start})
		start <- struct{}{}
		synctest.Wait()
		in.end() // the second order, so it closes
		r.handshake(t)
		want(t, (<-readAll(r.server)).err, nil)
		r.server.Close()
		want(t, r.end(), nil)
	})
}

// TestManualAfter: a line from the server is the order.
func TestManualAfter(t *testing.T) {
	for _, test := range []struct {
		name     string
		segments []string
		shown    string
	}{
		{"CRLF", []string{"220 go ahead\r\n"}, "220 go ahead\r\n"},
		{"LF", []string{"220 go ahead\n"}, "220 go ahead\n"},
		{"behind other lines", []string{"250-x\r\n250 y\r\n220 go\r\n"}, "250-x\r\n250 y\r\n220 go\r\n"},
		{"over segments", []string{"250 x\r\n22", "0 g", "o\r", "\n"}, "250 x\r\n220 go\r\n"},
		{"byte by byte", strings.Split("\n\r\n 220 \r\n250 y\n220 go\r\n", ""), "\n\r\n 220 \r\n250 y\n220 go\r\n"},
	} {
		bubble(t, test.name, func(t *testing.T) {
			var out buffer
			r := manualPipe(t, &Pipe{Out: &out}, Manual{After: ready})
			r.types("STARTTLS\r\n")
			expect(t, r.bare, "STARTTLS\r\n")
			for _, s := range test.segments {
				io.WriteString(r.bare, s)
			}
			r.handshake(t)
			equal(t, "output", out.String(), test.shown)
			r.types("EHLO me\r\n")
			expect(t, r.server, "EHLO me\r\n")
			r.server.CloseWrite()
			want(t, r.end(), nil)
		})
	}
	bubble(t, "the input ends before, and is waited with", func(t *testing.T) {
		var out buffer
		r := manualPipe(t, &Pipe{In: strings.NewReader("STARTTLS\r\n"), Out: &out}, Manual{After: ready})
		expect(t, r.bare, "STARTTLS\r\n")
		time.Sleep(time.Hour)
		r.serve(t, "", "220 go\r\n")
		want(t, (<-readAll(r.server)).err, nil)
		time.Sleep(time.Hour)
		io.WriteString(r.server, "bye")
		r.server.Close()
		want(t, r.end(), nil)
		equal(t, "output", out.String(), "220 go\r\nbye")
	})
	bubble(t, "a terminal's end comes before", func(t *testing.T) {
		in := newTerminal(t)
		r := manualPipe(t, &Pipe{In: in, Terminal: true}, Manual{After: ready})
		in.end()
		r.handshake(t)
		in.line("x")
		expect(t, r.server, "x")
		r.server.CloseWrite()
		want(t, r.end(), nil)
	})
	bubble(t, "another order comes before", func(t *testing.T) {
		start := make(chan struct{}, 1)
		r := manualPipe(t, &Pipe{In: strings.NewReader("")}, Manual{After: ready, Start: start})
		start <- struct{}{}
		r.handshake(t)
		want(t, (<-readAll(r.server)).err, nil)
		r.server.Close()
		want(t, r.end(), nil)
	})
	bubble(t, "another order comes while the line is shown", func(t *testing.T) {
		start := make(chan struct{}, 1)
		r := manualPipe(t, &Pipe{}, Manual{After: ready, Start: start})
		io.WriteString(r.bare, "220 go\r\n")
		start <- struct{}{}
		synctest.Wait()
		expect(t, r.out, "220 go\r\n")
		r.handshake(t)
		time.Sleep(time.Hour)
		r.types("x")
		expect(t, r.server, "x")
		r.server.CloseWrite()
		want(t, r.end(), nil)
	})
	bubble(t, "while a write blocks", func(t *testing.T) {
		var out buffer
		r := manualPipe(t, &Pipe{Out: &out}, Manual{After: ready})
		r.types("STARTTLS\r\n")
		synctest.Wait()
		io.WriteString(r.bare, "220 go\r\n")
		time.Sleep(time.Hour)
		r.serve(t, "STARTTLS\r\n", "")
		r.server.CloseWrite()
		want(t, r.end(), nil)
	})
	bubble(t, "a write fails behind it", func(t *testing.T) {
		var out buffer
		r := manualPipe(t, &Pipe{Out: &out}, Manual{After: ready})
		r.types("STARTTLS\r\n")
		synctest.Wait()
		io.WriteString(r.bare, "220 go\r\n")
		synctest.Wait()
		r.bare.Close()
		if err := r.end(); err == nil {
			t.Error("no error")
		}
	})
	bubble(t, "the order stops a read in the middle of a line", func(t *testing.T) {
		var out buffer
		start := make(chan struct{}, 1)
		r := manualPipe(t, &Pipe{Out: &out}, Manual{After: ready, Start: start})
		io.WriteString(r.bare, "220 g")
		start <- struct{}{}
		r.handshake(t)
		equal(t, "output", out.String(), "220 g")
		r.server.CloseWrite()
		want(t, r.end(), nil)
	})
}

// TestManualAnswerToTheLine: what is answered to the line while it is still being shown goes
// inside TLS.
func TestManualAnswerToTheLine(t *testing.T) {
	bubble(t, "at once", func(t *testing.T) {
		in, answer := io.Pipe()
		t.Cleanup(func() { answer.Close() })
		out := writerFunc(func(p []byte) (int, error) {
			if ready.Match(p) {
				go io.WriteString(answer, "EHLO me\r\n")
				synctest.Wait() // it has been read, and sent if it can be
			}
			return len(p), nil
		})
		r := manualPipe(t, &Pipe{In: in, Out: out}, Manual{After: ready})
		io.WriteString(r.bare, "220 go\r\n")
		r.handshake(t)
		expect(t, r.server, "EHLO me\r\n")
		r.server.CloseWrite()
		want(t, r.end(), nil)
	})
}

// TestManualLinger: a line that does not come is waited for as long as the peer is.
func TestManualLinger(t *testing.T) {
	bubble(t, "no line", func(t *testing.T) {
		a, b := net.Pipe()
		start := time.Now()
		r := runManual(t, t.Context(), &Pipe{In: strings.NewReader(""), Linger: time.Minute}, Manual{After: ready}, a, b)
		want(t, r.end(), ErrNoLine)
		inFakeTime(t, start, time.Minute)
	})
	bubble(t, "a line in time", func(t *testing.T) {
		a, b := net.Pipe()
		var out buffer
		r := runManual(t, t.Context(), &Pipe{In: strings.NewReader(""), Out: &out, Linger: time.Minute}, Manual{After: ready}, a, b)
		time.Sleep(59 * time.Second)
		r.serve(t, "", "220 go\r\n")
		time.Sleep(30 * time.Second)
		io.WriteString(r.server, "inside")
		r.server.Close()
		want(t, r.end(), nil)
		equal(t, "output", out.String(), "220 go\r\ninside")
	})
}

// TestManualGone: a command that has ended is waited with before TLS, and bounds the wait
// inside.
func TestManualGone(t *testing.T) {
	bubble(t, "before the line", func(t *testing.T) {
		gone := make(chan struct{})
		var out buffer
		r := manualPipe(t, &Pipe{In: strings.NewReader("STARTTLS\r\n"), Out: &out, Gone: gone}, Manual{After: ready})
		expect(t, r.bare, "STARTTLS\r\n")
		close(gone)
		time.Sleep(time.Hour)
		r.serve(t, "", "220 go\r\n")
		want(t, (<-readAll(r.server)).err, nil)
		start := time.Now()
		want(t, r.end(), nil) // though the server does not close
		inFakeTime(t, start, drain)
	})
}

// TestManualBehindTheLine: cleartext behind the line that matched ends the session, and is
// not shown.
func TestManualBehindTheLine(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for _, test := range []struct {
		name, sent, shown, text string
	}{
		{"a line", "250 a\r\n220 go\r\n250 injected\r\n", "250 a\r\n220 go\r\n", "250 injected\r\n"},
		{"a byte", "220 go\r\nx", "220 go\r\n", "x"},
		{"a TLS record", "220 go\r\n\x16\x03\x03", "220 go\r\n", "\x16\x03\x03"},
		{"much", "220 go\n" + long, "220 go\n", long[:maxCleartext]},
	} {
		bubble(t, test.name, func(t *testing.T) {
			var out buffer
			called := false
			r := manualPipe(t, &Pipe{Out: &out}, Manual{After: ready, StartTLS: func(context.Context) (Conn, error) {
				called = true
				return nil, errCause
			}})
			io.WriteString(r.bare, test.sent)
			err := r.end()
			var cleartext *negotiate.CleartextError
			if !errors.As(err, &cleartext) || !cleartext.Upgraded {
				t.Fatalf("error %v", err)
			}
			equal(t, "text of the error", string(cleartext.Text), test.text)
			equal(t, "output", out.String(), test.shown)
			if called {
				t.Error("TLS was started")
			}
		})
	}
	t.Run("in a read of its own", func(t *testing.T) {
		a, b := tcpPair(t)
		var out buffer
		entered, sent := make(chan struct{}), make(chan struct{})
		r := runManual(t, t.Context(), &Pipe{Out: &out, Linger: -1}, Manual{After: ready, StartTLS: func(ctx context.Context) (Conn, error) {
			close(entered)
			<-sent
			return clientTLS(ctx, negotiate.GoAhead(a))
		}}, a, b)
		io.WriteString(b, "220 go\r\n")
		<-entered
		io.WriteString(b, "250 injected\r\n")
		close(sent)
		err := r.end()
		if !errors.As(err, new(*negotiate.CleartextError)) {
			t.Errorf("error %v", err)
		}
		equal(t, "output", out.String(), "220 go\r\n")
	})
}

// TestManualNotStarted: sessions that end before TLS, and handshakes that fail.
func TestManualNotStarted(t *testing.T) {
	bubble(t, "the server closes", func(t *testing.T) {
		var out buffer
		r := manualPipe(t, &Pipe{Out: &out}, Manual{})
		io.WriteString(r.bare, "421 bye\r\n")
		r.bare.Close()
		want(t, r.end(), ErrNotStarted)
		equal(t, "output", out.String(), "421 bye\r\n")
	})
	bubble(t, "the server closes before the line", func(t *testing.T) {
		var out buffer
		r := manualPipe(t, &Pipe{In: strings.NewReader(""), Out: &out}, Manual{After: ready})
		io.WriteString(r.bare, "454 no\r\n220 ")
		r.bare.Close()
		want(t, r.end(), ErrNotStarted)
		equal(t, "output", out.String(), "454 no\r\n220 ")
	})
	bubble(t, "the server closes behind the order", func(t *testing.T) {
		start := make(chan struct{}, 1)
		r := manualPipe(t, &Pipe{}, Manual{Start: start})
		go io.WriteString(r.bare, "bye")
		synctest.Wait()
		start <- struct{}{}
		synctest.Wait()
		expect(t, r.out, "bye")
		r.bare.Close()
		if err := r.end(); err == nil {
			t.Error("no error")
		}
	})
	bubble(t, "a line over the bound", func(t *testing.T) {
		r := manualPipe(t, &Pipe{Out: io.Discard}, Manual{After: ready})
		go io.WriteString(r.bare, strings.Repeat("x", maxLine)+"y")
		if err := r.end(); err == nil || !strings.Contains(err.Error(), "line of over") {
			t.Errorf("error %v", err)
		}
	})
	bubble(t, "a write fails, the last words are shown", func(t *testing.T) {
		a, b := net.Pipe()
		broken := &brokenConn{a, make(chan struct{})}
		close(broken.broken)
		var out buffer
		r := runManual(t, t.Context(), &Pipe{Out: &out}, Manual{}, broken, b)
		r.types("text")
		time.Sleep(time.Second)
		io.WriteString(r.bare, "421 bye\r\n")
		want(t, r.end(), errBrokenPipe)
		equal(t, "output", out.String(), "421 bye\r\n")
	})
	bubble(t, "the input fails", func(t *testing.T) {
		r := manualPipe(t, &Pipe{}, Manual{})
		r.in.CloseWithError(errCause)
		err := r.end()
		want(t, err, errCause)
		if !errors.As(err, new(*InputError)) {
			t.Errorf("%T, not *InputError", err)
		}
	})
	bubble(t, "the input fails during the handshake", func(t *testing.T) {
		start := make(chan struct{}, 1)
		r := manualPipe(t, &Pipe{}, Manual{Start: start})
		start <- struct{}{}
		synctest.Wait()
		r.in.CloseWithError(errCause)
		r.handshake(t)
		want(t, r.end(), errCause)
		if got := <-readAll(r.server); !errors.Is(got.err, record.ErrCut) {
			t.Errorf("the server read %v, want a cut", got)
		}
	})
	bubble(t, "the output is closed", func(t *testing.T) {
		r := manualPipe(t, &Pipe{}, Manual{})
		r.out.Close()
		io.WriteString(r.bare, "220 hello\r\n")
		want(t, r.end(), ErrOutputClosed)
	})
	bubble(t, "nothing moves", func(t *testing.T) {
		r := manualPipe(t, &Pipe{Idle: time.Minute}, Manual{})
		start := time.Now()
		if err := r.end(); err == nil || !strings.Contains(err.Error(), "1m0s") {
			t.Errorf("error %v", err)
		}
		inFakeTime(t, start, time.Minute)
	})
	bubble(t, "nothing moves behind the order", func(t *testing.T) {
		start := make(chan struct{}, 1)
		r := manualPipe(t, &Pipe{Idle: time.Minute}, Manual{Start: start})
		r.types("text")
		synctest.Wait()
		start <- struct{}{}
		if err := r.end(); err == nil || !strings.Contains(err.Error(), "1m0s") {
			t.Errorf("error %v", err)
		}
	})
	bubble(t, "a read deadline of the caller's", func(t *testing.T) {
		r := manualPipe(t, &Pipe{In: strings.NewReader("")}, Manual{After: ready})
		r.conn.SetReadDeadline(time.Now().Add(time.Second))
		want(t, r.end(), os.ErrDeadlineExceeded)
	})
	bubble(t, "the handshake fails, and no input is sent", func(t *testing.T) {
		for _, end := range []bool{false, true} {
			start := make(chan struct{}, 2)
			started := make(chan struct{})
			r := manualPipe(t, &Pipe{}, Manual{Start: start, StartTLS: func(context.Context) (Conn, error) {
				<-started
				return nil, errCause
			}})
			upload := readAll(r.bare)
			r.types("before.")
			synctest.Wait()
			start <- struct{}{}
			synctest.Wait()
			if end {
				r.in.Close()
			} else {
				r.types("behind.")
			}
			synctest.Wait()
			close(started)
			want(t, <-r.result, errCause)
			start <- struct{}{}
			synctest.Wait()
			r.conn.Close()
			equal(t, "what the server has read", (<-upload).text, "before.")
		}
	})
}

// TestManualContext: its cause is returned at any moment, at once.
func TestManualContext(t *testing.T) {
	for _, test := range []struct {
		name   string
		moment func(r *rig, start chan struct{})
	}{
		{"nothing moves", func(*rig, chan struct{}) {}},
		{"a write blocks", func(r *rig, _ chan struct{}) { r.types("text") }},
		{"a write blocks behind the order", func(r *rig, start chan struct{}) {
			r.types("text")
			synctest.Wait()
			close(start)
		}},
		{"a write blocks behind the line", func(r *rig, _ chan struct{}) {
			r.types("text")
			synctest.Wait()
			go io.ReadFull(r.out, make([]byte, len("220 go\r\n")))
			io.WriteString(r.bare, "220 go\r\n")
		}},
		{"the output blocks", func(r *rig, _ chan struct{}) { io.WriteString(r.bare, "250 x\r\n") }},
		{"the output blocks behind the order", func(r *rig, start chan struct{}) {
			io.WriteString(r.bare, "250 x\r\n")
			close(start)
		}},
		{"the input has ended, the line has not come", func(r *rig, _ chan struct{}) { r.in.Close() }},
		{"the handshake gets no answer", func(r *rig, start chan struct{}) {
			close(start)
			r.bare.Read(make([]byte, 100))
		}},
		{"the handshake's write blocks, input waits", func(r *rig, start chan struct{}) {
			close(start)
			synctest.Wait()
			r.types("text")
		}},
		{"inside TLS", func(r *rig, start chan struct{}) {
			close(start)
			r.server, _ = serverTLS(r.bare)
			r.types("text")
		}},
	} {
		bubble(t, test.name, func(t *testing.T) {
			a, b := net.Pipe()
			ctx, cancel := context.WithCancelCause(t.Context())
			start := make(chan struct{})
			r := runManual(t, ctx, &Pipe{Linger: -1}, Manual{After: ready, Start: start}, a, b)
			test.moment(r, start)
			synctest.Wait()
			if r.over() {
				t.Fatal("it ended before the context: ", <-r.result)
			}
			began := time.Now()
			cancel(errCause)
			want(t, r.end(), errCause)
			inFakeTime(t, began, 0)
		})
	}
}

// A flow is an input that goes on until it is stopped. It gives random amounts and keeps
// what it gave.
type flow struct {
	mu     sync.Mutex
	random *rand.Rand
	given  bytes.Buffer
	cuts   map[int]bool // the totals behind each read
	limit  int          // where it ends; negative for nowhere
}

func (f *flow) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.limit >= 0 && f.given.Len() >= f.limit {
		return 0, io.EOF
	}
	n := min(len(p), 1+f.random.IntN(1<<f.random.IntN(15)))
	for i := range n {
		p[i] = 'a' + byte(f.random.IntN(26))
	}
	f.given.Write(p[:n])
	f.cuts[f.given.Len()] = true
	return n, nil
}

func (f *flow) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.given.Len()
}

// prefixed is a connection of which some bytes are in a reader.
type prefixed struct {
	net.Conn
	io.Reader
}

func (c prefixed) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// TestManualSplitsTheInput: input flows while the order comes. What the server got in the
// clear and what it got inside TLS are the input, cut once between two reads; nothing that
// was read since TLS was started is in the first.
func TestManualSplitsTheInput(t *testing.T) {
	const clientHello = 22
	for seed := range uint64(24) {
		byLine := seed%2 == 0
		random := rand.New(rand.NewPCG(seed, 1))
		in := &flow{random: rand.New(rand.NewPCG(seed, 2)), cuts: map[int]bool{0: true}, limit: -1}
		atStart := -1
		start := make(chan struct{})
		a, b := tcpPair(t)
		m := Manual{StartTLS: func(ctx context.Context) (Conn, error) {
			atStart = in.len()
			in.mu.Lock()
			in.limit = atStart + random.IntN(1<<18)
			in.mu.Unlock()
			return clientTLS(ctx, negotiate.GoAhead(a))
		}}
		if byLine {
			m.After = ready
		} else {
			m.Start = start
		}
		var out buffer
		r := runManual(t, t.Context(), &Pipe{In: in, Out: &out, Linger: -1}, m, a, b)

		// The server gives the order, or causes it, behind some of the input.
		behind := random.IntN(1 << random.IntN(20))
		var clear bytes.Buffer
		br := bufio.NewReader(b)
		for {
			if clear.Len() == behind {
				if byLine {
					io.WriteString(b, "220 go\r\n")
				} else {
					close(start)
				}
			}
			c, err := br.ReadByte()
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if c == clientHello {
				br.UnreadByte()
				break
			}
			clear.WriteByte(c)
		}
		server, err := serverTLS(prefixed{b, br})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		inside, err := io.ReadAll(server)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		server.Close()
		want(t, r.end(), nil)
		equal(t, fmt.Sprintf("seed %d: input", seed), clear.String()+string(inside), in.given.String())
		if clear.Len() > atStart {
			t.Errorf("seed %d: %d bytes in the clear, %d were read when TLS was started", seed, clear.Len(), atStart)
		}
		if !in.cuts[clear.Len()] {
			t.Errorf("seed %d: cut at %d, in the middle of a read", seed, clear.Len())
		}
	}
}
