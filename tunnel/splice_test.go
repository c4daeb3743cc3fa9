package tunnel

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
)

// A spy is a client's connection that tells what it is copied from and to.
type spy struct {
	*net.TCPConn
	from, to chan string
}

// ReadFrom is what io.Copy calls with the source: from a bare connection the kernel copies.
func (s *spy) ReadFrom(r io.Reader) (int64, error) {
	s.from <- fmt.Sprintf("%T", r)
	return s.TCPConn.ReadFrom(r)
}

// WriteTo is what io.Copy calls with the destination.
func (s *spy) WriteTo(w io.Writer) (int64, error) {
	s.to <- fmt.Sprintf("%T", w)
	return s.TCPConn.WriteTo(w)
}

// A spyListener accepts spies.
type spyListener struct {
	*net.TCPListener
	accepted chan *spy
}

func (l *spyListener) Accept() (net.Conn, error) {
	conn, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	s := &spy{conn, make(chan string, 10), make(chan string, 10)}
	l.accepted <- s
	return s, nil
}

// TestRawSplices: with --raw both ends reach io.Copy bare, or as the guard of another's handshake, which
// itself leaves the rest to bare ends (negotiate's TestRawSplices): so the kernel can copy.
func TestRawSplices(t *testing.T) {
	for name, server := range map[string]string{"imap": "*negotiate.rawConn", "imaps": "*net.TCPConn"} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, name)
			pair := to(t, name, s)
			pair.Raw = true
			listener := &spyListener{listen(t, "0", 0).(*net.TCPListener), make(chan *spy, 1)}
			pair.Listener = listener
			b := start(t, pair, nil)
			client := tls.Client(dial(t, b), &tls.Config{ServerName: "127.0.0.1", RootCAs: s.CA.Pool()})
			if _, err := io.WriteString(client, "a LOGOUT\r\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(client); err != nil {
				t.Fatal(err)
			}
			client.Close()
			b.journal.await(t, "closed", 1)
			spy := <-listener.accepted
			if to := noted(spy.to); to != server {
				t.Errorf("what the client says is copied to a %s", to)
			}
			bare := []string{"*net.TCPConn", "net.tcpConnWithoutWriteTo"} // the latter is in net's own WriteTo
			if from := noted(spy.from); !slices.Contains(bare, from) {
				t.Errorf("what the client hears is copied from a %s", from)
			}
		})
	}
}

// noted is the first that was noted, or nothing.
func noted(kinds chan string) string {
	select {
	case kind := <-kinds:
		return kind
	default:
		return "nothing"
	}
}
