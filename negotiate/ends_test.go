package negotiate

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
)

// testShown checks what a tunnel's client is shown of what the server says, however that comes.
func testShown(t *testing.T, name string, ends func(*Local, net.Conn, net.Conn) (net.Conn, net.Conn), says, shown string) {
	t.Helper()
	for cut, reader := range map[string]func(io.Reader) io.Reader{
		"whole":   func(r io.Reader) io.Reader { return r },
		"halves":  iotest.HalfReader,
		"bytes":   iotest.OneByteReader,
		"the end": iotest.DataErrReader,
	} {
		t.Run(name+"/"+cut, func(t *testing.T) {
			_, server := ends(nil, nil, readerConn{Reader: reader(strings.NewReader(says))})
			if err := iotest.TestReader(struct{ io.Reader }{server}, []byte(shown)); err != nil {
				t.Error(err)
			}
		})
	}
}

// readerConn is a connection of which only reading matters.
type readerConn struct {
	io.Reader
	net.Conn
}

func (c readerConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }
