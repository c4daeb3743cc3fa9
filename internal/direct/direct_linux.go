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

// Write writes p to a connection as its own Write does, with the same errors: directly if the connection
// is the system's and p is short.
func Write(conn net.Conn, p []byte) (int, error) {
	if len(p) > Short {
		return conn.Write(p)
	}
	var raw syscall.RawConn
	var err error
	switch c := conn.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	default:
		return conn.Write(p)
	}
	if err != nil {
		return conn.Write(p)
	}
	n, err := write(raw, conn, p)
	if errno, ok := err.(syscall.Errno); ok {
		local := conn.LocalAddr()
		err = &net.OpError{Op: "write", Net: local.Network(), Source: local, Addr: conn.RemoteAddr(), Err: os.NewSyscallError("write", errno)}
	}
	return n, err
}

type pipe struct {
	usual *os.File
	raw   syscall.RawConn
}

// Pipe returns what to write to a pipe with that was opened with O_NONBLOCK. What is not short is written
// to usual, the same pipe: one that blocks needs fewer calls.
func Pipe(file, usual *os.File) io.Writer {
	raw, err := file.SyscallConn()
	if err != nil {
		return usual
	}
	return &pipe{usual, raw}
}

func (w *pipe) Write(p []byte) (int, error) {
	if len(p) > Short {
		return w.usual.Write(p)
	}
	n, err := write(w.raw, w.usual, p)
	if errno, ok := err.(syscall.Errno); ok {
		err = &fs.PathError{Op: "write", Path: w.usual.Name(), Err: errno}
	}
	return n, err
}

// write writes p to what raw is of. An error is a syscall.Errno, or one of usual: it was closed or a
// deadline has passed, and its Write has the words.
func write(raw syscall.RawConn, usual io.Writer, p []byte) (int, error) {
	w := writings.Get().(*writing)
	w.p, w.n, w.err = p, 0, nil
	failed := raw.Write(w.try)
	n, err := w.n, w.err
	w.p = nil
	writings.Put(w)
	if failed != nil {
		m, err := usual.Write(p[n:])
		return n + m, err
	}
	return n, err
}

// A writing is the state of a write. Connections share them: idle ones should hold nothing.
type writing struct {
	p   []byte
	n   int // of p, written
	err error
	try func(fd uintptr) bool // (*writing).write
}

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
