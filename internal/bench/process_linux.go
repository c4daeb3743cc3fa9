package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuOf returns what a process and its children have spent.
func cpuOf(pid int) time.Duration {
	var own unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|2), &own) != nil { // its clock, see clock_getcpuclockid(3)
		return 0
	}
	cpu := time.Duration(own.Nano())
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// Of children that have ended: behind the name, which may hold anything, cutime and cstime
	// are the 14th and 15th field.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	for i := 13; i < 15 && i < len(fields); i++ {
		ticks, _ := strconv.ParseInt(fields[i], 10, 64)
		cpu += time.Duration(ticks) * time.Second / 100 // on all architectures
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range strings.Fields(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			cpu += cpuOf(n)
		}
	}
	return cpu
}

// pin has this process and another one, and what they start, run on one core, until it is undone.
func pin(pid int) (undo func()) {
	var before, one unix.CPUSet
	if unix.SchedGetaffinity(0, &before) != nil {
		return func() {}
	}
	for cpu := 0; one.Count() == 0; cpu++ {
		if before.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	set := func(cpus *unix.CPUSet) {
		for _, of := range []int{os.Getpid(), pid} {
			threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", of))
			for _, thread := range threads {
				if id, err := strconv.Atoi(thread.Name()); err == nil {
					unix.SchedSetaffinity(id, cpus)
				}
			}
		}
	}
	set(&one)
	return func() { set(&before) }
}

// rssOf returns a process's resident set and the largest that it has had, in bytes.
func rssOf(pid int) (now, peak int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			now = kib << 10
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			peak = kib << 10
		}
	}
	return now, peak
}

// listens tells whether somebody listens on a port of 127.0.0.1. A connection would be work.
func listens(port int) bool {
	text, _ := os.ReadFile("/proc/net/tcp")
	for line := range strings.Lines(string(text)) {
		// The number, the local address, the remote one, and the state: 0A for LISTEN.
		fields := strings.Fields(line)
		if len(fields) > 3 && fields[3] == "0A" && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
			return true
		}
	}
	return false
}
