package negotiate

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// TestNATSEnds checks what a client is shown of what the server says, however it is cut.
func TestNATSEnds(t *testing.T) {
	const cluster = `INFO {"server_id":"N","tls_required":true,"connect_urls":["192.0.2.1:4222"],"ws_connect_urls":[],"max_payload":1048576,"ldm":true} ` + "\r\n"
	const alone = `INFO {"ldm":true,"max_payload":1048576,"server_id":"N"}` + "\r\n"
	for name, x := range map[string]struct{ says, shown string }{
		"INFO":             {cluster, alone},
		"INFO between":     {"PONG\r\n" + cluster + "PING\r\n", "PONG\r\n" + alone + "PING\r\n"},
		"case":             {"info\t{\"Connect_URLs\":[\"x\"],\"a\":1}\r\n", "INFO {\"a\":1}\r\n"},
		"message":          {"MSG a 1 5\r\nhello\r\n" + cluster, "MSG a 1 5\r\nhello\r\n" + alone},
		"message, reply":   {"MSG a 1 _INBOX.1 5\r\nhello\r\n" + cluster, "MSG a 1 _INBOX.1 5\r\nhello\r\n" + alone},
		"headers":          {"HMSG a 1 12 17\r\nNATS/1.0\r\n\r\nhello\r\n" + cluster, "HMSG a 1 12 17\r\nNATS/1.0\r\n\r\nhello\r\n" + alone},
		"INFO in message":  {"MSG a 1 6\r\nINFO {\r\n+OK\r\n", "MSG a 1 6\r\nINFO {\r\n+OK\r\n"},
		"empty message":    {"MSG a 1 0\r\n\r\n" + cluster, "MSG a 1 0\r\n\r\n" + alone},
		"a long one":       {"MSG a 1 100000\r\n" + strings.Repeat("x", 100000) + "\r\n" + cluster, "MSG a 1 100000\r\n" + strings.Repeat("x", 100000) + "\r\n" + alone},
		"an error":         {"-ERR 'Authorization Violation'\r\n", "-ERR 'Authorization Violation'\r\n"},
		"unknown, no line": {"HELLO\r\n\r\n+OK\r\nPI", "HELLO\r\n\r\n+OK\r\nPI"},
		"half an INFO":     {"+OK\r\nINFO {\"connect_urls\":[", "+OK\r\n"},
		"half a message":   {"MSG a 1 5\r\nhel", "MSG a 1 5\r\nhel"},
		"nothing":          {"", ""},
	} {
		testShown(t, name, natsEnds, x.says, x.shown)
	}
}

// TestNATSEndsBroken feeds what a client could not read either.
func TestNATSEndsBroken(t *testing.T) {
	for says, want := range map[string]error{
		"MSG a 1 x\r\n":                         ErrUnexpected,
		"MSG a 1 -5\r\n":                        ErrUnexpected,
		"MSG 5\r\n":                             ErrUnexpected,
		"MSG a 1 999999999999999999999\r\n":     ErrUnexpected,
		"INFO {\r\n":                            ErrUnexpected,
		"INFO []\r\n":                           ErrUnexpected,
		"INFO\r\n":                              ErrUnexpected,
		"INFO " + strings.Repeat(" ", MaxBytes): ErrTooLong,
		strings.Repeat("x", MaxBytes+1):         ErrTooLong,
	} {
		_, server := natsEnds(nil, nil, readerConn{Reader: strings.NewReader("+OK\r\n" + says)})
		if shown, err := io.ReadAll(server); !errors.Is(err, want) || string(shown) != "+OK\r\n" {
			t.Errorf("%.20q: shown %q, %v", says, shown, err)
		}
	}
}

// FuzzNATSServer checks that a client is shown the same whatever the pieces, and no address of
// another server outside of messages.
func FuzzNATSServer(f *testing.F) {
	f.Add([]byte("INFO {\"connect_urls\":[\"192.0.2.1\"]}\r\nMSG a 1 5\r\nhello\r\nPING\r\n"), uint8(3))
	f.Add([]byte("HMSG a 1 12 17\r\nNATS/1.0\r\n\r\nhello\r\ninfo {}\r\n"), uint8(0))
	f.Add([]byte("MSG a 1 5\r\nhel"), uint8(1))
	f.Fuzz(func(t *testing.T, says []byte, size uint8) {
		read := func(conn net.Conn) ([]byte, error) {
			_, server := natsEnds(nil, nil, conn)
			return io.ReadAll(server)
		}
		whole, err := read(readerConn{Reader: bytes.NewReader(says)})
		pieces, again := read(readerConn{Reader: &inPieces{says, int(size) + 1}})
		if !bytes.Equal(whole, pieces) || (err == nil) != (again == nil) {
			t.Errorf("%q becomes %q, %v, and in pieces %q, %v", says, whole, err, pieces, again)
		}
		if bytes.Contains(bytes.ToUpper(says), []byte("MSG")) {
			return // there may be anything in a message
		}
		for line := range bytes.Lines(whole) {
			var info map[string]any
			if rest, ok := bytes.CutPrefix(line, []byte("INFO ")); ok && json.Unmarshal(rest, &info) == nil && info["connect_urls"] != nil {
				t.Errorf("%q is shown", line)
			}
		}
	})
}

// inPieces reads so many bytes at a time.
type inPieces struct {
	rest []byte
	size int
}

func (r *inPieces) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.size)], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
