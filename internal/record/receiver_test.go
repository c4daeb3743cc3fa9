package record

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// TestReceiveDeadline: one that passes at any byte of the records loses nothing.
func TestReceiveDeadline(t *testing.T) {
	a, b := tcpPair(t)
	gate := &gate{Conn: b}
	client, server := sessions(t, a, gate)
	receiver := NewReceiver(client)
	for at := range 60 {
		records := held(gate, server, "first", "second")
		at = min(at, len(records))
		b.Write(records[:at])
		client.SetReadDeadline(time.Now().Add(time.Millisecond))
		var got []byte
		for {
			data, err := receiver.Receive()
			got = append(got, data...)
			if err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal(err)
				}
				break
			}
		}
		client.SetReadDeadline(time.Time{})
		b.Write(records[at:])
		for len(got) < len("firstsecond") {
			data, err := receiver.Receive()
			if err != nil {
				t.Fatalf("cut at %d: %v behind %q", at, err, got)
			}
			got = append(got, data...)
		}
		if string(got) != "firstsecond" {
			t.Fatalf("cut at %d: %q", at, got)
		}
	}
}

// TestReceiveLeftOver: what crypto/tls has kept, since somebody before read with too little room, does
// not wait for more.
func TestReceiveLeftOver(t *testing.T) {
	a, b := tcpPair(t)
	client, server := sessions(t, a, b)
	server.Write([]byte("0123456789"))
	if n, err := client.Read(make([]byte, 4)); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	if data, err := NewReceiver(client).Receive(); string(data) != "456789" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

// TestReceiveBare receives from connections that are no sessions.
func TestReceiveBare(t *testing.T) {
	a, b := tcpPair(t)
	c, d := net.Pipe()
	for _, pair := range [][2]net.Conn{{a, b}, {c, d}} {
		want := bytes.Repeat([]byte("0123456789"), 20000)
		go pair[1].Write(want)
		receiver := NewReceiver(pair[0])
		var got []byte
		for len(got) < len(want) {
			data, err := receiver.Receive()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, data...)
		}
		if !bytes.Equal(got, want) {
			t.Error("other bytes came out")
		}
		pair[0].SetReadDeadline(time.Unix(1, 0))
		if data, err := receiver.Receive(); len(data) > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(data, err)
		}
		pair[0].SetReadDeadline(time.Time{})
	}
	receiver := NewReceiver(a)
	b.Close()
	if _, err := receiver.Receive(); err != io.EOF {
		t.Error(err)
	}
	a.Close()
	var op *net.OpError
	if _, err := receiver.Receive(); !errors.Is(err, net.ErrClosed) || !errors.As(err, &op) || op.Op != "read" {
		t.Error(err)
	}
}

// TestReceiveReset: the error is the one of Read.
func TestReceiveReset(t *testing.T) {
	var texts []string
	for _, read := range []func(net.Conn) error{
		func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		func(c net.Conn) error { _, err := NewReceiver(c).Receive(); return err },
	} {
		a, b := tcpPair(t)
		b.(*net.TCPConn).SetLinger(0)
		b.Close()
		err := read(a)
		var op *net.OpError
		if !errors.As(err, &op) || op.Addr.String() != b.LocalAddr().String() || op.Source.String() != a.LocalAddr().String() {
			t.Fatal(err)
		}
		texts = append(texts, op.Op+" "+op.Net+" "+op.Err.Error())
		a.Close()
	}
	if texts[0] != texts[1] {
		t.Errorf("%q", texts)
	}
}
