package tunnel

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/pires/go-proxyproto"
)

// Bounds of a PROXY protocol header, in bytes.
const (
	longestV1 = 107 // with the line's end
	longestV2 = 4 << 10
)

var errNoHeader = errors.New("no PROXY protocol header, which every connection has to begin with")

// A headerError tells that a client's connection does not begin as it should.
type headerError struct{ error }

func (e *headerError) Unwrap() error { return e.error }

// readHeader reads the header of the PROXY protocol, version 1 or 2, with which a load balancer begins
// a connection, and nothing behind it. It returns whom it names as the client: nil where it
// names nobody, as for the load balancer's own checks. The context bounds it. It fails with a
// *headerError.
func readHeader(ctx context.Context, conn net.Conn) (net.Addr, error) {
	whole := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	raw, err := headerBytes(conn)
	if !whole() && errors.Is(ctx.Err(), context.Canceled) {
		return nil, context.Cause(ctx)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &headerError{errors.New("no PROXY protocol header in time")}
	case err == io.EOF:
		return nil, &headerError{errors.New("closed before a PROXY protocol header")}
	case err != nil:
		return nil, &headerError{err}
	}
	header, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, &headerError{fmt.Errorf("PROXY protocol header: %w", err)}
	}
	if header.Command.IsLocal() || header.TransportProtocol.IsUnspec() {
		return nil, nil
	}
	return header.SourceAddr, nil
}

// headerBytes reads exactly the bytes of a header.
func headerBytes(r io.Reader) ([]byte, error) {
	b := make([]byte, len(proxyproto.SIGV2), longestV1) // shorter than the shortest of either version
	if n, err := io.ReadFull(r, b); err != nil {
		if n > 0 && err == io.ErrUnexpectedEOF {
			err = errNoHeader
		}
		return nil, err
	}
	switch {
	case bytes.Equal(b, proxyproto.SIGV2):
		return secondVersion(r, b)
	case !bytes.HasPrefix(b, []byte("PROXY ")):
		return nil, errNoHeader
	}
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(r, one); err != nil {
			return nil, err
		}
		if b = append(b, one[0]); one[0] == '\n' {
			return b, nil
		}
		if len(b) == longestV1 {
			return nil, fmt.Errorf("PROXY protocol header: longer than %d bytes", longestV1)
		}
	}
}

func secondVersion(r io.Reader, b []byte) ([]byte, error) {
	b = append(b, make([]byte, 4)...)
	if _, err := io.ReadFull(r, b[12:]); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(b[14:]))
	if length > longestV2 {
		return nil, fmt.Errorf("PROXY protocol header: longer than %d bytes", longestV2)
	}
	b = append(b, make([]byte, length)...)
	_, err := io.ReadFull(r, b[16:])
	return b, err
}
