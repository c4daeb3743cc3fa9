// Package stack grows a goroutine's stack in one step.
package stack

// size is what a handshake with the verification of its certificates takes, in bytes.
const size = 32 << 10

// Reserve makes sure that the goroutine's stack has 32 KiB behind its caller's frame. It is for those that
// need a deep one and don't live long: left to itself the stack doubles again and again, from 2 KiB, and
// each time Go looks up every frame that is moved.
func Reserve() { fill(0) }

// fill has the frame that grows the stack. With 0, for which nobody has to clear it, it does no more.
//
//go:noinline
func fill(n int) (sum byte) {
	if n > 0 {
		var room [size]byte
		for i := range room {
			room[i] = byte(i * n)
		}
		for i := range room {
			sum += room[(i*n)%size]
		}
	}
	return sum
}
