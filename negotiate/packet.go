package negotiate

// unexpected is the error for bytes that have no place in a protocol of packets. It
// quotes all that came, unless that is the beginning of a TLS record.
func (c *Conn) unexpected() error {
	// A record may come in pieces, and fill recognises it by its first three bytes.
	for len(c.buf) == c.received && 0 < len(c.buf) && len(c.buf) < 3 && (c.buf[0] == recordAlert || c.buf[0] == recordHandshake) {
		if err := c.fill(); err == ErrTLS {
			return err
		} else if err != nil {
			break
		}
	}
	return c.fault(Unexpected(c.unread()))
}

// expect reads bytes that have to be these, and not one more than the first that is not.
func (c *Conn) expect(bytes string) error {
	for i := range len(bytes) {
		b, err := c.ReadByte()
		if err != nil {
			return err
		}
		if b != bytes[i] {
			return c.unexpected()
		}
	}
	return nil
}
