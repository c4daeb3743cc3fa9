//go:build unix

package main

import (
	"io"
	"net"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// TestDescriptorsRunOut: out of file descriptors, the tunnel says so, waits, and goes on when
// connections have ended.
func TestDescriptorsRunOut(t *testing.T) {
	imap, trusted := serverFor(t, "imap")
	cmd := exec.Command("sh", "-c", `ulimit -n 32 && exec tlsup "$@"`, "sh", "tunnel", "--drain", "0", trusted, "0", imap)
	p := started(t, cmd)
	p.sees(t, "msg=listening")
	address := regexp.MustCompile(`listen=(\S+)`).FindStringSubmatch(p.err.text())[1]
	var clients []net.Conn
	for range 40 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		clients = append(clients, conn)
	}
	p.sees(t, `msg="accept fails, trying again" .*too many open files`)
	for _, conn := range clients {
		conn.Close()
	}
	p.sees(t, `msg="accept works again"`)
	for deadline := time.Now().Add(patience); ; { // those that had ended meanwhile may still be in the way
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(deadline)
		greeting := make([]byte, 4)
		_, err = io.ReadFull(conn, greeting)
		conn.Close()
		if string(greeting) == "* OK" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, p.err.text())
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	p.ends(t, 128+int(syscall.SIGTERM))
}
