//go:build unix

package tunnel

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"tlsup/internal/quote"
)

// listenWithMode makes the socket in a folder that nobody else can enter, and moves it to its
// place when it has its permissions: at no moment can it be connected to with others.
func listenWithMode(path string, mode fs.FileMode) (net.Listener, error) {
	if mode == 0 {
		return net.Listen("unix", path)
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, syscall.EADDRINUSE
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".tlsup-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	temporary := filepath.Join(dir, "s")
	if err := checkPath(temporary); err != nil {
		return nil, fmt.Errorf("to get its mode the socket is made elsewhere first, %s: %w", quote.Escape(temporary), err)
	}
	l, err := net.Listen("unix", temporary)
	if err != nil {
		return nil, err
	}
	socket := l.(*net.UnixListener)
	socket.SetUnlinkOnClose(false)
	if err = os.Chmod(temporary, mode); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return &movedListener{socket, path}, nil
}

// movedListener is a listener whose socket has another name than it was made with.
type movedListener struct {
	*net.UnixListener
	path string
}

func (l *movedListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

func (l *movedListener) Close() error {
	err := l.UnixListener.Close()
	if err == nil {
		err = os.Remove(l.path)
	}
	return err
}

// accepts reports whether a socket is a listener's.
func accepts(f *os.File) bool {
	on, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err != nil || on != 0
}
