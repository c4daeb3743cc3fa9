package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// startProgress shows on the terminal how much has been piped, if that was asked for, until
// the function that it returns is called.
func (s *session) startProgress() (stop func()) {
	stderr, ok := s.message.w.(*os.File)
	if !s.progress || !ok || !isTerminal(stderr) {
		return func() {}
	}
	size := int64(-1)
	if file, ok := s.pipe.In.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
	}
	var sent, received atomic.Int64
	s.pipe.In = countingReader{s.pipe.In, &sent}
	s.pipe.Out = countingWriter{s.pipe.Out, &received}
	bar := progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(stderr),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionShowElapsedTimeOnFinish(),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionFullWidth(),
	)
	show := func() {
		out, in := sent.Load(), received.Load()
		total := out + in
		if size >= 0 {
			total = min(out, size)
		}
		bar.Describe(fmt.Sprintf("sent %s, received %s", bytesText(out), bytesText(in)))
		bar.Set64(total)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.Tick(200 * time.Millisecond); ; {
			select {
			case <-tick:
				show()
			case <-done:
				show()
				bar.Exit()
				fmt.Fprintln(stderr)
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func bytesText(n int64) string {
	value, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, u
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

type countingReader struct {
	io.Reader
	n *atomic.Int64
}

func (c countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

type countingWriter struct {
	io.Writer
	n *atomic.Int64
}

func (c countingWriter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n.Add(int64(n))
	return n, err
}
