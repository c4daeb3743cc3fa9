package negotiate

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// TestIRCEnds checks what a client is shown of what the server says, however it is cut.
func TestIRCEnds(t *testing.T) {
	long := "PRIVMSG demo :" + strings.Repeat("x", 2*ircMaxHeld) + "\r\n"
	for name, x := range map[string]struct{ says, shown string }{
		"sts":           {":srv CAP * LS :multi-prefix sts=port=6697,duration=100 sasl\r\n", ":srv CAP * LS :multi-prefix sasl\r\n"},
		"sts alone":     {":srv CAP * LS :sts=port=6697\r\n", ":srv CAP * LS :\r\n"},
		"without colon": {":srv CAP demo NEW sts=duration=1 \n", ":srv CAP demo NEW :\r\n"},
		"goes on":       {":srv CAP * LS * :tls a\r\n:srv CAP * LS :sts b\r\n", ":srv CAP * LS * :a\r\n:srv CAP * LS :b\r\n"},
		"tags":          {"@time=x :srv CAP * ls :sts\r\n", "@time=x :srv CAP * ls :\r\n"},
		"others":        {":srv CAP * LS :stsx tls-y a=sts\r\n:srv CAP * ACK :sts\r\n", ":srv CAP * LS :stsx tls-y a=sts\r\n:srv CAP * ACK :sts\r\n"},
		"said":          {":a PRIVMSG b :CAP * LS :sts\r\n", ":a PRIVMSG b :CAP * LS :sts\r\n"},
		"long":          {long + ":srv CAP * LS :sts\r\n", long + ":srv CAP * LS :\r\n"},
		"half a line":   {":srv NOTICE * :hel", ":srv NOTICE * :hel"},
		"nothing":       {"", ""},
	} {
		testShown(t, name, ircEnds, x.says, x.shown)
	}
}

// FuzzIRCServer checks that a client is shown the same whatever the pieces, and nothing more than is said.
func FuzzIRCServer(f *testing.F) {
	f.Add([]byte(":srv CAP * LS :multi-prefix sts=port=6697 sasl\r\n:srv NOTICE * :hi\r\n"), uint8(3))
	f.Add([]byte("@a=b CAP x NEW sts\nPING :x"), uint8(0))
	f.Fuzz(func(t *testing.T, says []byte, size uint8) {
		read := func(r io.Reader) []byte {
			_, server := ircEnds(nil, nil, readerConn{Reader: r})
			shown, err := io.ReadAll(server)
			if err != nil {
				t.Error(err)
			}
			return shown
		}
		whole, pieces := read(bytes.NewReader(says)), read(&inPieces{says, int(size) + 1})
		if !bytes.Equal(whole, pieces) || bytes.Count(whole, []byte("\n")) != bytes.Count(says, []byte("\n")) {
			t.Errorf("%q becomes %q, and in pieces %q", says, whole, pieces)
		}
	})
}
