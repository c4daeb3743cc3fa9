//go:build unix

package record

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"tlsup/internal/direct"
)

// An idleReader reads from a connection of the system's, without a buffer while it waits.
type idleReader struct {
	conn   net.Conn
	raw    syscall.RawConn
	try    func(fd uintptr) bool // (*idleReader).readNow
	hunger appetite

	b   *buffer // what readNow has read, n bytes
	n   int
	err error
}

// newIdleReader returns nil for a connection that can be read from by its own Read alone.
func newIdleReader(conn net.Conn) *idleReader {
	var raw syscall.RawConn
	var err error
	switch c := conn.(type) { // others may hold something that was read
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	r := &idleReader{conn: conn, raw: raw}
	r.try = r.readNow
	return r
}

// readNow is called when something may have come, and tells whether it has.
func (r *idleReader) readNow(fd uintptr) bool {
	r.b = takeBuffer(int(r.hunger.next))
	r.n, r.err = direct.Read(fd, r.b.b)
	if r.err != syscall.EAGAIN {
		return true
	}
	r.b.release()
	r.b = nil
	return false
}

// receive is like conn.Read, and its errors are the same. The buffer is the caller's; with an error
// there is none.
func (r *idleReader) receive() (*buffer, int, error) {
	r.b, r.n, r.err = nil, 0, nil
	err := r.raw.Read(r.try)
	b := r.b
	r.b = nil
	if err == nil && r.err == nil && r.n > 0 {
		r.hunger.after(r.n, b)
		return b, r.n, nil
	}
	b.release()
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return nil, 0, r.opError(op.Err)
	case err != nil:
		return nil, 0, err
	case r.err != nil:
		return nil, 0, r.opError(os.NewSyscallError("read", r.err))
	}
	return nil, 0, io.EOF
}

func (r *idleReader) opError(err error) error {
	local := r.conn.LocalAddr()
	return &net.OpError{Op: "read", Net: local.Network(), Source: local, Addr: r.conn.RemoteAddr(), Err: err}
}
