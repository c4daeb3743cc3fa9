package trust

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// rewrite changes a file that several processes may have open: under a lock, and so that whoever
// reads it sees all of the old or all of the new. The file is its owner's alone, and so are folders
// that are missing. change gets nothing where there is no file; nil from it leaves all as it is.
func rewrite(path string, change func(old []byte) ([]byte, error)) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // unlocks it
	if err := lockFile(lock); err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data, err := change(old)
	if err != nil || data == nil {
		return err
	}
	return replace(path, data)
}

// replace writes a file beside path, with mode 0600, and moves it there.
func replace(path string, data []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // what a link leads to is changed, not the link
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails when it has been moved
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
