package negotiate

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

const (
	vncPasses = "\x00\x00\x00\x00"
	vncFails  = "\x00\x00\x00\x01"
	vncTries  = "0123456789abcdef" // a challenge, and the response
	vncWhy    = "\x00\x00\x00\x04nope"
)

// TestVNCLead leads viewers of every version through every sub-type.
func TestVNCLead(t *testing.T) {
	for name, x := range map[string]struct {
		subType        uint32
		server         int
		says           string // the viewer
		told           string
		asked, replies string // the server, inside TLS
		rest           string // what the viewer hears behind what it is told
	}{
		"None, 3.8":             {260, 8, "RFB 003.008\n\x01", "RFB 003.008\n\x01\x01", "", vncPasses + "init", vncPasses + "init"},
		"None, 3.8, refused":    {260, 8, "RFB 003.008\n\x01", "RFB 003.008\n\x01\x01", "", vncFails + vncWhy, vncFails + vncWhy},
		"None, 3.8, no reason":  {260, 7, "RFB 003.008\n\x01", "RFB 003.008\n\x01\x01", "", vncFails, vncFails + "\x00\x00\x00\x15Authentication failed"},
		"None, 3.8 and 3.7":     {260, 7, "RFB 003.008\n\x01", "RFB 003.008\n\x01\x01", "", vncPasses + "init", vncPasses + "init"},
		"None, 3.7":             {260, 8, "RFB 003.007\n\x01", "RFB 003.008\n\x01\x01", "", vncPasses + "init", "init"},
		"None, 3.3":             {260, 8, "RFB 003.003\n", "RFB 003.008\n\x00\x00\x00\x01", "", vncPasses + "init", "init"},
		"None, 3.5":             {260, 8, "RFB 003.005\n", "RFB 003.008\n\x00\x00\x00\x01", "", vncPasses + "init", "init"},
		"None, 3.889":           {260, 8, "RFB 003.889\n\x01", "RFB 003.008\n\x01\x01", "", vncPasses + "init", vncPasses + "init"},
		"None, 4.1":             {260, 8, "RFB 004.001\n\x01", "RFB 003.008\n\x01\x01", "", vncPasses + "init", vncPasses + "init"},
		"VNC, 3.8":              {261, 8, "RFB 003.008\n\x02" + vncTries, "RFB 003.008\n\x01\x02", vncTries, vncTries + vncPasses + "init", vncTries + vncPasses + "init"},
		"VNC, 3.8, refused":     {261, 8, "RFB 003.008\n\x02" + vncTries, "RFB 003.008\n\x01\x02", vncTries, vncTries + vncFails + vncWhy, vncTries + vncFails + vncWhy},
		"VNC, 3.8, no reason":   {261, 7, "RFB 003.008\n\x02" + vncTries, "RFB 003.008\n\x01\x02", vncTries, vncTries + vncFails, vncTries + vncFails + "\x00\x00\x00\x15Authentication failed"},
		"VNC, 3.7":              {261, 8, "RFB 003.007\n\x02" + vncTries, "RFB 003.008\n\x01\x02", vncTries, vncTries + vncPasses + "init", vncTries + vncPasses + "init"},
		"VNC, 3.7, refused":     {261, 8, "RFB 003.007\n\x02" + vncTries, "RFB 003.008\n\x01\x02", vncTries, vncTries + vncFails + vncWhy, vncTries + vncFails},
		"VNC, 3.7 both":         {261, 7, "RFB 003.007\n\x02" + vncTries, "RFB 003.008\n\x01\x02", vncTries, vncTries + vncFails, vncTries + vncFails},
		"VNC, 3.3":              {261, 8, "RFB 003.003\n" + vncTries, "RFB 003.008\n\x00\x00\x00\x02", vncTries, vncTries + vncPasses + "init", vncTries + vncPasses + "init"},
		"VNC, 3.3, refused":     {261, 8, "RFB 003.003\n" + vncTries, "RFB 003.008\n\x00\x00\x00\x02", vncTries, vncTries + vncFails + vncWhy, vncTries + vncFails},
		"Plain, 3.8":            {262, 8, "RFB 003.008\n\x01", "RFB 003.008\n\x01\x01", "\x00\x00\x00\x04\x00\x00\x00\x06demosecret", vncPasses + "init", vncPasses + "init"},
		"Plain, 3.8, refused":   {262, 8, "RFB 003.008\n\x01", "RFB 003.008\n\x01\x01", "\x00\x00\x00\x04\x00\x00\x00\x06demosecret", vncFails + vncWhy, vncFails + vncWhy},
		"Plain, 3.7":            {262, 8, "RFB 003.007\n\x01", "RFB 003.008\n\x01\x01", "\x00\x00\x00\x04\x00\x00\x00\x06demosecret", vncPasses + "init", "init"},
		"Plain, 3.3":            {262, 8, "RFB 003.003\n", "RFB 003.008\n\x00\x00\x00\x01", "\x00\x00\x00\x04\x00\x00\x00\x06demosecret", vncPasses + "init", "init"},
		"Plain, 3.3 of 3.7":     {262, 7, "RFB 003.003\n", "RFB 003.008\n\x00\x00\x00\x01", "\x00\x00\x00\x04\x00\x00\x00\x06demosecret", vncPasses + "init", "init"},
		"Plain, 3.8, no reason": {262, 7, "RFB 003.008\n\x01", "RFB 003.008\n\x01\x01", "\x00\x00\x00\x04\x00\x00\x00\x06demosecret", vncFails, vncFails + "\x00\x00\x00\x15Authentication failed"},
	} {
		for _, bytewise := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				tu := newTunnelled(t, "vnc")
				tu.local.User, tu.local.Password = "demo", "secret"
				tu.local.state = &vncState{subType: x.subType, server: x.server}
				var sending sync.WaitGroup
				defer sending.Wait() // a server that refuses may still give its reason
				sending.Go(func() { send(t, tu.client, x.says, bytewise) })
				sending.Go(func() {
					send(t, tu.server, x.replies, bytewise)
					closeWrite(tu.server)
				})
				client, server, err := tu.lead()
				if err != nil {
					t.Fatal(err)
				}
				go io.Copy(server, client)
				hear(t, tu.client, x.told)
				hear(t, tu.server, x.asked)
				reader := io.Reader(struct{ io.Reader }{server})
				if bytewise {
					reader = iotest.OneByteReader(reader)
				}
				rest, err := io.ReadAll(reader)
				if string(rest) != x.rest || err != nil {
					t.Errorf("hears %q, %v, want %q", rest, err, x.rest)
				}
			})
		}
	}
}

// TestVNCLeadFails checks what is logged of a viewer that can't be led, and what it is told.
func TestVNCLeadFails(t *testing.T) {
	for name, x := range map[string]struct {
		subType             uint32
		server              int
		says, replies, told string
		want                string
		local               bool
	}{
		"another type":           {261, 8, "RFB 003.008\n\x01", "", "RFB 003.008\n\x01\x02", "it chooses security type 1, and was offered 2", true},
		"version 2":              {261, 8, "RFB 002.002\n", "", "RFB 003.008\n", "version 2.2 of RFB", true},
		"no version":             {261, 8, "GET / HTTP/1.0\r\n", "", "RFB 003.008\n", "the local client: unexpected answer", true},
		"TLS":                    {261, 8, "\x16\x03\x01\x00\xc4\x01", "", "RFB 003.008\n", "the local client speaks TLS", true},
		"leaves":                 {261, 8, "RFB 003.008\n", "", "RFB 003.008\n\x01\x02", "the local client closed the connection", true},
		"Plain, 3.7, refused":    {262, 8, "RFB 003.007\n", vncFails + vncWhy, "RFB 003.008\n\x00" + vncWhy, `server refuses: "nope"`, false},
		"Plain, 3.3, refused":    {262, 7, "RFB 003.003\n", vncFails, "RFB 003.008\n\x00\x00\x00\x00\x00\x00\x00\x15Authentication failed", `server refuses: "Authentication failed"`, false},
		"None, 3.3, long reason": {260, 8, "RFB 003.003\n", vncFails + "\x00\x00\x10\x01" + strings.Repeat("x", 4097), "RFB 003.008\n", "a reason of 4097 bytes", false},
		"None, 3.3, cut":         {260, 8, "RFB 003.003\n", "\x00\x00", "RFB 003.008\n", "server closed the connection", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tu := newTunnelled(t, "vnc")
			tu.local.state = &vncState{subType: x.subType, server: x.server}
			send(t, tu.client, x.says, false)
			closeWrite(tu.client)
			send(t, tu.server, x.replies, false)
			closeWrite(tu.server)
			_, _, err := tu.lead()
			if err == nil || !strings.Contains(err.Error(), x.want) || errors.As(err, new(*LocalError)) != x.local {
				t.Errorf("%v, want %q", err, x.want)
			}
			tu.local.Conn.Close()
			hear(t, tu.client, x.told)
		})
	}
}

// TestVNCSubType checks which sub-type is chosen for whom.
func TestVNCSubType(t *testing.T) {
	for _, x := range []struct {
		offered []uint32
		user    string
		want    uint32
		err     string
	}{
		{[]uint32{262, 261, 260}, "", 260, ""},
		{[]uint32{262, 261}, "", 261, ""},
		{[]uint32{262, 261, 260}, "demo", 262, ""},
		{[]uint32{261, 260}, "demo", 260, ""},
		{[]uint32{262, 264}, "", 0, "--user NAME, and the password in --password-file FILE"},
		{[]uint32{264}, "", 0, "does not offer TLS with certificates that the tunnel can lead a viewer through, only X509SASL"},
		{[]uint32{258}, "demo", 0, "does not offer TLS with certificates, only TLSVnc"},
	} {
		conn := &scriptedClient{scripted{said: []byte("RFB 003.008\n")}}
		l := &Local{Conn: conn, User: x.user, client: newConn(conn, nil).forLocal()}
		got, err := vncSubType(l, x.offered)
		if got != x.want || (err != nil) != (x.err != "") || err != nil && !strings.Contains(err.Error(), x.err) {
			t.Errorf("%v for %q: %d, %v", x.offered, x.user, got, err)
		}
		if told := string(conn.sent); slices.Contains(x.offered, 262) && x.err != "" && !strings.Contains(told, "\x00\x00\x00\x00LThe server wants a name and a password") {
			t.Errorf("the viewer is told %q", told)
		}
	}
}

// FuzzVNCLead feeds a viewer's bytes, and a server's, to the lead. Whatever they are, it returns within the
// bounds.
func FuzzVNCLead(f *testing.F) {
	f.Add([]byte("RFB 003.008\n\x01"), []byte(vncPasses), uint8(0), uint8(8))
	f.Add([]byte("RFB 003.003\n"), []byte(vncTries+vncFails+vncWhy), uint8(1), uint8(7))
	f.Add([]byte("RFB 003.007\n\x02"), []byte(vncFails+vncWhy), uint8(2), uint8(8))
	f.Fuzz(func(t *testing.T, viewer, server []byte, subType, minor uint8) {
		local, inside := &scriptedClient{scripted{said: viewer}}, &scriptedClient{scripted{said: server}}
		l := &Local{Conn: local, client: newConn(local, nil).forLocal(), User: "demo"}
		l.state = &vncState{subType: vncX509None + uint32(subType%3), server: 7 + int(minor%2)}
		u := &Upgraded{Protocol: Find("vnc"), options: &Options{Local: l}}
		_, end, err := u.Lead(context.Background(), inside)
		if len(local.sent) > 32+vncMaxReason {
			t.Errorf("the viewer is told %q", local.sent)
		}
		if err != nil {
			if !errors.As(err, new(*Error)) {
				t.Errorf("%v is a %T", err, err)
			}
			return
		}
		said, _ := io.ReadAll(end)
		if len(said) > len(server)+len("0000Authentication failed") {
			t.Errorf("%q becomes %q", server, said)
		}
	})
}
