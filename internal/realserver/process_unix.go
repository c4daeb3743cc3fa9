//go:build unix

package realserver

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// startOwn starts cmd as a user, in a session and process group of its own. exited is
// closed when it has ended.
func startOwn(cmd *exec.Cmd, name string, exited chan<- struct{}) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if name != "" {
		uid, gid, err := lookupUser(name)
		if err != nil {
			return err
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	endWithParent(cmd.SysProcAttr)
	started := make(chan error)
	go func() {
		// The signal that ends it with its parent is sent when the parent's thread ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(exited)
		}
	}()
	return <-started
}

// terminate asks the process to end. Its children are its own to end.
func terminate(p *os.Process) { p.Signal(syscall.SIGTERM) }

// kill kills what is left of the process's group.
func kill(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGKILL) }

// handOver opens the directory to all, and makes the server's user its owner.
func (s *Server) handOver() error {
	if err := os.Chmod(s.dir, 0o755); err != nil || s.user == "" {
		return err
	}
	uid, gid, err := lookupUser(s.user)
	if err != nil {
		return err
	}
	return filepath.WalkDir(s.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}

func lookupUser(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(u.Uid); err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("user %s: %w", name, err)
	}
	return uid, gid, nil
}
