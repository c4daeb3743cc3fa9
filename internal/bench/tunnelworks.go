package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"tlsup/internal/testserver"
)

// A tunnelWork is what forwarders are measured at.
type tunnelWork struct {
	way string // which of a forwarder's
	do  func(b *bench, t *tunnel) (sample, error)
	// atOnce is how many connections are open, 0 for a few.
	atOnce int
	// single: not for forwarders that have a process for each connection.
	single bool
}

const (
	// atOnce is how many sessions are under way.
	atOnce = 16
	// perSession is how many there are through a tunnel for one of a client.
	perSession = 8
)

var tunnelWorks = slices.Concat([]work{
	transferWork("tunnel-up-1", "tls", 1, 1, 0),
	transferWork("tunnel-down-1", "tls", 1, 0, 1),
	transferWork("tunnel-both-1", "tls", 1, 1, 1),
	transferWork("tunnel-up-8", "tls", 8, 1, 0),
	transferWork("tunnel-down-8", "tls", 8, 0, 1),
	transferWork("tunnel-both-8", "tls", 8, 1, 1),
	transferWork("tunnel-raw-up", "raw", 1, 1, 0),
	transferWork("tunnel-raw-down", "raw", 1, 0, 1),
	sessionWork("tunnel-session", "connect, full handshake, one line and its echo, end; 16 at once", "tls", "echo", line),
	sessionWork("tunnel-resumed", "the same, in sessions that are resumed", "tls", "echo-resumed", line),
	sessionWork("tunnel-smtp", "connect, upgrade by SMTP, full handshake, greeting, QUIT, end; 16 at once", "smtp", "smtp", smtp),
	sessionWork("tunnel-imap", "the same with IMAP and LOGOUT", "imap", "imap", imap),
	sessionWork("tunnel-postgres", "the same with PostgreSQL, a login and a query", "postgres", "postgres", postgres),
	{
		Name: "tunnel-trip", About: "64 bytes to the server and back, all on one core", kind: trip, service: "echo", pinned: true,
		tunnel: &tunnelWork{way: "tls", do: (*bench).trips},
	},
}, idleWorks(100, 1000, 5000))

// transferWork moves bytes: all of them one way, or half of them each way.
func transferWork(name, way string, conns, up, down int) work {
	service, about := "exchange", "a stream through the tunnel"
	if way == "raw" {
		service, about = "exchange-clear", "a stream through the tunnel without its TLS"
	}
	if conns > 1 {
		about = fmt.Sprintf("%d streams through the tunnel at once", conns)
	}
	switch {
	case down == 0:
		about += ", to the server"
	case up == 0:
		about += ", from the server"
	default:
		about += ", half of it each way"
	}
	return work{Name: name, About: about, kind: transfer, service: service, tunnel: &tunnelWork{
		way: way,
		do: func(b *bench, t *tunnel) (sample, error) {
			part := b.Size / int64(conns*(up+down))
			return t.transfer(conns, part*int64(up), part*int64(down), 0)
		},
	}}
}

// open opens connections and exchanges nothing on them, so that they are ready.
func (t *tunnel) open(n int, begin func(net.Conn) error) (conns []net.Conn, err error) {
	var mu sync.Mutex
	err = parallel(n, func() error {
		conn, err := t.dial()
		if err != nil {
			return err
		}
		mu.Lock()
		conns = append(conns, conn)
		mu.Unlock()
		return begin(conn)
	})
	return conns, err
}

// parallel calls f n times, atOnce of them at a time, until one fails.
func parallel(n int, f func() error) error {
	due := make(chan struct{}, n)
	for range n {
		due <- struct{}{}
	}
	close(due)
	errs := make(chan error, atOnce)
	for range atOnce {
		go func() {
			for range due {
				if err := f(); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var err error
	for range atOnce {
		err = cmp.Or(err, <-errs)
	}
	return err
}

// closeAll closes connections.
func closeAll(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}

// transfer moves up and down bytes on each of some connections at once, in pieces of so many.
func (t *tunnel) transfer(n int, up, down, piece int64) (s sample, err error) {
	conns, err := t.open(n, func(c net.Conn) error { return ask(c, 0, 0, 0) })
	defer func() { closeAll(conns) }()
	if err != nil {
		return s, err
	}
	s, err = t.measure(func() error {
		errs := make(chan error, n)
		for _, c := range conns {
			go func() { errs <- ask(c, up, down, piece) }()
		}
		var err error
		for range conns {
			if e := <-errs; e != nil && err == nil {
				err = e
				closeAll(conns) // the others end too
			}
		}
		return err
	})
	if err != nil {
		return s, err
	}
	closeAll(conns)
	reports, err := t.reports(n)
	for _, r := range reports {
		s.suite = r.Suite
		if r.Bytes != up+down {
			err = cmp.Or(err, fmt.Errorf("the server has counted %d bytes, not %d", r.Bytes, up+down))
		}
	}
	return s, err
}

// ask asks an exchange of the server, and takes part in it.
func ask(conn net.Conn, up, down, piece int64) error {
	var request []byte
	for _, n := range []int64{up, down, piece} {
		request = binary.BigEndian.AppendUint64(request, uint64(n))
	}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	err := both(func() error {
		_, err := (&source{size: up, piece: piece}).WriteTo(conn)
		return err
	}, conn, down)
	if err != nil {
		return err
	}
	var answer [8]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	if n := binary.BigEndian.Uint64(answer[:]); int64(n) != up {
		return fmt.Errorf("the server has received %d bytes, not %d", n, up)
	}
	return nil
}

// both sends, and receives size bytes meanwhile. When one fails, the other is closed.
func both(send func() error, conn net.Conn, size int64) error {
	sent := make(chan error, 1)
	go func() {
		err := send()
		if err != nil {
			conn.Close()
		}
		sent <- err
	}()
	err := accept(conn, size)
	if err != nil {
		conn.Close()
	}
	return errors.Join(err, <-sent)
}

// A step of a dialogue says something, and waits for what the answer has in it.
type step struct{ say, hear string }

var (
	line = []step{{"0123456789abcdef\n", "0123456789abcdef\n"}}
	smtp = []step{{"", "220 "}, {"QUIT\r\n", "221 "}}
	imap = []step{{"", "* OK"}, {"a LOGOUT\r\n", "a OK"}}

	postgres = func() []step {
		talk := testserver.Talk("postgres")
		return []step{{talk[0], "R"}, {talk[1], "Z\x00\x00\x00\x05I"}, {talk[2], "SELECT 1\x00"}, {talk[3], ""}}
	}()
)

// hold holds a dialogue.
func hold(conn net.Conn, steps []step) error {
	buf := make([]byte, 4096)
	for _, s := range steps {
		if _, err := io.WriteString(conn, s.say); err != nil {
			return err
		}
		var heard []byte
		for !bytes.Contains(heard, []byte(s.hear)) {
			n, err := conn.Read(buf)
			heard = append(heard, buf[:n]...)
			if err != nil && !bytes.Contains(heard, []byte(s.hear)) {
				return fmt.Errorf("%w behind %.100q, where %q was due", err, heard, s.hear)
			}
		}
	}
	return nil
}

// sessionWork holds dialogues, each in a session of its own.
func sessionWork(name, about, way, service string, steps []step) work {
	return work{Name: name, About: about, kind: session, service: service, tunnel: &tunnelWork{
		way: way, single: service == "echo-resumed",
		do: func(b *bench, t *tunnel) (sample, error) {
			return t.sessions(b.Sessions*perSession, steps, service == "echo-resumed")
		},
	}}
}

// sessions returns what one of n sessions has taken.
func (t *tunnel) sessions(n int, steps []step, resumed bool) (s sample, err error) {
	one := func() error {
		conn, err := t.dial()
		if err != nil {
			return err
		}
		defer conn.Close()
		return hold(conn, steps)
	}
	// The first ones get the forwarder ready, and sessions to be resumed.
	if err := errors.Join(one(), parallel(atOnce, one)); err != nil {
		return s, err
	}
	if _, err := t.reports(1 + atOnce); err != nil {
		return s, err
	}
	s, err = t.measure(func() error { return parallel(n, one) })
	if err != nil {
		return s, err
	}
	reports, err := t.reports(n)
	count := 0
	for _, r := range reports {
		s.suite = r.Suite
		if r.Resumed {
			count++
		}
	}
	if resumed && count < n*9/10 || !resumed && count > 0 { // a thread may have none to resume
		err = cmp.Or(err, fmt.Errorf("%d of %d sessions were resumed", count, n))
	}
	s.Wall /= time.Duration(n)
	s.CPU /= time.Duration(n)
	s.Server /= time.Duration(n)
	return s, err
}

// trips returns how long 64 bytes take to the server and back.
func (b *bench) trips(t *tunnel) (s sample, err error) {
	conn, err := t.dial()
	if err != nil {
		return s, err
	}
	defer conn.Close()
	n := 100 * b.Sessions
	if _, err := trips(conn, n/10); err != nil {
		return s, err
	}
	var took sample
	s, err = t.measure(func() (err error) {
		took, err = trips(conn, n)
		return err
	})
	if err != nil {
		return s, err
	}
	conn.Close()
	reports, err := t.reports(1)
	if err != nil {
		return s, err
	}
	s.suite = reports[0].Suite
	s.Wall, s.P99 = took.Wall, took.P99
	s.CPU /= time.Duration(n)
	s.Server /= time.Duration(n)
	return s, nil
}

// trips has messages come back, and returns how long the middle one took and that in the 99th of a
// hundred.
func trips(conn io.ReadWriter, n int) (s sample, err error) {
	message, answer := []byte(strings.Repeat("0123456789abcde\n", 4)), make([]byte, 64)
	times := make([]time.Duration, n)
	for i := range times {
		start := time.Now()
		if _, err := conn.Write(message); err != nil {
			return s, err
		}
		if _, err := io.ReadFull(conn, answer); err != nil {
			return s, err
		}
		if !bytes.Equal(answer, message) {
			return s, errors.New("what comes back is not what was sent")
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	s.Wall, s.P99 = times[n/2], times[n*99/100]
	return s, nil
}

// idleWorks measure what connections take on which nothing happens.
func idleWorks(numbers ...int) (all []work) {
	for _, n := range numbers {
		all = append(all, work{
			Name: fmt.Sprintf("tunnel-idle-%d", n), About: fmt.Sprintf("%d connections on which nothing moves", n),
			kind: idle, service: "echo",
			tunnel: &tunnelWork{way: "tls", atOnce: n, do: func(b *bench, t *tunnel) (sample, error) { return t.idle(n, b.rest) }},
		})
	}
	return all
}

// idle returns the memory that n connections take when they have rested, over that of the
// forwarder without any.
func (t *tunnel) idle(n int, rest time.Duration) (s sample, err error) {
	conns, rss, err := t.crowd(n, rest)
	defer func() { closeAll(conns) }()
	if err != nil {
		return s, err
	}
	s.RSS = rss
	for _, c := range []net.Conn{conns[0], conns[n-1]} {
		if err := hold(c, line); err != nil {
			return s, fmt.Errorf("after a rest: %w", err)
		}
	}
	closeAll(conns)
	reports, err := t.reports(n)
	if err == nil {
		s.suite = reports[0].Suite
	}
	return s, err
}

// crowd opens n connections, and returns the memory that they take when they have rested.
func (t *tunnel) crowd(n int, rest time.Duration) (conns []net.Conn, rss int64, err error) {
	for !listens(t.port) && t.ended.Err() == nil && time.Since(t.began) < startWait {
		time.Sleep(time.Millisecond)
	}
	t.settle()
	empty, _ := rssOf(t.pid)
	conns, err = t.open(n, func(c net.Conn) error { return hold(c, line) })
	if err != nil {
		return conns, 0, err
	}
	select {
	case <-time.After(rest):
	case <-t.ctx.Done():
	}
	full, _ := rssOf(t.pid)
	return conns, full - empty, nil
}
