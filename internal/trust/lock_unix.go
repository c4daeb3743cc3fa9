//go:build unix

package trust

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile waits until nobody else has the file locked. Closing it unlocks it.
func lockFile(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}
