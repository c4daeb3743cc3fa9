package negotiate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

const (
	nbdWish    = "IHAVEOPT\x00\x00\x00\x05\x00\x00\x00\x00"
	nbdRefusal = "\x00\x03\xe8\x89\x04\x55\x65\xa9\x00\x00\x00\x05\x80\x00\x00\x02\x00\x00\x00\x29the tunnel does TLS in the client's place"
	nbdList    = "IHAVEOPT\x00\x00\x00\x03\x00\x00\x00\x00"
)

// TestNBDLocal checks what a client is greeted with, and which flags the server is told.
func TestNBDLocal(t *testing.T) {
	for name, x := range map[string]struct{ server, greeting, says, flags, err string }{
		"both":           {"\x00\x03", "\x00\x03", "\x00\x00\x00\x03", "\x00\x00\x00\x03", ""},
		"zeroes":         {"\x00\x03", "\x00\x03", "\x00\x00\x00\x01", "\x00\x00\x00\x01", ""},
		"an old client":  {"\x00\x03", "\x00\x03", "\x00\x00\x00\x00", "\x00\x00\x00\x01", ""},
		"an old server":  {"\x00\x01", "\x00\x01", "\x00\x00\x00\x01", "\x00\x00\x00\x01", ""},
		"unknown flags":  {"\x80\x07", "\x00\x03", "\x00\x00\x00\x03", "\x00\x00\x00\x03", ""},
		"more than that": {"\x00\x01", "\x00\x01", "\x00\x00\x00\x03", "", "client flags 00000003, of which 00000001 were offered"},
		"no flags":       {"\x00\x03", "\x00\x03", "\x80\x00\x00\x03", "", "client flags 80000003"},
		"TLS":            {"\x00\x03", "\x00\x03", "\x16\x03\x01\x00", "", "the local client speaks TLS"},
		"leaves":         {"\x00\x03", "\x00\x03", "\x00\x00", "", "the local client closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, near := pair(t)
			conn, server := pair(t)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			send(t, client, x.says, false)
			closeWrite(client)
			played := make(chan error, 1)
			go func() {
				moves := []move{{server: true, text: "NBDMAGICIHAVEOPT" + x.server}}
				if x.flags != "" {
					moves = append(moves, move{text: x.flags + nbdWish}, move{server: true, text: nbdReply + "\x00\x00\x00\x05\x00\x00\x00\x01\x00\x00\x00\x00"})
				}
				played <- play(server, moves, segmentations[0])
			}()
			_, err := Client(ctx, conn, Find("nbd"), &Options{Host: "127.0.0.1", Local: &Local{Conn: near}})
			if (err != nil) != (x.err != "") || err != nil && (!strings.Contains(err.Error(), x.err) || !errors.As(err, new(*LocalError))) {
				t.Errorf("%v, want %q", err, x.err)
			}
			if err := <-played; err != nil {
				t.Error(err)
			}
			near.Close()
			hear(t, client, "NBDMAGICIHAVEOPT"+x.greeting)
		})
	}
}

// talker is a connection that says one thing, and keeps what it is told.
type talker struct {
	net.Conn
	io.Reader
	told bytes.Buffer
}

func (c *talker) Read(p []byte) (int, error)  { return c.Reader.Read(p) }
func (c *talker) Write(p []byte) (int, error) { return c.told.Write(p) }

// TestNBDEnds checks which of a client's options the server is passed.
func TestNBDEnds(t *testing.T) {
	for name, x := range map[string]struct{ says, passed, told string }{
		"no wish":        {nbdList, nbdList, ""},
		"a wish":         {nbdWish + nbdList, nbdList, nbdRefusal},
		"two":            {nbdWish + nbdWish + nbdList, nbdList, nbdRefusal + nbdRefusal},
		"too late":       {nbdList + nbdWish, nbdList + nbdWish, ""},
		"a wish alone":   {nbdWish, "", nbdRefusal},
		"half a wish":    {nbdWish[:13], nbdWish[:13], ""},
		"a wish of data": {nbdWish[:15] + "\x01x", nbdWish[:15] + "\x01x", ""},
		"something else": {"GET / HTTP/1.0\r\n", "GET / HTTP/1.0\r\n", ""},
		"nothing":        {"", "", ""},
	} {
		for _, cut := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
			t.Run(name, func(t *testing.T) {
				conn := &talker{Reader: cut(strings.NewReader(x.says))}
				client, _ := nbdEnds(nil, conn, nil)
				if err := iotest.TestReader(struct{ io.Reader }{client}, []byte(x.passed)); err != nil {
					t.Error(err)
				}
				if conn.told.String() != x.told {
					t.Errorf("told %q, want %q", conn.told.String(), x.told)
				}
			})
		}
	}
}

// FuzzNBDClient checks that nothing is passed on but what the client says, without its wishes.
func FuzzNBDClient(f *testing.F) {
	f.Add([]byte(nbdWish+nbdList), uint8(3))
	f.Add([]byte(nbdList+nbdWish), uint8(20))
	f.Add([]byte(nbdWish+nbdWish[:9]), uint8(0))
	f.Fuzz(func(t *testing.T, says []byte, size uint8) {
		want, refused := says, 0
		for bytes.HasPrefix(want, []byte(nbdWish)) {
			want = want[len(nbdWish):]
			refused++
		}
		conn := &talker{Reader: bytes.NewReader(says)}
		client, _ := nbdEnds(nil, conn, nil)
		var got []byte
		buffer := make([]byte, 1+int(size))
		for {
			n, err := client.Read(buffer)
			got = append(got, buffer[:n]...)
			if err != nil {
				break
			}
		}
		if !bytes.Equal(got, want) || conn.told.Len() != refused*len(nbdRefusal) {
			t.Errorf("passed %q, want %q; refused %q", got, want, conn.told.String())
		}
	})
}
