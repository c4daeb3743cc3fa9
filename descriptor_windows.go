package main

import (
	"errors"
	"os"
)

// openDescriptor returns an error: programs are not handed descriptors by their numbers here.
func openDescriptor(int, bool) (*os.File, error) {
	return nil, errors.New("it can't be used on this system")
}

// handsDescriptors tells that programs are not handed descriptors.
const handsDescriptors = false

func socketPair(_, _ **os.File) error { return errors.ErrUnsupported }

func awaitByte(*os.File) (byte, bool) { return 0, false }

func hasByte(*os.File) bool { return false }

func hasUnread(*os.File) bool { return false }
