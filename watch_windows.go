package main

import "os"

// watchOutput does nothing: the system has no way to wait for the reader of a pipe to go
// away, and the next write shows it.
func watchOutput(*os.File, func()) {}
