package pipe

import (
	"io"
	"testing"
)

// BenchmarkPipe carries b.N pieces of bufSize through one Run: bytes and allocations are
// those of a piece, both ends of the session together.
func BenchmarkPipe(b *testing.B) {
	b.Run("upload", func(b *testing.B) {
		conn, bare := tcpPair(b)
		in, out := io.Pipe()
		defer out.Close()
		p := &Pipe{In: in, Out: io.Discard, Linger: -1}
		r := run(b, b.Context(), p, conn, bare)
		piece := make([]byte, bufSize)
		received := make(chan int64)
		go func() {
			n, _ := io.CopyBuffer(io.Discard, struct{ io.Reader }{r.server}, make([]byte, bufSize))
			received <- n
		}()
		b.SetBytes(bufSize)
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			if _, err := out.Write(piece); err != nil {
				b.Fatal(err)
			}
		}
		out.Close()
		if n := <-received; n != int64(b.N)*bufSize {
			b.Errorf("%d bytes arrived, want %d", n, b.N*bufSize)
		}
		b.StopTimer()
		r.server.Close()
		want(b, r.end(), nil)
	})
	b.Run("download", func(b *testing.B) {
		conn, bare := tcpPair(b)
		var received counter
		r := run(b, b.Context(), &Pipe{Out: &received, Linger: -1}, conn, bare)
		piece := make([]byte, bufSize)
		b.SetBytes(bufSize)
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			if _, err := r.server.Write(piece); err != nil {
				b.Fatal(err)
			}
		}
		r.in.Close()
		r.server.CloseWrite()
		err := <-r.result
		b.StopTimer()
		want(b, err, nil)
		if int64(received) != int64(b.N)*bufSize {
			b.Errorf("%d bytes arrived, want %d", received, b.N*bufSize)
		}
	})
}

// counter is an output that counts.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
