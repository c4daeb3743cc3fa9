// Package direct reads from and writes to what never blocks, the system's connections and pipes opened
// so, without telling Go's scheduler of the call. On a single core that is a fifth of a round trip:
// the scheduler's monitor, which looks after calls that may block, is woken by the first one after
// each wait, looks again every 20 microseconds, and takes the core away from a write that the peer
// interrupts. It is for Linux; elsewhere these are the usual calls.
package direct

// Short is how many bytes are written directly: more may keep the kernel busy for long enough that
// other goroutines should have the processor meanwhile.
const Short = 8 << 10
