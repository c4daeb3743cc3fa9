package tunnel

import (
	"errors"
	"io/fs"
	"net"
	"os"
)

// listenWithMode listens on a socket file. Its permissions are its folder's.
func listenWithMode(path string, mode fs.FileMode) (net.Listener, error) {
	if mode != 0 {
		return nil, errors.New("permissions can't be given on this system, the folder's count")
	}
	return net.Listen("unix", path)
}

// accepts has nothing to tell: no socket is handed over on this system.
func accepts(*os.File) bool { return true }
