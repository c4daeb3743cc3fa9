package tunnel

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	burst = 64            // connections opened
	calm  = 3 * restAfter // without another: by then they have gone to rest
)

// A relief gives memory back to the system when a burst of connections has been opened: their
// handshakes have taken much more than they need from then on. The zero value is ready.
type relief struct {
	mu    sync.Mutex
	count int // opened since the last time
	timer *time.Timer
}

// opened tells of a connection.
func (r *relief) opened() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count++; r.count < burst {
		return
	}
	if r.timer == nil {
		r.timer = time.AfterFunc(calm, r.give)
	} else {
		r.timer.Reset(calm)
	}
}

func (r *relief) give() {
	r.mu.Lock()
	r.count = 0
	r.mu.Unlock()
	runtime.GC() // a pool is empty after the second
	debug.FreeOSMemory()
}
