package tunnel

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// apart runs f in a goroutine of its own. wait returns its error, and goes on with its panic.
func apart(f func() error) (wait func() error) {
	var err error
	var fault *deepFault
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if value := recover(); value != nil {
				fault = &deepFault{value, debug.Stack()}
			}
		}()
		err = f()
	}()
	return func() error {
		<-done
		if fault != nil {
			panic(fault)
		}
		return err
	}
}

// A deepFault is a panic of another goroutine.
type deepFault struct {
	value any
	stack []byte
}

func (f *deepFault) String() string { return fmt.Sprint(f.value) }

// stackOf returns where a panic began that has been recovered from.
func stackOf(fault any) string {
	if deep, ok := fault.(*deepFault); ok {
		return string(deep.stack)
	}
	return string(debug.Stack())
}

// errFault is what a connection ends with while its panic is under way.
var errFault = errors.New("fault in the tunnel")

const (
	burst = 64              // connections opened
	calm  = 1 * time.Second // without another
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
