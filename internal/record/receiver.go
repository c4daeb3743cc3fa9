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
	bufferSize = 112 << 10
	overhead   = 1 << 10
	// bulkSize is the same for a session that has the process to itself. Thousands at once would keep too
	// much in memory, and each other out of the processor's caches.
	bulkSize = 240 << 10
	// smallSize is the same where there are few: in handshakes and dialogues. A buffer that large is
	// made in no time, and the garbage collector takes all that are free, again and again.
	smallSize = 8 << 10
)

var (
	buffers      = sync.Pool{New: func() any { return &buffer{make([]byte, bufferSize, bufferSize+overhead)} }}
	bulkBuffers  = sync.Pool{New: func() any { return &buffer{make([]byte, bulkSize, bulkSize+overhead)} }}
	smallBuffers = sync.Pool{New: func() any { return &buffer{make([]byte, smallSize)} }}
)

// takeBuffer returns a buffer for n bytes, or the largest.
func takeBuffer(n int) *buffer {
	switch {
	case n <= smallSize:
		return smallBuffers.Get().(*buffer)
	case n <= bufferSize:
		return buffers.Get().(*buffer)
	}
	return bulkBuffers.Get().(*buffer)
}

// release gives the buffer back. A nil one is passed over.
func (b *buffer) release() {
	switch {
	case b == nil:
	case len(b.b) == smallSize:
		smallBuffers.Put(b)
	case len(b.b) == bulkSize:
		bulkBuffers.Put(b)
	default:
		buffers.Put(b)
	}
}

// An appetite is how much the next read is made for: what fills its buffer is followed by more.
type appetite struct {
	next int32 // bytes; thousands of idle connections have two of these each
	bulk bool
}

// after takes account of a read of n bytes into a buffer.
func (a *appetite) after(n int, b *buffer) {
	switch {
	case n == len(b.b):
		a.next = int32(a.most())
	case n < smallSize:
		a.next = 0
	}
}

// most is how much is read and written at a time at most.
func (a *appetite) most() int {
	if a.bulk {
		return bulkSize
	}
	return bufferSize
}

// A Receiver reads from a connection. While it waits, it holds no buffer if the connection is the
// system's or a Session, or has a method Bare that returns such a one: what Read passes on as it is
// from now on, nil as long as it does not.
type Receiver struct {
	conn   net.Conn
	source source // nil: own is read into
	held   *buffer
	own    []byte
}

// A source takes a buffer when something has come.
type source interface {
	receive() (*buffer, int, error)
}

// NewReceiver returns a Receiver for conn, of which nobody else reads.
func NewReceiver(conn net.Conn) *Receiver { return &Receiver{conn: conn, source: sourceOf(conn)} }

// sourceOf returns nil for a connection that can be read from by its own Read alone, for now.
func sourceOf(conn net.Conn) source {
	conn = bare(conn)
	if s, ok := conn.(*Session); ok && bare(s.Conn) == net.Conn(s.TLS) {
		return s
	}
	if conn != nil {
		if idle := newIdleReader(conn); idle != nil {
			return idle
		}
	}
	return nil
}

// bare returns what a connection reads from, perhaps itself; nil as long as it does not only pass that on.
func bare(conn net.Conn) net.Conn {
	for {
		wrapper, ok := conn.(interface{ Bare() net.Conn })
		if !ok {
			return conn
		}
		conn = wrapper.Bare()
	}
}

// Resumes tells that a read deadline ends a wait of Receive without harm: the next call goes on.
func (r *Receiver) Resumes() bool { return r.source != nil }

// Receive waits for data and returns all that is there, up to 113 KiB. It is valid until the next
// call. With an error there may be data too. Errors are those of the connection's Read.
func (r *Receiver) Receive() ([]byte, error) {
	if r.source == nil {
		r.source = sourceOf(r.conn)
	}
	if r.source == nil {
		if r.own == nil {
			r.own = make([]byte, smallSize)
		}
		n, err := r.conn.Read(r.own)
		data := r.own[:n]
		if n == len(r.own) && n < bufferSize {
			r.own = make([]byte, bufferSize)
		}
		return data, err
	}
	r.held.release()
	r.held, r.own = nil, nil
	b, n, err := r.source.receive()
	if err != nil {
		return nil, err
	}
	r.held = b
	return b.b[:n], nil
}
