package tunnel

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"tlsup/internal/record"
)

// A way is one direction of a connection.
type way struct {
	c        *connection
	dst, src net.Conn
	from     *record.Receiver // of src
	count    *tally           // of its bytes
	ended    func(writing bool, err error) error
	finish   func(error) // told what ended made of the end

	moving bool // bytes have come since the rest before
	timed  bool // the wait for the next ones has a bound
}

// restAfter is how long nothing has to come for a way to go to rest.
const restAfter = 500 * time.Millisecond

// carry copies to the end of src. Encryption and the network need a deep stack, and what a goroutine
// has had it does not give back while it waits: a way that has become quiet goes on in a new one.
func (w *way) carry() {
	if w.rests(w.copy) {
		go w.carry()
	}
}

// splice has the kernel copy to the end of src, where it can.
func (w *way) splice() {
	w.rests(func() (rests bool) {
		n, err := io.Copy(w.dst, w.src)
		w.count.Add(n)
		w.end(errors.Is(err, syscall.EPIPE), err)
		return false
	})
}

// rests runs a part of the way. A panic in it is the connection's end.
func (w *way) rests(part func() bool) (rests bool) {
	defer func() {
		if value := recover(); value != nil {
			w.finish(w.c.fault(value))
		}
	}()
	return part()
}

// end tells of the end, by itself or by an error of reading or writing.
func (w *way) end(writing bool, err error) { w.finish(w.ended(writing, err)) }

// copy copies to the end of src, or until the way goes to rest.
func (w *way) copy() (rests bool) {
	for {
		data, err := w.receive()
		if len(data) > 0 {
			w.moving = true
			w.c.move()
			if _, err := record.Send(w.dst, data); err != nil {
				w.end(true, err)
				return false
			}
			w.count.Add(int64(len(data)))
			w.c.move()
		}
		switch {
		case err == nil:
		case w.timed && errors.Is(err, os.ErrDeadlineExceeded):
			w.src.SetReadDeadline(time.Time{})
			w.timed = false
			if !w.moving {
				return true
			}
		case err == io.EOF:
			w.end(false, nil)
			return false
		default:
			w.end(false, err)
			return false
		}
	}
}

// receive waits for data, until the way has settled if it has moved.
func (w *way) receive() ([]byte, error) {
	if w.moving && !w.timed && w.from.Resumes() {
		w.moving, w.timed = false, true
		w.src.SetReadDeadline(time.Now().Add(restAfter))
	}
	return w.from.Receive()
}
