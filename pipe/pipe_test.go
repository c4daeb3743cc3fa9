package pipe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"tlsup/internal/record"
)

// TestEndOfInput: close_notify is sent, and reading goes on until the peer closes.
func TestEndOfInput(t *testing.T) {
	for _, test := range []struct {
		name  string
		late  time.Duration // of the server
		slow  time.Duration // of the output, for each 64 KiB
		bytes int
	}{
		{"answer at once", 0, 0, 100},
		{"no answer", time.Second, 0, 0},
		{"answer after an hour", time.Hour, 0, 100},
		{"long answer", 0, 0, 4 << 20},
		{"long answer to a slow output", time.Minute, 10 * time.Second, 2 << 20},
	} {
		bubble(t, test.name, func(t *testing.T) {
			answer := string(letters(test.bytes))
			r := runPipe(t, &Pipe{In: strings.NewReader("QUIT\r\n"), Linger: -1})
			output := make(chan string)
			go func() {
				var b bytes.Buffer
				for {
					if _, err := io.CopyN(&b, r.out, 64<<10); err != nil {
						output <- b.String()
						return
					}
					time.Sleep(test.slow)
				}
			}()
			got, err := io.ReadAll(r.server)
			if string(got) != "QUIT\r\n" || err != nil {
				t.Errorf("the server read %q, %v; want close_notify behind it", got, err)
			}
			time.Sleep(test.late)
			if _, err := io.WriteString(r.server, answer); err != nil {
				t.Error(err)
			}
			r.server.Close()
			want(t, r.end(), nil)
			r.Out.(io.Closer).Close()
			equal(t, "output", <-output, answer)
		})
	}
}

// TestServerReadsLate: it finds close_notify behind the data all the same.
func TestServerReadsLate(t *testing.T) {
	bubble(t, "an hour after the data", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader("text"), Linger: -1})
		expect(t, r.server, "text")
		time.Sleep(time.Hour)
		if got := <-readAll(r.server); got.text != "" || got.err != nil {
			t.Errorf("the server read %q, %v; want close_notify", got.text, got.err)
		}
		r.server.Close()
		want(t, r.end(), nil)
	})
}

// TestServerClosesWithDataInFlight: the output reads nothing until the server has gone.
func TestServerClosesWithDataInFlight(t *testing.T) {
	a, b := tcpPair(t)
	b.(*net.TCPConn).SetWriteBuffer(1 << 20)
	r := run(t, t.Context(), &Pipe{Linger: -1}, a, b)
	sent := string(letters(256 << 10))
	if _, err := io.WriteString(r.server, sent); err != nil {
		t.Fatal(err)
	}
	r.server.Close()
	b.Close()
	output := readAll(r.out)
	want(t, r.end(), nil)
	r.Out.(io.Closer).Close()
	equal(t, "output", (<-output).text, sent)
}

// A chunked reader gives a random number of bytes at a time, the last with io.EOF at times.
type chunked struct {
	text   []byte
	random *rand.Rand
}

func (c *chunked) Read(p []byte) (int, error) {
	n := 1 + c.random.IntN(1<<c.random.IntN(18))
	n = copy(p[:min(n, len(p))], c.text)
	if c.text = c.text[n:]; len(c.text) == 0 && (n == 0 || c.random.IntN(2) == 0) {
		return n, io.EOF
	}
	return n, nil
}

// TestUpload: every byte of the input arrives, then close_notify; then the answer.
func TestUpload(t *testing.T) {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 0))
		sent := letters(random.IntN(1 << (4 + random.IntN(19))))
		a, b := tcpPair(t)
		var out buffer
		r := run(t, t.Context(), &Pipe{In: &chunked{sent, random}, Out: &out, Linger: -1}, a, b)
		got, err := io.ReadAll(r.server)
		want(t, err, nil)
		equal(t, "upload", string(got), string(sent))
		io.WriteString(r.server, "250 received\r\n")
		r.server.Close()
		want(t, r.end(), nil)
		equal(t, "answer", out.String(), "250 received\r\n")
	}
}

// TestLinesAreData: there are no lines that mean something to the pipe.
func TestLinesAreData(t *testing.T) {
	for _, text := range []string{"Q\n", "R\n", "QUIT\r\n", "RCPT TO:<a@b>\r\n", "K\nk\nB\n", "\x04\x1a\x00", "Q"} {
		bubble(t, text, func(t *testing.T) {
			r := runPipe(t, &Pipe{Terminal: true, Linger: -1})
			for range 3 {
				r.types(text)
				expect(t, r.server, text)
			}
			r.in.Close()
			want(t, (<-readAll(r.server)).err, nil)
			r.server.Close()
			want(t, r.end(), nil)
		})
	}
}

// TestPeerCloses: the peer's close_notify comes before the end of the input.
func TestPeerCloses(t *testing.T) {
	bubble(t, "input flows on to its end", func(t *testing.T) {
		r := runPipe(t, &Pipe{Linger: -1})
		r.server.CloseWrite()
		upload := readAll(r.server)
		sent := letters(4 << 20)
		for rest := sent; len(rest) > 0; rest = rest[min(len(rest), 100_000):] {
			r.in.Write(rest[:min(len(rest), 100_000)])
			time.Sleep(pause - time.Millisecond)
		}
		r.in.Close()
		want(t, r.end(), nil)
		got := <-upload
		want(t, got.err, nil)
		equal(t, "upload", got.text, string(sent))
	})
	bubble(t, "input is idle", func(t *testing.T) {
		r := runPipe(t, &Pipe{Linger: -1})
		start := time.Now()
		r.server.CloseWrite()
		want(t, <-r.result, nil)
		inFakeTime(t, start, pause)
	})
	bubble(t, "input has ended", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader(""), Linger: -1})
		start := time.Now()
		want(t, (<-readAll(r.server)).err, nil)
		r.server.CloseWrite()
		want(t, <-r.result, nil)
		inFakeTime(t, start, 0)
	})
	bubble(t, "input pauses while the server is slow", func(t *testing.T) {
		r := runPipe(t, &Pipe{Linger: -1})
		r.server.CloseWrite()
		r.types("text")
		time.Sleep(time.Minute)
		if r.over() {
			t.Fatal("the end, with input in a write")
		}
		expect(t, r.server, "text")
		want(t, r.end(), nil)
	})
	bubble(t, "terminal", func(t *testing.T) {
		r := runPipe(t, &Pipe{Terminal: true, Linger: -1})
		start := time.Now()
		r.server.CloseWrite()
		want(t, <-r.result, nil)
		inFakeTime(t, start, 0)
	})
	bubble(t, "terminal, what was typed is being written", func(t *testing.T) {
		r := runPipe(t, &Pipe{Terminal: true, Linger: -1})
		r.types("typed")
		synctest.Wait()
		r.server.CloseWrite()
		time.Sleep(drain / 2)
		if r.over() {
			t.Fatal("the end, with input in a write")
		}
		expect(t, r.server, "typed")
		want(t, r.end(), nil)
	})
	bubble(t, "terminal, what was typed is not taken", func(t *testing.T) {
		r := runPipe(t, &Pipe{Terminal: true, Linger: -1})
		r.types("typed")
		synctest.Wait()
		r.server.CloseWrite()
		if err := r.end(); err == nil {
			t.Error("no error, with input not sent")
		}
	})
	bubble(t, "input fails", func(t *testing.T) {
		r := runPipe(t, &Pipe{Linger: -1})
		r.server.CloseWrite()
		synctest.Wait()
		r.in.CloseWithError(errCause)
		want(t, r.end(), errCause)
	})
	bubble(t, "input can't be written", func(t *testing.T) {
		r := runPipe(t, &Pipe{Linger: -1})
		r.server.CloseWrite()
		synctest.Wait()
		r.bare.Close()
		r.types("text")
		if err := r.end(); err == nil || !strings.Contains(err.Error(), "before all input was sent") {
			t.Error(err)
		}
	})
	bubble(t, "nothing moves", func(t *testing.T) {
		r := runPipe(t, &Pipe{Linger: -1, Idle: 10 * time.Second})
		start := time.Now()
		r.types("text")
		synctest.Wait()
		r.server.CloseWrite()
		if err := r.end(); err == nil {
			t.Error("no error, with input not sent")
		}
		inFakeTime(t, start, 10*time.Second)
	})
}

// TestPeerCuts: the stream ends without close_notify.
func TestPeerCuts(t *testing.T) {
	inside := func(r *rig) {
		r.bare.Write([]byte{23, 3, 3, 1, 0, 9})
		r.bare.Close()
	}
	between := func(r *rig) { r.bare.Close() }
	for _, test := range []struct {
		name     string
		pipe     *Pipe
		inputEnd bool
		cut      func(*rig)
		want     error
		notice   bool
	}{
		{"before the end of the input", &Pipe{}, false, between, record.ErrCut, false},
		{"before the end of a terminal's", &Pipe{Terminal: true}, false, between, record.ErrCut, false},
		{"behind our close_notify", &Pipe{}, true, between, nil, true},
		{"behind the end of the input without close_notify", &Pipe{KeepOpen: true}, true, between, record.ErrCut, false},
		{"inside a record", &Pipe{}, false, inside, record.ErrCutInside, false},
		{"inside a record behind our close_notify", &Pipe{}, true, inside, record.ErrCutInside, false},
		{"while our close_notify is held back", &Pipe{Quiet: time.Hour}, true, between, nil, true},
		{"inside a record while our close_notify is held back", &Pipe{Quiet: time.Hour}, true, inside, record.ErrCutInside, false},
		{"before the end of the input, with Quiet", &Pipe{Quiet: time.Hour}, false, between, record.ErrCut, false},
	} {
		bubble(t, test.name, func(t *testing.T) {
			p := test.pipe
			p.Linger = -1
			notices := 0
			p.Notice = func(string) { notices++ }
			r := runPipe(t, p)
			upload := readAll(r.server)
			if test.inputEnd {
				r.in.Close()
			}
			go io.WriteString(r.server, "all there is")
			expect(t, r.out, "all there is")
			synctest.Wait()
			test.cut(r)
			want(t, r.end(), test.want)
			<-upload
			if got := notices == 1; got != test.notice {
				t.Errorf("%d notices", notices)
			}
		})
	}
	bubble(t, "nobody asked for notices", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader(""), Linger: -1})
		io.ReadAll(r.server)
		r.bare.Close()
		want(t, r.end(), nil)
	})
}

// TestReset: a reset is an error, whatever was sent before.
func TestReset(t *testing.T) {
	for _, test := range []struct {
		name   string
		pipe   *Pipe
		behind bool
	}{
		{"before the end of the input", &Pipe{}, false},
		{"while our close_notify is held back", &Pipe{In: strings.NewReader("QUIT"), Quiet: time.Hour}, false},
		{"behind our close_notify", &Pipe{In: strings.NewReader("QUIT")}, true},
		{"behind our close_notify, which was held back", &Pipe{In: strings.NewReader("QUIT"), Quiet: time.Millisecond}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := tcpPair(t)
			p := test.pipe
			p.Out, p.Linger = io.Discard, -1
			r := run(t, t.Context(), p, a, b)
			if r.in == nil {
				expect(t, r.server, "QUIT")
			}
			if test.behind {
				io.ReadAll(r.server) // to our close_notify
			}
			b.(*net.TCPConn).SetLinger(0)
			b.Close()
			if err := r.end(); err == nil || errors.Is(err, ErrResetBehind) != test.behind {
				t.Error(err)
			}
		})
	}
}

// TestInputFails: the server sees a cut, since what it has is not all.
func TestInputFails(t *testing.T) {
	bubble(t, "behind some data", func(t *testing.T) {
		in := io.MultiReader(strings.NewReader("some"), iotest.ErrReader(errCause))
		r := runPipe(t, &Pipe{In: in, Linger: -1})
		upload := readAll(r.server)
		err := r.end()
		want(t, err, errCause)
		if !errors.As(err, new(*InputError)) {
			t.Errorf("%T, not *InputError", err)
		}
		got := <-upload
		if got.text != "some" || !errors.Is(got.err, record.ErrCut) {
			t.Errorf("the server read %q, %v; want a cut", got.text, got.err)
		}
	})
	bubble(t, "together with data", func(t *testing.T) {
		in := iotest.DataErrReader(io.MultiReader(strings.NewReader("some"), iotest.ErrReader(errCause)))
		r := runPipe(t, &Pipe{In: in, Linger: -1})
		upload := readAll(r.server)
		want(t, r.end(), errCause)
		if got := <-upload; got.text != "some" || !errors.Is(got.err, record.ErrCut) {
			t.Errorf("the server read %q, %v; want a cut", got.text, got.err)
		}
	})
}

// TestGone: when nobody is there any more, the peer is not waited for long.
func TestGone(t *testing.T) {
	bubble(t, "with the input still open", func(t *testing.T) {
		gone := make(chan struct{})
		r := runPipe(t, &Pipe{Out: io.Discard, Gone: gone, Linger: -1})
		readAll(r.server)
		time.Sleep(time.Hour)
		start := time.Now()
		close(gone)
		want(t, r.end(), nil)
		inFakeTime(t, start, drain+pause)
	})
	bubble(t, "while close_notify is held back", func(t *testing.T) {
		gone := make(chan struct{})
		close(gone)
		r := runPipe(t, &Pipe{In: strings.NewReader(""), Out: io.Discard, Gone: gone, Quiet: time.Hour, Linger: -1})
		start := time.Now()
		want(t, <-r.result, nil)
		inFakeTime(t, start, drain)
	})
}

// writerFunc is an output.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestOutput: an output that fails, and one that nobody reads any more.
func TestOutput(t *testing.T) {
	bubble(t, "fails", func(t *testing.T) {
		r := runPipe(t, &Pipe{Out: writerFunc(func([]byte) (int, error) { return 0, errCause }), Linger: -1})
		io.WriteString(r.server, "data")
		err := r.end()
		want(t, err, errCause)
		if !errors.As(err, new(*OutputError)) {
			t.Errorf("%T, not *OutputError", err)
		}
	})
	bubble(t, "fails after the end of the input", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader(""), Out: writerFunc(func([]byte) (int, error) { return 0, errCause }), Linger: -1})
		io.ReadAll(r.server)
		io.WriteString(r.server, "data")
		want(t, r.end(), errCause)
	})
	bubble(t, "is closed", func(t *testing.T) {
		r := runPipe(t, &Pipe{Linger: -1})
		r.out.Close()
		io.WriteString(r.server, "data")
		want(t, r.end(), ErrOutputClosed)
	})
	t.Run("is a pipe whose reader has gone", func(t *testing.T) {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer writer.Close()
		reader.Close()
		a, b := tcpPair(t)
		r := run(t, t.Context(), &Pipe{Out: writer, Linger: -1}, a, b)
		io.WriteString(r.server, "data")
		want(t, r.end(), ErrOutputClosed)
	})
}

// TestLastWords: what a server that can't be written to has sent is shown, then comes an
// error.
func TestLastWords(t *testing.T) {
	const bye = "421 bye\r\n"
	for _, test := range []struct {
		name  string
		late  time.Duration
		words func(r *rig)
		shown string
		want  error
	}{
		{"and close_notify", time.Second, func(r *rig) { io.WriteString(r.server, bye); r.server.Close() }, bye, errBrokenPipe},
		{"and a cut", time.Second, func(r *rig) { io.WriteString(r.server, bye); r.bare.Close() }, bye, record.ErrCut},
		{"and silence", time.Second, func(r *rig) { io.WriteString(r.server, bye) }, bye, errBrokenPipe},
		{"too late", drain + time.Second, func(r *rig) { io.WriteString(r.server, bye) }, "", errBrokenPipe},
	} {
		bubble(t, test.name, func(t *testing.T) {
			a, b := net.Pipe()
			broken := &brokenConn{a, make(chan struct{})}
			var out buffer
			r := run(t, t.Context(), &Pipe{Out: &out, Linger: -1}, broken, b)
			close(broken.broken)
			r.types("a message")
			go func() {
				time.Sleep(test.late)
				test.words(r)
			}()
			want(t, r.end(), test.want)
			equal(t, "output", out.String(), test.shown)
			time.Sleep(test.late)
		})
	}
	bubble(t, "and the output fails", func(t *testing.T) {
		a, b := net.Pipe()
		broken := &brokenConn{a, make(chan struct{})}
		r := run(t, t.Context(), &Pipe{Linger: -1}, broken, b)
		close(broken.broken)
		r.types("a message")
		synctest.Wait()
		r.out.Close()
		io.WriteString(r.server, bye)
		want(t, r.end(), ErrOutputClosed)
	})
	for _, end := range []string{"close", "reset"} {
		t.Run("of a real server before its "+end, func(t *testing.T) {
			if end == "reset" && runtime.GOOS != "linux" {
				t.Skip("other systems drop what came before a reset")
			}
			a, b := tcpPair(t)
			var out buffer
			r := run(t, t.Context(), &Pipe{In: endless{}, Out: &out, Linger: -1}, a, b)
			io.ReadFull(r.server, make([]byte, 1000))
			io.WriteString(r.server, bye)
			if end == "reset" {
				b.(*net.TCPConn).SetLinger(0)
			}
			b.Close() // with input unread
			if err := r.end(); err == nil {
				t.Error("no error")
			}
			equal(t, "output", out.String(), bye)
		})
	}
}

// endless is an input without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestLinger bounds the wait for the peer after the end of the input.
func TestLinger(t *testing.T) {
	for _, test := range []struct {
		name   string
		linger time.Duration
		late   time.Duration
		want   time.Duration
		answer string
	}{
		{"0", 0, time.Hour, 0, ""},
		{"a silent server", 10 * time.Second, time.Hour, 10 * time.Second, ""},
		{"an answer in time", 10 * time.Second, 9 * time.Second, 9 * time.Second, "answer"},
		{"an answer after it", 10 * time.Second, 11 * time.Second, 10 * time.Second, ""},
		{"no bound", -1, 100 * time.Hour, 100 * time.Hour, "answer"},
	} {
		bubble(t, test.name, func(t *testing.T) {
			var out buffer
			start := time.Now()
			r := runPipe(t, &Pipe{In: strings.NewReader("QUIT"), Out: &out, Linger: test.linger})
			go func() {
				got, err := io.ReadAll(r.server)
				if string(got) != "QUIT" || err != nil {
					t.Errorf("the server read %q, %v", got, err)
				}
				time.Sleep(test.late)
				io.WriteString(r.server, "answer")
				r.server.Close()
			}()
			err := <-r.result
			inFakeTime(t, start, test.want)
			want(t, err, nil)
			equal(t, "output", out.String(), test.answer)
			r.client.Close()
			time.Sleep(200 * time.Hour)
		})
	}
	bubble(t, "the input has no end", func(t *testing.T) {
		r := runPipe(t, &Pipe{Linger: 0})
		time.Sleep(time.Hour)
		r.types("text")
		expect(t, r.server, "text")
		if r.over() {
			t.Error("the end")
		}
	})
	bubble(t, "the server does not take close_notify", func(t *testing.T) {
		r := runPipe(t, &Pipe{Linger: time.Second})
		start := time.Now()
		r.in.Close()
		want(t, <-r.result, nil)
		inFakeTime(t, start, time.Second)
	})
	bubble(t, "the output's waits don't count", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader(""), Linger: 10 * time.Second})
		start := time.Now()
		go func() {
			io.ReadAll(r.server)
			for range 5 {
				time.Sleep(time.Second)
				io.WriteString(r.server, "words")
			}
		}()
		for range 5 {
			time.Sleep(time.Hour)
			expect(t, r.out, "words")
		}
		want(t, r.end(), nil)
		inFakeTime(t, start, 5*time.Hour+9*time.Second)
	})
}

// TestQuiet: close_notify waits for answers.
func TestQuiet(t *testing.T) {
	const quiet = 500 * time.Millisecond
	// closed reads up to close_notify, which has to come at that time.
	closed := func(t *testing.T, r *rig, start time.Time, after time.Duration) {
		t.Helper()
		want(t, (<-readAll(r.server)).err, nil)
		inFakeTime(t, start, after)
	}
	for _, test := range []struct {
		name    string
		answers []time.Duration // from one to the next
		want    time.Duration
	}{
		{"no answer", nil, quiet},
		{"at once", []time.Duration{0}, quiet},
		{"one answer", []time.Duration{300 * time.Millisecond}, 800 * time.Millisecond},
		{"answers just in time", []time.Duration{quiet - 1, quiet - 1, quiet - 1}, 4*quiet - 3},
	} {
		bubble(t, test.name, func(t *testing.T) {
			var out buffer
			r := runPipe(t, &Pipe{Out: &out, Quiet: quiet, Linger: -1})
			time.Sleep(time.Hour)
			r.types("EHLO\r\nQUIT\r\n")
			expect(t, r.server, "EHLO\r\nQUIT\r\n")
			time.Sleep(quiet / 2)
			start := time.Now()
			r.in.Close()
			go func() {
				for _, late := range test.answers {
					time.Sleep(late)
					io.WriteString(r.server, "250 yes\r\n")
				}
			}()
			closed(t, r, start, test.want)
			r.server.Close()
			want(t, r.end(), nil)
			equal(t, "output", out.String(), strings.Repeat("250 yes\r\n", len(test.answers)))
		})
	}
	bubble(t, "the server closes first", func(t *testing.T) {
		var out buffer
		r := runPipe(t, &Pipe{In: strings.NewReader("QUIT"), Out: &out, Quiet: time.Hour, Linger: -1})
		start := time.Now()
		expect(t, r.server, "QUIT")
		io.WriteString(r.server, "221 bye\r\n")
		r.server.CloseWrite()
		want(t, <-r.result, nil)
		upload := readAll(r.server)
		synctest.Wait()
		select {
		case got := <-upload:
			t.Errorf("the server read %v before the caller closed", got)
		default:
		}
		r.client.Close()
		want(t, (<-upload).err, nil)
		inFakeTime(t, start, 0)
		equal(t, "output", out.String(), "221 bye\r\n")
	})
	bubble(t, "the server closed before the end of the input", func(t *testing.T) {
		r := runPipe(t, &Pipe{Quiet: time.Hour, Linger: -1})
		r.server.CloseWrite()
		time.Sleep(pause / 2)
		start := time.Now()
		r.in.Close()
		want(t, <-r.result, nil)
		inFakeTime(t, start, 0)
	})
	bubble(t, "the output keeps the answer waiting", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader("NOOP"), Quiet: quiet, Linger: -1})
		expect(t, r.server, "NOOP")
		io.WriteString(r.server, "250 yes\r\n")
		time.Sleep(time.Hour + quiet/3)
		start := time.Now()
		expect(t, r.out, "250 yes\r\n")
		closed(t, r, start, quiet)
		r.server.Close()
		want(t, r.end(), nil)
	})
	for _, test := range []struct {
		linger, want time.Duration
	}{{0, 0}, {quiet / 2, quiet / 2}, {time.Minute, time.Minute}} {
		bubble(t, "with Linger "+test.linger.String(), func(t *testing.T) {
			r := runPipe(t, &Pipe{In: strings.NewReader(""), Quiet: quiet, Linger: test.linger})
			start := time.Now()
			upload := readAll(r.server)
			want(t, <-r.result, nil)
			inFakeTime(t, start, test.want)
			go r.client.Close()
			want(t, (<-upload).err, nil)
		})
	}
	bubble(t, "with an Idle that is no longer", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader(""), Quiet: quiet, Linger: -1, Idle: quiet})
		closed(t, r, time.Now(), quiet/2)
		r.server.Close()
		want(t, r.end(), nil)
	})
	bubble(t, "with KeepOpen", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader(""), Quiet: quiet, KeepOpen: true, Linger: time.Hour})
		start := time.Now()
		upload := readAll(r.server)
		want(t, <-r.result, nil)
		go r.client.Close()
		want(t, (<-upload).err, nil)
		inFakeTime(t, start, time.Hour)
	})
}

// TestKeepOpen: close_notify is sent by nobody but the caller.
func TestKeepOpen(t *testing.T) {
	bubble(t, "until the server closes", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader("text"), KeepOpen: true, Linger: -1})
		expect(t, r.server, "text")
		r.server.SetReadDeadline(time.Now().Add(time.Hour))
		_, err := r.server.Read(make([]byte, 1))
		want(t, err, os.ErrDeadlineExceeded)
		r.server.SetReadDeadline(time.Time{})
		upload := readAll(r.server)
		go io.WriteString(r.server, "answer")
		expect(t, r.out, "answer")
		r.server.CloseWrite()
		want(t, <-r.result, nil)
		synctest.Wait()
		select {
		case got := <-upload:
			t.Errorf("the server read %v before the caller closed", got)
		default:
		}
		r.client.Close()
		want(t, (<-upload).err, nil)
	})
	bubble(t, "with Linger", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader(""), KeepOpen: true, Linger: time.Minute})
		start := time.Now()
		want(t, <-r.result, nil)
		inFakeTime(t, start, time.Minute)
	})
}

// TestIdle ends a session in which nothing moves.
func TestIdle(t *testing.T) {
	const idle = 10 * time.Second
	bubble(t, "nothing moves at all", func(t *testing.T) {
		r := runPipe(t, &Pipe{Linger: -1, Idle: idle})
		start := time.Now()
		if err := r.end(); err == nil || !strings.Contains(err.Error(), "10s") {
			t.Error(err)
		}
		inFakeTime(t, start, idle)
	})
	for _, way := range []string{"up", "down"} {
		bubble(t, "until nothing moves "+way, func(t *testing.T) {
			r := runPipe(t, &Pipe{Linger: -1, Idle: idle})
			start := time.Now()
			for range 100 {
				time.Sleep(idle - time.Millisecond)
				if way == "up" {
					r.types("text")
					expect(t, r.server, "text")
				} else {
					go io.WriteString(r.server, "text")
					expect(t, r.out, "text")
				}
			}
			if err := r.end(); err == nil {
				t.Error("no error")
			}
			inFakeTime(t, start, 100*(idle-time.Millisecond)+idle)
		})
	}
	bubble(t, "the output's waits don't count", func(t *testing.T) {
		r := runPipe(t, &Pipe{Linger: -1, Idle: idle})
		io.WriteString(r.server, "text")
		time.Sleep(time.Hour)
		start := time.Now()
		expect(t, r.out, "text")
		if err := r.end(); err == nil {
			t.Error("no error")
		}
		inFakeTime(t, start, idle)
	})
	bubble(t, "after the end of the input", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader(""), Linger: -1, Idle: idle})
		io.ReadAll(r.server)
		if err := r.end(); err == nil {
			t.Error("no error")
		}
	})
	bubble(t, "ended before", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader(""), Linger: -1, Idle: idle})
		io.ReadAll(r.server)
		r.server.Close()
		want(t, r.end(), nil)
	})
}

// TestReadDeadline: a caller ends the wait for the peer by a read deadline, as main does once
// COMMAND has ended. That loses none of the input.
func TestReadDeadline(t *testing.T) {
	bubble(t, "after the end of the input", func(t *testing.T) {
		r := runPipe(t, &Pipe{In: strings.NewReader(""), Linger: -1})
		io.ReadAll(r.server)
		r.client.SetReadDeadline(time.Now().Add(time.Second))
		want(t, r.end(), nil)
	})
	bubble(t, "input flows", func(t *testing.T) {
		r := runPipe(t, &Pipe{Linger: -1})
		r.types("text")
		synctest.Wait()
		r.client.SetReadDeadline(time.Now().Add(time.Second))
		time.Sleep(time.Minute)
		if r.over() {
			t.Fatal("the end, with input in a write")
		}
		upload := readAll(r.server)
		time.Sleep(pause / 2)
		r.types(", all of it")
		want(t, r.end(), nil)
		equal(t, "upload", (<-upload).text, "text, all of it")
	})
}

// TestContext: its cause is returned at any moment, at once.
func TestContext(t *testing.T) {
	none := func(*rig) {}
	for _, test := range []struct {
		name   string
		pipe   *Pipe
		moment func(r *rig)
	}{
		{"nothing moves", &Pipe{}, none},
		{"the output blocks", &Pipe{}, func(r *rig) { io.WriteString(r.server, "words") }},
		{"a write blocks", &Pipe{}, func(r *rig) { r.types("text") }},
		{"both block", &Pipe{}, func(r *rig) { r.types("text"); io.WriteString(r.server, "words") }},
		{"behind the end of the input", &Pipe{}, func(r *rig) { r.in.Close(); io.ReadAll(r.server) }},
		{"lingering", &Pipe{Linger: time.Hour}, func(r *rig) { r.in.Close(); io.ReadAll(r.server) }},
		{"lingering, the output blocks", &Pipe{Linger: time.Second}, func(r *rig) {
			r.in.Close()
			io.ReadAll(r.server)
			io.WriteString(r.server, "words")
			time.Sleep(time.Hour)
		}},
		{"close_notify blocks", &Pipe{}, func(r *rig) { r.in.Close() }},
		{"close_notify is held back", &Pipe{Quiet: time.Hour}, func(r *rig) { r.in.Close() }},
		{"close_notify is held back, the output blocks", &Pipe{Quiet: time.Second}, func(r *rig) {
			r.in.Close()
			io.WriteString(r.server, "words")
			time.Sleep(time.Hour)
		}},
		{"the peer has closed", &Pipe{}, func(r *rig) { r.server.CloseWrite() }},
		{"the peer has closed, a write blocks", &Pipe{}, func(r *rig) {
			r.types("text")
			synctest.Wait()
			r.server.CloseWrite()
			time.Sleep(time.Hour)
		}},
		{"the peer has closed, a terminal's write blocks", &Pipe{Terminal: true}, func(r *rig) {
			r.types("text")
			synctest.Wait()
			r.server.CloseWrite()
		}},
		{"last words", &Pipe{}, func(r *rig) { close(r.conn.(*brokenConn).broken); r.types("text") }},
		{"last words, the output blocks", &Pipe{}, func(r *rig) {
			close(r.conn.(*brokenConn).broken)
			r.types("text")
			synctest.Wait()
			io.WriteString(r.server, "words")
		}},
	} {
		bubble(t, test.name, func(t *testing.T) {
			a, b := net.Pipe()
			ctx, cancel := context.WithCancelCause(t.Context())
			p := test.pipe
			if p.Linger == 0 {
				p.Linger = -1
			}
			r := run(t, ctx, p, &brokenConn{a, make(chan struct{})}, b)
			test.moment(r)
			synctest.Wait()
			if r.over() {
				t.Fatal("it ended before the context: ", <-r.result)
			}
			start := time.Now()
			cancel(errCause)
			want(t, r.end(), errCause)
			inFakeTime(t, start, 0)
		})
	}
}

// TestNoInputAfterTheEnd: what is read from the input once Run has returned is not sent.
func TestNoInputAfterTheEnd(t *testing.T) {
	bubble(t, "the context ended", func(t *testing.T) {
		a, b := net.Pipe()
		ctx, cancel := context.WithCancelCause(t.Context())
		r := run(t, ctx, &Pipe{Linger: -1}, a, b)
		cancel(errCause)
		want(t, <-r.result, errCause)
		upload := readAll(r.server)
		r.types("text")
		synctest.Wait()
		r.conn.Close()
		if got := <-upload; got.text != "" || !errors.Is(got.err, record.ErrCut) {
			t.Errorf("the server read %q, %v", got.text, got.err)
		}
	})
}

// TestErrors: the wrapped errors keep what they wrap.
func TestErrors(t *testing.T) {
	for _, err := range []error{&InputError{syscall.EIO}, &OutputError{syscall.EIO}, sendError{syscall.EIO}} {
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), syscall.EIO.Error()) {
			t.Errorf("%T: %v", err, err)
		}
	}
}
