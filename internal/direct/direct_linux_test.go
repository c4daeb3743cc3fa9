package direct

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"reflect"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pipePair returns both ends of a pipe that don't block, and the writing end once more, which does.
func pipePair(t *testing.T) (r, w, usual *os.File) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "input"), os.NewFile(uintptr(fds[1]), "again")
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fds[1]), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	usual = os.NewFile(uintptr(fd), "output")
	t.Cleanup(func() { r.Close(); w.Close(); usual.Close() })
	return r, w, usual
}

type direct struct{ net.Conn }

func (d direct) Write(p []byte) (int, error) { return Write(d.Conn, p) }

// tcpPair returns two ends of a connection.
func tcpPair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near.(*net.TCPConn), far.(*net.TCPConn)
}

// pieces are written one after another: many short ones, more than a pipe or a socket takes at once,
// and long ones between.
func pieces() (all [][]byte, whole []byte) {
	for i := range 3000 {
		piece := bytes.Repeat([]byte{byte(i)}, 1+i*37%Short)
		if i%100 == 0 {
			piece = bytes.Repeat(piece, 1+2*Short/len(piece))
		}
		all, whole = append(all, piece), append(whole, piece...)
	}
	return all, whole
}

// TestInOrder: what is written comes out, whether it is short or not, and whether the reader or the
// writer has to wait.
func TestInOrder(t *testing.T) {
	t.Parallel()
	r, w, usual := pipePair(t)
	near, far := tcpPair(t)
	for name, ends := range map[string]struct {
		w     io.Writer
		r     io.Reader
		close func() error
	}{
		"pipe":       {Pipe(w, usual), Reader(r), func() error { return errors.Join(w.Close(), usual.Close()) }},
		"connection": {direct{near}, far, near.CloseWrite},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, whole := pieces()
			wrote := make(chan error, 1)
			go func() {
				for _, piece := range all {
					if n, err := ends.w.Write(piece); err != nil || n != len(piece) {
						wrote <- err
						return
					}
				}
				wrote <- ends.close()
			}()
			got, err := io.ReadAll(ends.r)
			if err := errors.Join(err, <-wrote); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, whole) {
				t.Errorf("%d bytes came, not the %d that were written", len(got), len(whole))
			}
		})
	}
}

// TestTakesTurns: neither end misses that the other has written, however their waits and writes meet.
func TestTakesTurns(t *testing.T) {
	t.Parallel()
	r1, w1, usual1 := pipePair(t)
	r2, w2, usual2 := pipePair(t)
	there, back := Pipe(w1, usual1), Pipe(w2, usual2)
	go io.Copy(struct{ io.Writer }{back}, struct{ io.Reader }{Reader(r1)})
	answers := Reader(r2)
	buf := make([]byte, 64)
	for i := range 20000 {
		buf[0] = byte(i)
		if _, err := there.Write(buf[:1+i%64]); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(answers, buf[:1+i%64]); err != nil || buf[0] != byte(i) {
			t.Fatal(i, err)
		}
	}
}

// TestPipeFaults: the errors are those of the file.
func TestPipeFaults(t *testing.T) {
	t.Parallel()
	r, w, usual := pipePair(t)
	out := Pipe(w, usual)
	r.Close()
	n, err := out.Write([]byte("x"))
	var path *fs.PathError
	if n != 0 || !errors.Is(err, syscall.EPIPE) || !errors.As(err, &path) || path.Path != "output" || path.Op != "write" {
		t.Errorf("nobody reads: %d, %v", n, err)
	}
	usual.Close()
	w.Close()
	if n, err := out.Write([]byte("x")); n != 0 || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("closed: %d, %v", n, err)
	}

	r, w, _ = pipePair(t)
	in := Reader(r)
	if n, err := in.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing was asked for: %d, %v", n, err)
	}
	r.SetReadDeadline(time.Unix(1, 0))
	if n, err := in.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: %d, %v", n, err)
	}
	r.SetReadDeadline(time.Time{})
	waiting := make(chan error)
	go func() {
		_, err := in.Read(make([]byte, 1))
		waiting <- err
	}()
	r.Close()
	if err := <-waiting; !errors.Is(err, fs.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	w.Close()
}

// TestConnFaults: the errors are those of the connection, word for word, short or not.
func TestConnFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		fault func(near, far *net.TCPConn)
		want  error
	}{
		{"closed", func(near, _ *net.TCPConn) { near.Close() }, net.ErrClosed},
		{"deadline", func(near, _ *net.TCPConn) { near.SetWriteDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		{"ended", func(near, _ *net.TCPConn) { near.CloseWrite() }, syscall.EPIPE},
		{"reset", func(near, far *net.TCPConn) {
			far.SetLinger(0)
			far.Close()
			waitReset(near)
		}, syscall.ECONNRESET},
	} {
		var errs [2]error
		for i := range errs {
			near, far := tcpPair(t)
			var w io.Writer = near
			if i == 1 {
				w = direct{near}
			}
			test.fault(near, far)
			n, err := w.Write([]byte("x"))
			if n != 0 || !errors.Is(err, test.want) {
				t.Errorf("%s: %d, %v", test.name, n, err)
			}
			errs[i] = withoutAddresses(t, err)
		}
		if !reflect.DeepEqual(errs[0], errs[1]) {
			t.Errorf("%s: %#v, of the connection itself %#v", test.name, errs[1], errs[0])
		}
	}
}

// waitReset waits until the peer's reset has arrived, and leaves it to be met.
func waitReset(conn *net.TCPConn) {
	raw, _ := conn.SyscallConn()
	raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if _, err := unix.Poll(fds, -1); err != unix.EINTR {
				return
			}
		}
	})
}

func withoutAddresses(t *testing.T, err error) error {
	t.Helper()
	var op *net.OpError
	if !errors.As(err, &op) {
		t.Fatalf("%#v", err)
	}
	return &net.OpError{Op: op.Op, Net: op.Net, Err: op.Err}
}

type own struct {
	net.Conn
	got string
}

func (o *own) Write(p []byte) (int, error) {
	o.got += string(p)
	return len(p), nil
}

// TestOwnWrite: a connection that is not the system's is not passed by.
func TestOwnWrite(t *testing.T) {
	t.Parallel()
	near, _ := tcpPair(t)
	o := &own{Conn: near}
	if n, err := Write(o, []byte("x")); n != 1 || err != nil || o.got != "x" {
		t.Errorf("%d, %v, %q", n, err, o.got)
	}
}
