package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"tlsup/internal/quote"
)

// keepAlive is how long a client's connection may be silent before its system is asked whether it
// is still there: in the end that finds clients that vanished.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 15 * time.Second, Count: 9}

// A Place is where to listen.
type Place struct{ network, address string }

// ParsePlace reads "[ADDR:]PORT", which is on loopback without ADDR and on a free port for port
// 0, "unix:PATH", or "systemd:" with perhaps the name of sockets that the service manager opens.
func ParsePlace(where string) (Place, error) {
	if path, ok := strings.CutPrefix(where, "unix:"); ok {
		if path == "" {
			return Place{}, errors.New("a Unix socket is unix:PATH")
		}
		return Place{"unix", path}, nil
	}
	if name, ok := strings.CutPrefix(where, activated+":"); ok {
		return Place{activated, name}, nil
	}
	address := where
	if !strings.Contains(where, ":") {
		address = net.JoinHostPort("127.0.0.1", where)
	}
	host, port, err := net.SplitHostPort(address)
	switch {
	case err != nil || port == "":
		return Place{}, errors.New("it is neither [ADDR:]PORT nor unix:PATH nor systemd:[NAME]")
	case host == "":
		return Place{}, fmt.Errorf("no address before the colon: %s is loopback's port, 0.0.0.0:%s that of all addresses", port, port)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return Place{}, fmt.Errorf("port %s is neither between 0 and 65535 nor a known service", quote.Short(port))
	}
	return Place{"tcp", address}, nil
}

// Listen opens a listener, unless it is the service manager's to open. A socket file gets the permissions mode, 0 for those that the process
// gives; one that nobody listens on is replaced.
func (p Place) Listen(mode fs.FileMode) (net.Listener, error) {
	if p.network == "unix" {
		return listenUnix(p.address, mode)
	}
	config := net.ListenConfig{KeepAliveConfig: keepAlive}
	l, err := config.Listen(context.Background(), p.network, p.address)
	if err != nil {
		return nil, listenFault(err)
	}
	return l, nil
}

// longestPath is how many bytes a socket file's path may have: a socket address ends with a zero byte.
const longestPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// checkPath reports whether a path fits in a socket address.
func checkPath(path string) error {
	if len(path) > longestPath {
		return fmt.Errorf("the path has %d bytes, and a Unix socket's may have %d", len(path), longestPath)
	}
	return nil
}

// listenUnix listens on a socket file. One that is left of a server that is gone is in the way.
func listenUnix(path string, mode fs.FileMode) (net.Listener, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	l, err := listenWithMode(path, mode)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(path); err != nil {
			return nil, err
		}
		l, err = listenWithMode(path, mode)
	}
	if err != nil {
		return nil, listenFault(err)
	}
	return l, nil
}

// removeStale removes a socket file that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is no socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%s: somebody listens there already", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s is in the way: %w", path, err)
	}
	return os.Remove(path)
}

// listenFault leaves out of an error what is said anyway.
func listenFault(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	var call *os.SyscallError
	if errors.As(op.Err, &call) {
		return call.Err
	}
	return op.Err
}

// mayRecover reports whether accepting may succeed later: connections that ended in the backlog,
// and resources that others may free.
func mayRecover(err error) bool {
	for _, code := range []error{syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EINTR, syscall.EAGAIN} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// Address is how a listener's or client's address is written in the log.
func Address(a net.Addr) string {
	if a == nil || a.Network() == "unix" && a.String() == "" {
		return "unix"
	}
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return a.String()
}

// String is the place as it was written, but for what goes without saying.
func (p Place) String() string {
	if p.network == "tcp" {
		return p.address
	}
	return p.network + ":" + p.address
}
