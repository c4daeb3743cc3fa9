//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tlsup/internal/connect"
	"tlsup/negotiate"
	"tlsup/pipe"
)

// runUCSPI runs a shell command that is offered UCSPI-TLS on a connection to a server that sends
// greeting and then only reads. It returns what the server was sent, and how the run ended.
func runUCSPI(t *testing.T, greeting []byte, command string) (heard []byte, err error) {
	t.Helper()
	conn, peer := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		heard, _ = io.ReadAll(peer)
	}()
	go peer.Write(greeting)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	s := &session{program: &program{}, plan: &plan{manual: true, timeout: patience}, pipe: &pipe.Pipe{Linger: -1}}
	running, err := s.startCommand(exec.Command("sh", "-c", command), cancel)
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan error, 1)
	go func() {
		begun <- s.pipe.RunManual(ctx, conn, pipe.Manual{
			StartTLS: func(ctx context.Context) (pipe.Conn, error) {
				if err := s.ucspi.begin(); err != nil {
					return nil, err
				}
				client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
				return client, client.HandshakeContext(ctx)
			},
			Start: s.ucspi.order(nil),
		})
	}()
	select {
	case err = <-begun:
	case <-time.After(patience):
		t.Error("the run has no end")
		cancel(nil)
		err = <-begun
	}
	conn.Close()
	running.end(err)
	<-done
	return heard, err
}

// TestUCSPIRace: what a command writes behind its request for TLS never gets to the server in the
// clear, whichever of the two is seen first.
func TestUCSPIRace(t *testing.T) {
	t.Parallel()
	for range 200 {
		heard, err := runUCSPI(t, []byte("220 go\r\n"), "read go; printf y >&$SSLCTLFD; echo secret; cat <&$SSLREADFD")
		if bytes.Contains(heard, []byte("secret")) {
			t.Fatalf("sent in the clear: %q", heard)
		}
		if !errors.Is(err, errAround) {
			t.Fatalf("ended with %v", err)
		}
	}
}

// TestUCSPIUnread: more than a pipe holds, that the command does not read, ends the run when it asks.
func TestUCSPIUnread(t *testing.T) {
	t.Parallel()
	for _, size := range []int{2, 100_000, 2_000_000} {
		heard, err := runUCSPI(t, []byte(strings.Repeat("x", size)), "dd bs=1 count=1 of=/dev/null 2>/dev/null; printf y >&$SSLCTLFD; cat <&$SSLREADFD")
		var failed *connect.Error
		if !errors.As(err, new(*negotiate.CleartextError)) || !errors.As(err, &failed) || failed.Status() != 4 {
			t.Errorf("%d bytes: %v", size, err)
		}
		if len(heard) > 0 {
			t.Errorf("%d bytes: the server was sent %q", size, heard)
		}
	}
}

// TestHasUnread: looking at a pipe takes nothing from it.
func TestHasUnread(t *testing.T) {
	t.Parallel()
	r, w := newPipe(t)
	if hasUnread(r) {
		t.Error("an empty pipe")
	}
	io.WriteString(w, "x")
	if !hasUnread(r) {
		t.Error("a byte is not seen")
	}
	if n, err := r.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
