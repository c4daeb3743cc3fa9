package tunnel

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"

	"tlsup/internal/quote"
)

// activated is the network of a Place whose listeners the service manager opens.
const activated = "systemd"

// Activated reports whether the service manager opens the place's listeners.
func (p Place) Activated() bool { return p.network == activated }

// CheckPlaces reports whether the places can be listened on together: it has to be clear which of
// the service manager's sockets each one means.
func CheckPlaces(places []Place) error {
	names := map[string]bool{}
	for _, p := range places {
		if !p.Activated() {
			continue
		}
		if names[p.address] || len(names) > 0 && (p.address == "" || names[""]) {
			return errors.New("systemd: without a name is every socket that is handed over: give each LISTEN a name of its own, systemd:NAME")
		}
		names[p.address] = true
	}
	return nil
}

// Listen opens the listeners of each place, which CheckPlaces has found no fault with: one, or as
// many as the service manager has handed over by that name. A socket file gets the permissions mode,
// 0 for those that the process gives. On error nothing stays open; opened is how many places
// have been listened on before.
func Listen(places []Place, mode os.FileMode) (listeners [][]net.Listener, opened int, err error) {
	var handed *sockets
	defer func() {
		if handed != nil {
			handed.close()
		}
		if err != nil {
			for _, l := range listeners {
				closeAll(l)
			}
		}
	}()
	for _, p := range places {
		var of []net.Listener
		if p.Activated() {
			if handed == nil {
				handed = takeSockets()
			}
			of, err = handed.listeners(p.address)
		} else {
			of = make([]net.Listener, 1)
			of[0], err = p.Listen(mode)
		}
		if err != nil {
			return listeners, len(listeners), err
		}
		listeners = append(listeners, of)
	}
	if handed != nil && len(handed.files) > 0 {
		return listeners, len(listeners) - 1, fmt.Errorf("the service manager hands over the socket %s too, which no LISTEN names: its clients would wait for ever",
			quote.Short(handed.files[0].Name()))
	}
	return listeners, len(listeners), nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// sockets are those that the service manager has handed over (sd_listen_fds(3)), named as its unit
// names them, and that no place has taken.
type sockets struct{ files []*os.File }

func takeSockets() *sockets { return &sockets{activation.Files(true)} }

func (s *sockets) close() {
	for _, f := range s.files {
		f.Close()
	}
}

// listeners takes those of a name, "" for all.
func (s *sockets) listeners(name string) (taken []net.Listener, err error) {
	var rest []*os.File
	for _, f := range s.files {
		if name != "" && f.Name() != name || err != nil {
			rest = append(rest, f)
			continue
		}
		var l net.Listener
		if l, err = listenerOf(f); err == nil {
			taken = append(taken, l)
		}
		f.Close()
	}
	s.files = rest
	switch {
	case err != nil:
		closeAll(taken)
		return nil, err
	case taken != nil:
		return taken, nil
	case len(rest) == 0:
		return nil, errors.New("no socket has been handed over: a service manager does that, as systemd for a .socket unit")
	}
	var names []string
	for _, f := range rest {
		names = append(names, quote.Escape(f.Name()))
	}
	return nil, fmt.Errorf("no socket of that name has been handed over, but %s", strings.Join(names, ", "))
}

func listenerOf(f *os.File) (net.Listener, error) {
	if !accepts(f) {
		return nil, fmt.Errorf("the socket %s is a connection: with Accept=yes, LISTEN is - and StandardInput=socket", quote.Short(f.Name()))
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("the socket %s is no listener for a stream", quote.Short(f.Name()))
	}
	return l, nil
}
