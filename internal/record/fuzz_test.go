package record

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
)

// piecewise is a connection on which data comes in pieces of a size.
type piecewise struct {
	net.Conn
	data []byte
	size int
}

func (c *piecewise) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size)], c.data)
	c.data = c.data[n:]
	return n, nil
}

// FuzzConn reads what comes as records: none of it is lost, however it comes and is asked for, nothing
// of two records is handed out at once, and no buffer is larger than the largest.
func FuzzConn(f *testing.F) {
	f.Add([]byte("\x16\x03\x03\x00\x05hello\x17\x03\x03\x00\x01x\x15\x03\x03\x00\x02\x01\x00"), uint16(3), uint16(7))
	f.Add([]byte("\x17\x03\x03\xff\xffshort"), uint16(65535), uint16(65535))
	f.Add([]byte("\x17\x03\x03\x00\x00\x17\x03"), uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, data []byte, size, room uint16) {
		c := NewConn(&piecewise{data: data, size: int(size) + 1})
		p := make([]byte, int(room)+1)
		at, end := 0, 0 // in data: what was handed out, and where its record ends
		for {
			whole := c.pending()
			n, err := c.Read(p)
			if !bytes.Equal(p[:n], data[at:at+n]) {
				t.Fatalf("%q in place of %q", p[:n], data[at:at+n])
			}
			if n > 0 && at == end {
				end = len(data)
				if len(data)-at >= headerLen {
					end = at + headerLen + int(binary.BigEndian.Uint16(data[at+3:]))
				}
				if whole != 0 && whole != end-at {
					t.Fatalf("a record of %d bytes is said to be pending, it has %d", whole, end-at)
				}
			}
			if at += n; at > end {
				t.Fatalf("%d bytes are of the next record", at-end)
			}
			if c.in != nil && len(c.in.b) > bufferSize {
				t.Fatalf("a buffer of %d bytes", len(c.in.b))
			}
			if err != nil {
				if err != io.EOF || at != len(data) || !c.cut() {
					t.Fatalf("%v behind %d bytes of %d", err, at, len(data))
				}
				return
			}
		}
	})
}
