package trust

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
)

// TestRenegotiation: what crypto/tls says of a server's HelloRequest is told from all else.
func TestRenegotiation(t *testing.T) {
	local := &net.OpError{Op: "local error", Err: tls.AlertError(100)}
	for _, x := range []struct {
		err  error
		want bool
	}{
		{local, true},
		{fmt.Errorf("read: %w", local), true},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(100)}, false},
		{&net.OpError{Op: "local error", Err: tls.AlertError(10)}, false},
		{io.EOF, false},
	} {
		if got := WantsRenegotiation(x.err); got != x.want {
			t.Errorf("%v: %v", x.err, got)
		}
	}
}
