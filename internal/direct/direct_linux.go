package direct

import (
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// Read reads from a descriptor that does not block. With an error, which is a syscall.Errno, n is 0.
func Read(fd uintptr, p []byte) (n int, err error) { return call(syscall.SYS_READ, fd, p) }

func call(number, fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// A reader reads from a file in the runtime's poller.
type reader struct {
	file *os.File
	raw  syscall.RawConn
	try  func(fd uintptr) bool // (*reader).read

	p   []byte // what read fills, with n bytes
	n   int
	err error
}

// Reader returns what to read a pipe from that was opened with O_NONBLOCK: one goroutine at a time.
func Reader(file *os.File) io.Reader {
	raw, err := file.SyscallConn()
	if err != nil {
		return file
	}
	r := &reader{file: file, raw: raw}
	r.try = r.read
	return r
}

func (r *reader) read(fd uintptr) bool {
	r.n, r.err = Read(fd, r.p)
	return r.err != syscall.EAGAIN
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.p = p
	err := r.raw.Read(r.try)
	r.p = nil
	switch {
	case err != nil: // it was closed, or a deadline has passed: the file's Read has the words
		return r.file.Read(p)
	case r.err != nil:
		return 0, &fs.PathError{Op: "read", Path: r.file.Name(), Err: r.err}
	case r.n == 0:
		return 0, io.EOF
	}
	return r.n, nil
}

// A Writer writes to a connection or a pipe what is short.
type Writer struct {
	raw   syscall.RawConn
	usual io.Writer
}

// ToConn returns a Writer to the system's connections, and whether conn is one. Its errors are those of
// the connection's Write, which writes what is not short.
func ToConn(conn net.Conn) (Writer, bool) {
	switch c := conn.(type) {
	case *net.TCPConn:
		return newWriter(c, c)
	case *net.UnixConn:
		return newWriter(c, c)
	}
	return Writer{}, false
}

// ToPipe returns a Writer to a pipe that was opened with O_NONBLOCK. What is not short is written to
// usual, the same pipe: one that blocks needs fewer calls.
func ToPipe(pipe, usual *os.File) io.Writer {
	if w, ok := newWriter(pipe, usual); ok {
		return w
	}
	return usual
}

func newWriter(to syscall.Conn, usual io.Writer) (Writer, bool) {
	raw, err := to.SyscallConn()
	return Writer{raw, usual}, err == nil
}

// A writing is a Write that is under way.
type writing struct {
	try func(fd uintptr) bool // (*writing).write

	p   []byte // n bytes of which are written
	n   int
	err error
}

// writings are shared: a connection that is idle has none.
var writings = sync.Pool{New: func() any {
	w := new(writing)
	w.try = w.write
	return w
}}

func (w *writing) write(fd uintptr) bool {
	for w.n < len(w.p) {
		n, err := call(syscall.SYS_WRITE, fd, w.p[w.n:])
		if err == syscall.EAGAIN {
			return false
		}
		if err != nil {
			w.err = err
			return true
		}
		w.n += n
	}
	return true
}

func (w Writer) Write(p []byte) (int, error) {
	if len(p) > Short {
		return w.usual.Write(p)
	}
	now := writings.Get().(*writing)
	now.p = p
	err := w.raw.Write(now.try)
	n, fault := now.n, now.err
	now.p, now.n, now.err = nil, 0, nil
	writings.Put(now)
	switch {
	case err != nil: // it was closed, or a deadline has passed: the usual Write has the words
		rest, err := w.usual.Write(p[n:])
		return n + rest, err
	case fault != nil:
		return n, w.fault(fault)
	}
	return n, nil
}

// fault is the error that the usual Write has for one of the system's.
func (w Writer) fault(err error) error {
	if conn, ok := w.usual.(net.Conn); ok {
		local := conn.LocalAddr()
		return &net.OpError{Op: "write", Net: local.Network(), Source: local, Addr: conn.RemoteAddr(), Err: os.NewSyscallError("write", err)}
	}
	return &fs.PathError{Op: "write", Path: w.usual.(*os.File).Name(), Err: err}
}
