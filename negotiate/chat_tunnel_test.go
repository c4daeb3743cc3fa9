package negotiate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestQuasselLocal checks what the core is asked in a client's place, and what the client is told.
func TestQuasselLocal(t *testing.T) {
	const datastream = "\x80\x00\x00\x02"
	for name, x := range map[string]struct{ says, asks, replies, told, err string }{
		"nothing":           {"\x42\xb3\x3f\x00" + datastream, "\x42\xb3\x3f\x01" + datastream, "\x01\x00\x00\x02", "\x00\x00\x00\x02", ""},
		"encryption":        {"\x42\xb3\x3f\x01" + datastream, "\x42\xb3\x3f\x01" + datastream, "\x01\x00\x00\x02", "\x00\x00\x00\x02", ""},
		"compression":       {"\x42\xb3\x3f\x02" + datastream, "\x42\xb3\x3f\x03" + datastream, "\x03\x00\x00\x02", "\x02\x00\x00\x02", ""},
		"not granted":       {"\x42\xb3\x3f\x03" + datastream, "\x42\xb3\x3f\x03" + datastream, "\x01\x00\x00\x02", "\x00\x00\x00\x02", ""},
		"features":          {"\x42\xb3\x3f\xf0\x00\x12\x34\x02\x80\x00\x00\x01", "\x42\xb3\x3f\x01\x80\x12\x34\x02", "\x01\xff\xf0\x02", "\x00\x12\x30\x02", ""},
		"unasked":           {"\x42\xb3\x3f\x00" + datastream, "\x42\xb3\x3f\x01" + datastream, "\x03\x00\x00\x02", "", "unexpected answer"},
		"legacy alone":      {"\x42\xb3\x3f\x00\x80\x00\x00\x01", "", "", "", "the local client: unexpected answer: it does not speak the datastream protocol"},
		"no probe":          {"\x00\x00\x00\x99\x00\x00", "", "", "", "the local client: unexpected answer"},
		"TLS":               {"\x16\x03\x01\x00\xc4\x01", "", "", "", "the local client speaks TLS"},
		"without end":       {"\x42\xb3\x3f\x00" + strings.Repeat("\x00\x00\x00\x02", 17), "", "", "", "a probe without end"},
		"in half":           {"\x42\xb3\x3f\x00\x80\x00", "", "", "", "the local client closed the connection"},
		"without encrypted": {"\x42\xb3\x3f\x02" + datastream, "\x42\xb3\x3f\x03" + datastream, "\x02\x00\x00\x02", "", "does not offer encryption"},
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
				var moves []move
				if x.asks != "" {
					moves = []move{{text: x.asks}, {server: true, text: x.replies}}
				}
				played <- play(server, moves, segmentations[0])
			}()
			up, err := Client(ctx, conn, Find("quassel"), &Options{Host: "127.0.0.1", Local: &Local{Conn: near}})
			if err == nil {
				_, _, err = up.Lead(ctx, conn)
			}
			if (err != nil) != (x.err != "") || err != nil && !strings.Contains(err.Error(), x.err) {
				t.Errorf("%v, want %q", err, x.err)
			}
			if err := <-played; err != nil {
				t.Error(err)
			}
			near.Close()
			hear(t, client, x.told)
		})
	}
}

// FuzzQuasselClient feeds a client's bytes to the upgrade. Whatever they are, the core is asked for
// encryption or nothing.
func FuzzQuasselClient(f *testing.F) {
	f.Add([]byte("\x42\xb3\x3f\x02\x80\x00\x00\x02"))
	f.Add([]byte("\x42\xb3\x3f\x01\x00\x12\x34\x02\x80\x00\x00\x01"))
	f.Add([]byte("\x00\x00\x00\x99\x00\x00"))
	f.Fuzz(func(t *testing.T, said []byte) {
		local, server := &scriptedClient{scripted{said: said}}, &scripted{said: []byte("\x01\x00\x00\x02")}
		_, err := Client(context.Background(), server, Find("quassel"), &Options{Host: "127.0.0.1", Local: &Local{Conn: local}})
		if err != nil {
			if !errors.As(err, new(*LocalError)) || len(server.sent) > 0 {
				t.Errorf("%v, and the core was sent %q", err, server.sent)
			}
			return
		}
		if sent := string(server.sent); len(sent) != 8 || sent[:3] != "\x42\xb3\x3f" || sent[3]&1 == 0 || sent[4] != 0x80 || sent[7] != 2 {
			t.Errorf("the core was sent %q", sent)
		}
	})
}

// TestSyncplayLead checks that the client's wish for TLS does not reach the server.
func TestSyncplayLead(t *testing.T) {
	const wish, no, hello = `{"TLS": {"startTLS": "send"}}` + "\r\n", `{"TLS": {"startTLS": "false"}}` + "\r\n", `{"Hello": {"username": "demo"}}` + "\r\n"
	for name, x := range map[string]struct{ says, told, server string }{
		"no wish":        {hello, "", hello},
		"a wish":         {wish + hello, no, hello},
		"two":            {wish + wish + hello, no + no, hello},
		"too late":       {hello + wish, "", hello + wish},
		"another":        {`{"TLS": {"startTLS": "true"}}` + "\n", "", `{"TLS": {"startTLS": "true"}}` + "\n"},
		"something else": {"GET / HTTP/1.0\r\n\r\n", "", "GET / HTTP/1.0\r\n\r\n"},
	} {
		for _, bytewise := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				tu := newTunnelled(t, "syncplay")
				go send(t, tu.client, x.says, bytewise)
				client, server, err := tu.lead()
				if err != nil {
					t.Fatal(err)
				}
				go io.Copy(server, client)
				hear(t, tu.client, x.told)
				hear(t, tu.server, x.server)
			})
		}
	}
	tu := newTunnelled(t, "syncplay")
	send(t, tu.client, `{"TLS": {"startTLS": "send"}}`, false)
	closeWrite(tu.client)
	if _, _, err := tu.lead(); !errors.As(err, new(*LocalError)) {
		t.Errorf("half a line: %v", err)
	}
}

// FuzzSyncplayClient feeds a client's bytes to the lead. Whatever they are, the server gets all of them
// but for wishes for TLS, each of which is answered.
func FuzzSyncplayClient(f *testing.F) {
	f.Add([]byte(`{"TLS": {"startTLS": "send"}}` + "\r\n" + `{"Hello": {"username": "demo"}}` + "\r\n"))
	f.Add([]byte(`{"TLS": {"startTLS": "send"}, "TLS": {"startTLS": "x"}}` + "\n\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		const no = `{"TLS": {"startTLS": "false"}}` + "\r\n"
		var local *scriptedClient
		var l *Local
		var err error
		checkMemory(t, func() {
			local = &scriptedClient{scripted{said: said}}
			l = &Local{Conn: local, client: newConn(local, nil).forLocal()}
			err = leadSyncplay(l, nil)
		})
		if local.read > MaxBytes || len(local.sent) > MaxLines*len(no) || strings.ReplaceAll(string(local.sent), no, "") != "" {
			t.Errorf("of %d bytes the client is told %q", local.read, local.sent)
		}
		if wishes := bytes.Count(said[:local.read-len(l.client.rest())], []byte("\n")); err == nil && wishes != len(local.sent)/len(no) {
			t.Errorf("%d lines are kept from the server, %d answered", wishes, len(local.sent)/len(no))
		}
	})
}

// FuzzClearClient has a client say something that may be TLS, in pieces: it reaches the server as it
// came, or not at all.
func FuzzClearClient(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\xc4\x01"), uint8(0))
	f.Add([]byte("\x16\x03 hello"), uint8(2))
	f.Add([]byte("EHLO x\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, said []byte, size uint8) {
		got, err := io.ReadAll(&clearConn{Conn: readerConn{Reader: &inPieces{slices.Clone(said), int(size) + 1}}})
		switch {
		case looksLikeTLS(said):
			if len(got) > 0 || !errors.Is(err, ErrTLS) {
				t.Errorf("%q: %q, %v", said, got, err)
			}
		case err != nil || !bytes.Equal(got, said):
			t.Errorf("%q becomes %q, %v", said, got, err)
		}
	})
}
