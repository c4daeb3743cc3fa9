package record

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// emptyRecord is one that crypto/tls skips: change_cipher_spec (RFC 8446, 5).
var emptyRecord = []byte{20, 3, 3, 0, 1, 1}

// held returns the records of some texts.
func held(g *gate, server io.Writer, texts ...string) []byte {
	g.hold = true
	for _, text := range texts {
		io.WriteString(server, text)
	}
	g.hold = false
	b := g.held
	g.held = nil
	return b
}

// bubble runs a test in fake time for a stream that is cut at a byte.
func bubble(t *testing.T, at int, f func(*testing.T)) {
	t.Run(fmt.Sprintf("cut at %d", at), func(t *testing.T) { synctest.Test(t, f) })
}

// inStep asserts that, with all records read, none is thought to be under way. One that is
// would sooner or later end in what is really a record's last bytes, which then wait.
func inStep(t *testing.T, s *Session) {
	t.Helper()
	if s.under.left != 0 {
		t.Errorf("out of step: %d bytes of a record are missing", s.under.left)
	}
}

// TestDeadlineInsideARecord: a read that a deadline ends, at any byte of a record, loses
// nothing and holds nothing back afterwards.
func TestDeadlineInsideARecord(t *testing.T) {
	for at := range 40 {
		bubble(t, at, func(t *testing.T) {
			a, b := net.Pipe()
			gate := &gate{Conn: b}
			client, server := sessions(t, a, gate)
			records := held(gate, server, "first", "second")
			go func() {
				b.Write(records[:at])
				time.Sleep(time.Hour)
				b.Write(records[at:])
			}()
			buf := make([]byte, 64<<10)
			var got strings.Builder
			client.SetReadDeadline(time.Now().Add(time.Minute))
			for {
				n, err := client.Read(buf)
				got.Write(buf[:n])
				if err != nil {
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Fatal(err)
					}
					break
				}
			}
			client.SetReadDeadline(time.Unix(1, 0))
			if n, err := client.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%d, %v behind a deadline in the past", n, err)
			}
			client.SetReadDeadline(time.Now().Add(2 * time.Hour))
			for got.Len() < len("firstsecond") {
				n, err := client.Read(buf)
				if err != nil {
					t.Fatalf("%v behind %q", err, got.String())
				}
				got.Write(buf[:n])
			}
			if got.String() != "firstsecond" {
				t.Errorf("read %q", got.String())
			}
			inStep(t, client)
		})
	}
}

// TestIncompleteHeader: part of a header behind a record without data holds back nothing of
// what follows, however small.
func TestIncompleteHeader(t *testing.T) {
	for at := range 23 { // a record of one byte has 23
		bubble(t, at, func(t *testing.T) {
			a, b := net.Pipe()
			gate := &gate{Conn: b}
			client, server := sessions(t, a, gate)
			records := append(held(gate, server, "data"), emptyRecord...)
			next := held(gate, server, "x")
			go func() {
				b.Write(append(records, next[:at]...))
				b.Write(next[at:])
			}()
			client.SetReadDeadline(time.Now().Add(time.Hour))
			var got strings.Builder
			for buf := make([]byte, 64<<10); got.Len() < len("datax"); {
				n, err := client.Read(buf)
				if err != nil {
					t.Fatalf("read %q, %v", got.String(), err)
				}
				got.Write(buf[:n])
			}
			if got.String() != "datax" {
				t.Errorf("read %q", got.String())
			}
			inStep(t, client)
		})
	}
}
