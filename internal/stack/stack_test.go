package stack

import (
	"runtime"
	"testing"
)

// deep takes as much stack as was reserved, less what its callers take.
//
//go:noinline
func deep(n int) int {
	var frame [512]byte
	if n == 0 {
		return 0
	}
	frame[n%len(frame)] = byte(n)
	return deep(n-1) + int(frame[n%len(frame)])
}

// BenchmarkReserve compares goroutines that need a deep stack.
func BenchmarkReserve(b *testing.B) {
	for _, reserved := range []bool{true, false} {
		b.Run(map[bool]string{true: "at once", false: "step by step"}[reserved], func(b *testing.B) {
			for b.Loop() {
				done := make(chan int)
				go func() {
					if reserved {
						Reserve()
					}
					done <- deep(size / 1024)
				}()
				<-done
			}
		})
	}
}

// TestReserve compares the memory in stacks before and after goroutines have reserved theirs.
func TestReserve(t *testing.T) {
	const n = 64
	var before, after runtime.MemStats
	hold, ready := make(chan struct{}), make(chan struct{})
	defer close(hold)
	runtime.ReadMemStats(&before)
	for range n {
		go func() {
			Reserve()
			ready <- struct{}{}
			<-hold
		}()
	}
	for range n {
		<-ready
	}
	runtime.ReadMemStats(&after)
	if got := int(after.StackInuse - before.StackInuse); got < n*size {
		t.Errorf("%d goroutines with a reserved stack have %d bytes of it in use, want %d at least", n, got, n*size)
	}
}
