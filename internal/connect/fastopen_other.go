//go:build !linux

package connect

import (
	"errors"
	"syscall"
)

// HasFastOpen tells whether Options.FastOpen can be used here.
const HasFastOpen = false

func fastOpen(syscall.RawConn) error { return errors.ErrUnsupported }
