package negotiate

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"slices"
	"strings"
	"testing"
)

// recordsOf opens a TDS 8 session, has say write into it, and returns what the server read from
// each record.
func recordsOf(t *testing.T, say func(session io.WriteCloser) error) []string {
	t.Helper()
	client, server := pair(t)
	config, ca := serverConfig(t, "mail.example.org")
	read := make(chan []string)
	go func() {
		s := tls.Server(server, config)
		var records []string
		for buffer := make([]byte, 1<<15); ; { // crypto/tls reads one record at a time
			n, err := s.Read(buffer)
			if n > 0 {
				records = append(records, string(buffer[:n]))
			}
			if err != nil {
				break
			}
		}
		read <- records
	}()
	up, err := Client(context.Background(), client, Find("tds8"), &Options{Host: "mail.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	tc := tls.Client(up, &tls.Config{ServerName: up.ServerName, RootCAs: ca.Pool(), DynamicRecordSizingDisabled: true})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	session, err := up.Finish(context.Background(), tc)
	if err != nil {
		t.Fatal(err)
	}
	if err := say(session); err != nil {
		t.Error(err)
	}
	if err := session.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
	return <-read
}

// TestPacketRecords: whatever the pieces in which packets are written, each is in a record
// of its own, and nothing is lost.
func TestPacketRecords(t *testing.T) {
	a := string(tdsPackets(0x12, 4096, []byte("prelogin")))
	b := string(tdsPackets(0x01, 4096, []byte(strings.Repeat("batch", 100))))
	c := string(tdsPackets(0x01, 4096, make([]byte, 4088)))
	large := string(tdsPackets(0x07, 16383, make([]byte, 16375)))
	all := a + b + c + large + a
	whole := []string{a, b, c, large, a}
	for name, test := range map[string]struct {
		writes []string
		want   []string
	}{
		"one by one":               {whole, whole},
		"all at once":              {[]string{all}, whole},
		"byte by byte":             {strings.Split(a+b+a, ""), []string{a, b, a}},
		"cut in a header":          {[]string{all[:len(a)+2], all[len(a)+2:]}, whole},
		"cut in packets":           {[]string{all[:len(a)+100], all[len(a)+100 : len(a)+len(b)+5000], all[len(a)+len(b)+5000:]}, whole},
		"an end that is not whole": {[]string{a + b[:50]}, []string{a, b[:50]}},
		"an end in a header":       {[]string{a, b[:1]}, []string{a, b[:1]}},
		"text":                     {[]string{"hello\n", "\x01\x01\x00"}, []string{"hello\n", "\x01\x01\x00"}},
		"text behind a packet":     {[]string{a + "hello\n", a + b}, []string{a, "hello\n", a + b}},
		"no length":                {[]string{"\x01\x01\x00\x07", a}, []string{"\x01\x01\x00\x07", a}},
		"length of too much":       {[]string{"\x01\x01\x80\x00", a}, []string{"\x01\x01\x80\x00", a}},
		"nothing":                  {[]string{""}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := recordsOf(t, func(session io.WriteCloser) error {
				for _, w := range test.writes {
					if n, err := io.WriteString(session, w); n != len(w) || err != nil {
						t.Errorf("wrote %d of %d bytes, %v", n, len(w), err)
					}
				}
				return nil
			})
			if !slices.Equal(got, test.want) {
				var lengths []int
				for _, r := range got {
					lengths = append(lengths, len(r))
				}
				t.Errorf("records of %v bytes: %.60q", lengths, got)
			}
		})
	}
}

// FuzzTDSPacket checks that a packet's end does not depend on how much is seen of it.
func FuzzTDSPacket(f *testing.F) {
	f.Add([]byte("\x12\x01\x00\x10\x00\x00\x01\x00prelogin"))
	f.Add([]byte("\x01\x01\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		n := tdsPacket(data)
		if n < -1 || n == 0 && len(data) >= 4 || n > 0 && n < tdsHeader || n > tdsMaxInside {
			t.Fatalf("%q: %d", data, n)
		}
		for i := 1; i < min(len(data), 10); i++ {
			if m := tdsPacket(data[:i]); m != 0 && m != n {
				t.Errorf("%q: %d, but %d of the first %d", data, n, m, i)
			}
		}
	})
}

// FuzzMuninCommand cuts what a client says: each command ends in its line end, wherever it is cut.
func FuzzMuninCommand(f *testing.F) {
	f.Add([]byte("list\nquit\n"))
	f.Add([]byte("\n\nfetch x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for len(data) > 0 {
			n := muninCommand(data)
			if n < -1 || n > len(data) || n == -1 && len(data) <= MaxBytes || n > 0 && bytes.IndexByte(data, '\n') != n-1 {
				t.Fatalf("%q: %d", data, n)
			}
			if n <= 0 {
				break
			}
			for i := range n {
				if m := muninCommand(data[:i]); m != 0 && m != -1 {
					t.Fatalf("%q: %d, but %d of the first %d", data, n, m, i)
				}
			}
			data = data[n:]
		}
	})
}
