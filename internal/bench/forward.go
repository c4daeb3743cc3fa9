package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A tunnel is a forwarder that runs.
type tunnel struct {
	ctx    context.Context
	server *server
	addr   string
	port   int
	pid    int
	forks  bool
	began  time.Time
	log    string          // the file with what it says
	ended  context.Context // when the process has
	stop   func()
}

// startWait is how long a forwarder may take to listen.
const startWait = 10 * time.Second

// startTunnel starts a forwarder on a free port, in front of one of the server's.
func (b *bench) startTunnel(ctx context.Context, f forwarder, way string, port int) (*tunnel, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l.Close() // and the forwarder takes it
	t := &tunnel{
		ctx: ctx, forks: f.forks, server: b.server,
		addr: l.Addr().String(), port: l.Addr().(*net.TCPAddr).Port, log: filepath.Join(b.dir, "log"),
	}
	configFile := filepath.Join(b.dir, "config")
	argv, config := f.call(way, places(b.ca(), configFile, t.port, port))
	if f.Name == subject {
		argv[0] = b.program
	}
	if err := os.WriteFile(configFile, []byte(config), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(t.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended, end := context.WithCancel(context.Background())
	go func() {
		cmd.Wait()
		end()
	}()
	t.pid, t.began, t.ended = cmd.Process.Pid, time.Now(), ended
	t.stop = func() {
		cmd.Process.Kill()
		<-ended.Done()
	}
	return t, nil
}

// complaint is the last that the forwarder has said.
func (t *tunnel) complaint() string {
	text, _ := os.ReadFile(t.log)
	text = bytes.TrimSpace(text)
	return fmt.Sprintf("%.300q", text[bytes.LastIndexByte(text, '\n')+1:])
}

// dial connects to the forwarder. It waits for it to listen.
func (t *tunnel) dial() (net.Conn, error) {
	for {
		d := net.Dialer{}
		conn, err := d.DialContext(t.ctx, "tcp", t.addr)
		switch {
		case err == nil:
			conn.SetDeadline(time.Now().Add(limit))
			context.AfterFunc(t.ctx, func() { conn.Close() })
			return conn, nil
		case t.ended.Err() != nil:
			return nil, errors.New("has ended: " + t.complaint())
		case !errors.Is(err, syscall.ECONNREFUSED) || time.Since(t.began) > startWait:
			return nil, err
		}
		time.Sleep(time.Millisecond)
	}
}

// settle waits until the forwarder does nothing any more, two seconds at most.
func (t *tunnel) settle() {
	const moment = 20 * time.Millisecond
	before := cpuOf(t.pid)
	for range 2 * time.Second / moment {
		time.Sleep(moment)
		now := cpuOf(t.pid)
		if now == before {
			return
		}
		before = now
	}
}

// measure runs f, and returns what the forwarder has spent until all of it was done.
func (t *tunnel) measure(f func() error) (sample, error) {
	t.settle()
	spent, server := cpuOf(t.pid), t.server.cpu()
	start := time.Now()
	if err := f(); err != nil {
		return sample{}, err
	}
	s := sample{Wall: time.Since(start)}
	t.settle()
	s.CPU, s.Server = cpuOf(t.pid)-spent, t.server.cpu()-server
	if !t.forks {
		_, s.RSS = rssOf(t.pid)
	}
	return s, nil
}

// reports takes the server's word on n connections.
func (t *tunnel) reports(n int) (all []report, err error) {
	for range n {
		r, err := t.server.next(answerWait)
		if err != nil {
			return all, fmt.Errorf("connection %d of %d: %w", len(all)+1, n, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// forward lets a forwarder do a work once.
func (b *bench) forward(ctx context.Context, w work, f forwarder) (sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // which closes connections
	t, err := b.startTunnel(ctx, f, w.tunnel.way, b.server.Ports[w.service])
	if err != nil {
		return sample{}, err
	}
	defer t.stop()
	s, err := w.tunnel.do(b, t)
	if err != nil && t.ended.Err() != nil {
		err = fmt.Errorf("%w; has ended: %s", err, t.complaint())
	}
	s.suite = cmp.Or(s.suite, "no TLS")
	return s, err
}
