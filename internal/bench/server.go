package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// serverArg makes this program the server, which is a process of its own, so that what it
// spends is not counted with the clients.
const serverArg = "serve-for-bench"

// A report is what the server saw of one connection.
type report struct {
	Suite   string        // TLS version, cipher suite, key exchange group
	Resumed bool          // the session
	Bytes   int64         // in a transfer: how many the server has received and sent
	CPU     time.Duration // in a transfer: what the server has spent, 0 where unknown
	Err     string        // in a transfer: what went wrong
}

// A server is the client's view of the neutral other end.
type server struct {
	Ports   map[string]int // by service
	reports chan report    // one a connection, closed when the server has ended
	stop    func() error
	pid     int
}

// cpu returns what the server has spent, 0 where unknown.
func (s *server) cpu() time.Duration { return cpuOf(s.pid) }

// startServer starts the server for transfers of size bytes. The authority that has signed
// its certificate is written to caFile.
func startServer(caFile string, size int64) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, serverArg, caFile, strconv.FormatInt(size, 10))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // its end is what stops the server
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{pid: cmd.Process.Pid, reports: make(chan report, 1000), stop: func() error {
		stdin.Close()
		return cmd.Wait()
	}}
	lines := json.NewDecoder(stdout)
	if err := lines.Decode(&s.Ports); err != nil {
		return nil, fmt.Errorf("server: %w", errors.Join(err, s.stop()))
	}
	go func() {
		defer close(s.reports)
		for {
			var r report
			if lines.Decode(&r) != nil {
				return
			}
			s.reports <- r
		}
	}()
	return s, nil
}

// answerWait is how long a report may take when the client has ended.
const answerWait = 5 * time.Second

// forget passes over what the server saw of a client that has failed: it is not the next one's.
func (s *server) forget() {
	for {
		select {
		case _, ok := <-s.reports:
			if !ok {
				return
			}
		case <-time.After(time.Second):
			return
		}
	}
}

// next returns the report on the one connection that was made since the last call.
func (s *server) next(wait time.Duration) (report, error) {
	select {
	case r, ok := <-s.reports:
		if !ok {
			return r, errors.New("server has ended")
		}
		if r.Err != "" {
			return r, errors.New("server: " + r.Err)
		}
		return r, nil
	case <-time.After(wait):
		return report{}, errors.New("server saw no whole connection")
	}
}
