package connect

import (
	"errors"
	"net"
	"os"
	"strings"
)

// Reason is an error's text without what is known: the addresses of the connection, the system's
// call.
func Reason(err error) string {
	text := err.Error()
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		inner := op.Err
		var call *os.SyscallError
		if errors.As(inner, &call) {
			inner = call.Err
		}
		text = strings.Replace(text, op.Error(), inner.Error(), 1)
	}
	return text
}
