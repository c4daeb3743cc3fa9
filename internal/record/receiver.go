package record

import (
	"net"
	"sync"
)

// A buffer is one of those that all connections share: most are idle, and hold none.
type buffer struct{ b []byte }

const (
	// bufferSize is how many bytes are read and written at a time where there are many, and overhead
	// how many more they are as records: one read becomes one write.
	bufferSize = 128 << 10
	overhead   = 1 << 10
	// smallSize is the same where there are few: in handshakes and dialogues. A buffer that large is
	// made in no time, and the garbage collector takes all that are free, again and again.
	smallSize = 8 << 10
)

var (
	buffers      = sync.Pool{New: func() any { return &buffer{make([]byte, bufferSize, bufferSize+overhead)} }}
	smallBuffers = sync.Pool{New: func() any { return &buffer{make([]byte, smallSize)} }}
)

// takeBuffer returns a buffer for n bytes, or a large one.
func takeBuffer(n int) *buffer {
	if n <= smallSize {
		return smallBuffers.Get().(*buffer)
	}
	return buffers.Get().(*buffer)
}

// release gives the buffer back. A nil one is passed over.
func (b *buffer) release() {
	switch {
	case b == nil:
	case len(b.b) == smallSize:
		smallBuffers.Put(b)
	default:
		buffers.Put(b)
	}
}

// An appetite is how much the next read is made for: what fills its buffer is followed by more.
type appetite int

// after takes account of a read of n bytes into a buffer.
func (a *appetite) after(n int, b *buffer) {
	switch {
	case n == len(b.b):
		*a = bufferSize
	case n < smallSize:
		*a = 0
	}
}

// A Receiver reads from a connection. While it waits, it holds no buffer if the connection is the
// system's or a Session.
type Receiver struct {
	conn   net.Conn
	source interface {
		receive() (*buffer, int, error)
	} // nil: own is read into
	held *buffer
	own  []byte
}

// NewReceiver returns a Receiver for conn, of which nobody else reads.
func NewReceiver(conn net.Conn) *Receiver {
	r := &Receiver{conn: conn}
	if s, ok := conn.(*Session); ok && s.Conn == net.Conn(s.TLS) {
		r.source = s
	} else if idle := newIdleReader(conn); idle != nil {
		r.source = idle
	} else {
		r.own = make([]byte, smallSize)
	}
	return r
}

// Resumes tells that a read deadline ends a wait of Receive without harm: the next call goes on.
func (r *Receiver) Resumes() bool { return r.source != nil }

// Receive waits for data and returns all that is there, up to 128 KiB. It is valid until the next
// call. With an error there may be data too. Errors are those of the connection's Read.
func (r *Receiver) Receive() ([]byte, error) {
	if r.source == nil {
		n, err := r.conn.Read(r.own)
		data := r.own[:n]
		if n == len(r.own) && n < bufferSize {
			r.own = make([]byte, bufferSize)
		}
		return data, err
	}
	r.held.release()
	r.held = nil
	b, n, err := r.source.receive()
	if err != nil {
		return nil, err
	}
	r.held = b
	return b.b[:n], nil
}
