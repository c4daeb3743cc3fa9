package tunnel

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"tlsup/internal/connect"
)

// TestKeepAlive: clients and servers that vanished are found, whoever opened the listener.
func TestKeepAlive(t *testing.T) {
	for name, listen := range map[string]func(t *testing.T, l net.Listener) net.Listener{
		"own": func(_ *testing.T, l net.Listener) net.Listener { return l },
		"the service manager's": func(t *testing.T, l net.Listener) net.Listener {
			f, err := l.(*net.TCPListener).File()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			handed, err := listenerOf(f)
			if err != nil {
				t.Fatal(err)
			}
			return handed
		},
	} {
		t.Run(name, func(t *testing.T) {
			place, err := ParsePlace("0")
			if err != nil {
				t.Fatal(err)
			}
			first, err := place.Listen(0)
			if err != nil {
				t.Fatal(err)
			}
			defer first.Close()
			l := listen(t, first)
			defer l.Close()
			o := &connect.Options{Network: "tcp"}
			dialled, _, err := connect.Connect(t.Context(), connect.Target{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}, o)
			if err != nil {
				t.Fatal(err)
			}
			defer dialled.Close()
			accepted, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
			for who, conn := range map[string]net.Conn{"client": accepted, "server": dialled} {
				if !keptAlive(t, conn) {
					t.Errorf("the %s is not asked whether it is there", who)
				}
			}
		})
	}
}

func keptAlive(t *testing.T, conn net.Conn) bool {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	on := 0
	raw.Control(func(fd uintptr) { on, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE) })
	if err != nil {
		t.Fatal(err)
	}
	return on != 0
}
