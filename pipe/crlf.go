package pipe

import "bytes"

// crlf turns LF into CRLF. It remembers a CR between two pieces of the input.
type crlf struct {
	cr  bool // the last byte was CR
	buf []byte
}

// convert returns b with a CR before each LF that has none. The result is valid until
// the next call.
func (c *crlf) convert(b []byte) []byte {
	c.buf = c.buf[:0]
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			c.buf = append(c.buf, b...)
			c.cr = b[len(b)-1] == '\r'
			break
		}
		c.buf = append(c.buf, b[:i]...)
		if i > 0 && b[i-1] != '\r' || i == 0 && !c.cr {
			c.buf = append(c.buf, '\r')
		}
		c.buf = append(c.buf, '\n')
		c.cr = false
		b = b[i+1:]
	}
	return c.buf
}
