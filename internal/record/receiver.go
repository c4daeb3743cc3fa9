package record

import (
	"net"
	"sync"
)

// A buffer is one of those that all connections share: most are idle, and hold none.
type buffer [bufferSize]byte

// bufferSize is how many bytes are read and written at a time.
const bufferSize = 128 << 10

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

// release gives the buffer back. A nil one is passed over.
func (b *buffer) release() {
	if b != nil {
		buffers.Put(b)
	}
}

// smallSize is how large the buffer begins of a connection that keeps its own.
const smallSize = 16 << 10

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
	return b[:n], nil
}
