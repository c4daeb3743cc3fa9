package record

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestCloseNotifyWaits: a peer that reads late gets close_notify behind the data all the
// same; crypto/tls alone gives it up after five seconds.
func TestCloseNotifyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		client, server := sessions(t, a, b)
		done := make(chan error, 1)
		go func() { done <- client.CloseWrite() }()
		time.Sleep(time.Hour)
		if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatal(n, err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if _, err := client.Write([]byte("x")); err == nil {
			t.Error("a write behind close_notify")
		}
		if err := client.CloseWrite(); err != nil {
			t.Error(err)
		}
	})
}

// TestCloseWhileCloseNotifyWaits: closing ends the wait.
func TestCloseWhileCloseNotifyWaits(t *testing.T) {
	for _, how := range []string{"Close", "Abort"} {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			client, _ := sessions(t, a, b)
			done := make(chan error, 1)
			go func() { done <- client.CloseWrite() }()
			time.Sleep(time.Hour)
			if how == "Close" {
				client.Close()
			} else {
				client.Abort()
			}
			if err := <-done; !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

// TestCloseWaitsForCloseNotify: one that is being sent is not cut off.
func TestCloseWaitsForCloseNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		client, server := sessions(t, a, b)
		go client.CloseWrite()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- client.Close() }()
		time.Sleep(closeWait / 2)
		if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatal(n, err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}
