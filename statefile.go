package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// stateFile is where a file that is kept from run to run is: in XDG_STATE_HOME, or what stands for
// it.
func stateFile(name string) (string, error) {
	folder := os.Getenv("XDG_STATE_HOME")
	if filepath.IsAbs(folder) { // another is to be ignored, says the specification
		return filepath.Join(folder, "tlsup", name), nil
	}
	if runtime.GOOS == "windows" {
		folder, err := os.UserConfigDir()
		return filepath.Join(folder, "tlsup", name), err
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("there is no folder for what is kept: neither XDG_STATE_HOME nor HOME is set")
	}
	return filepath.Join(home, ".local", "state", "tlsup", name), nil
}
