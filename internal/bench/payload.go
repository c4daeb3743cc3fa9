package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
)

// chunk is how many bytes are read and written at a time here: many for a system call,
// few enough to stay in a cache.
const chunk = 256 << 10

// block is what the transfers repeat. It does not compress, and is the same in every process.
var block = sync.OnceValue(func() []byte {
	b := make([]byte, chunk)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
})

// A source yields size bytes, and writes them in pieces of so many; 0: as many as it can.
type source struct{ size, n, piece int64 }

// next returns what comes next, up to the end of the block.
func (s *source) next() []byte {
	b := block()[s.n%chunk:]
	n := min(int64(len(b)), s.size-s.n)
	if s.piece > 0 {
		n = min(n, s.piece)
	}
	return b[:n]
}

func (s *source) Read(p []byte) (int, error) {
	n := copy(p, s.next())
	s.n += int64(n)
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// WriteTo writes whole blocks, without a copy.
func (s *source) WriteTo(w io.Writer) (int64, error) {
	before := s.n
	for s.n < s.size {
		n, err := w.Write(s.next())
		s.n += int64(n)
		if err != nil {
			return s.n - before, err
		}
	}
	return s.n - before, nil
}

// A sink counts what has come and compares it with what a source sends.
type sink struct {
	n       int64
	differs bool
}

func (s *sink) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		want := block()[s.n%chunk:]
		k := min(len(rest), len(want))
		s.differs = s.differs || !bytes.Equal(rest[:k], want[:k])
		s.n += int64(k)
		rest = rest[k:]
	}
	return len(b), nil
}

// check tells what is wrong with what has come, if size bytes were due.
func (s *sink) check(size int64) error {
	switch {
	case s.n != size:
		return fmt.Errorf("%d bytes have come, not %d", s.n, size)
	case s.differs:
		return fmt.Errorf("the %d bytes that have come are not those that were sent", s.n)
	}
	return nil
}
