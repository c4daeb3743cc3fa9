package main

import (
	"bytes"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"tlsup/pipe"
)

// TestPipesStayAsTheyWere: whoever shares a pipe on stdin or stdout does not see that this process does
// not block on it; what is written comes in its order, and that nobody reads is known as before.
func TestPipesStayAsTheyWere(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	in, out := inputFrom(r), outputTo(w)
	if in == io.Reader(r) || out == io.Writer(w) {
		t.Fatal("a pipe was not opened once more")
	}
	for _, f := range []*os.File{r, w} {
		flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("%s: flags %#x, %v", f.Name(), flags, err)
		}
	}
	var want bytes.Buffer
	go func() {
		for range 10 {
			out.Write([]byte("short"))
			out.Write(bytes.Repeat([]byte("long"), 100<<10))
		}
	}()
	for range 10 {
		want.WriteString("short")
		want.Write(bytes.Repeat([]byte("long"), 100<<10))
	}
	got := make([]byte, want.Len())
	if _, err := io.ReadFull(in, got); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Error("something else came", err)
	}
}

// TestPipesHoldMore: both pipes are made larger, wherever the system lets us.
func TestPipesHoldMore(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, c := range []struct {
		grow func()
		size int
	}{
		{func() { inputFrom(r) }, inputSize},
		{func() { outputTo(w) }, outputSize},
	} {
		c.grow()
		grown, err := unix.FcntlInt(w.Fd(), unix.F_GETPIPE_SZ, 0)
		if _, denied := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, c.size); err != nil || denied == nil && grown != c.size {
			t.Errorf("the pipe holds %d bytes, want %d, %v", grown, c.size, err)
		}
	}
}

// TestPipeNobodyReads: the end of who reads stdout is known as before, and so is one before the start.
func TestPipeNobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	out := outputTo(w)
	r.Close()
	for _, out := range []io.Writer{out, outputTo(w)} {
		if _, err := out.Write([]byte("x")); pipe.WriteError(err) != pipe.ErrOutputClosed {
			t.Error(err)
		}
	}
}
