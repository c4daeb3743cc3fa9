package realserver

import "syscall"

// endWithParent has the process ended when the thread that starts it does, so that no
// server outlives a test that was killed.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
