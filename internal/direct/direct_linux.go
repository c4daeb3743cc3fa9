package direct

import (
	"io"
	"io/fs"
	"net"
	"os"
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

// A Writer writes to a connection or a pipe what is short, one goroutine at a time.
type Writer struct {
	raw   syscall.RawConn
	usual io.Writer
	fault func(error) error
	try   func(fd uintptr) bool // (*Writer).write

	p   []byte // what write has to write, n bytes of which it has
	n   int
	err error
}

// ToConn returns a Writer to the system's connections, nil for others. Its errors are those of the
// connection's Write, which writes what is not short.
func ToConn(conn net.Conn) *Writer {
	switch c := conn.(type) {
	case *net.TCPConn:
		return newWriter(c, conn, connFault(conn))
	case *net.UnixConn:
		return newWriter(c, conn, connFault(conn))
	}
	return nil
}

func connFault(conn net.Conn) func(error) error {
	return func(err error) error {
		local := conn.LocalAddr()
		return &net.OpError{Op: "write", Net: local.Network(), Source: local, Addr: conn.RemoteAddr(), Err: os.NewSyscallError("write", err)}
	}
}

// ToPipe returns a Writer to a pipe that was opened with O_NONBLOCK. What is not short is written to
// usual, the same pipe: one that blocks needs fewer calls.
func ToPipe(pipe, usual *os.File) io.Writer {
	w := newWriter(pipe, usual, func(err error) error {
		return &fs.PathError{Op: "write", Path: usual.Name(), Err: err}
	})
	if w == nil {
		return usual
	}
	return w
}

func newWriter(to syscall.Conn, usual io.Writer, fault func(error) error) *Writer {
	raw, err := to.SyscallConn()
	if err != nil {
		return nil
	}
	w := &Writer{raw: raw, usual: usual, fault: fault}
	w.try = w.write
	return w
}

func (w *Writer) write(fd uintptr) bool {
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

func (w *Writer) Write(p []byte) (int, error) {
	if len(p) > Short {
		return w.usual.Write(p)
	}
	w.p, w.n, w.err = p, 0, nil
	err := w.raw.Write(w.try)
	w.p = nil
	switch {
	case err != nil: // it was closed, or a deadline has passed: the usual Write has the words
		n, err := w.usual.Write(p[w.n:])
		return w.n + n, err
	case w.err != nil:
		return w.n, w.fault(w.err)
	}
	return w.n, nil
}
