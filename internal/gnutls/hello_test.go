package gnutls

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzHello: an ID is part of what came, no longer than there can be, and the same however it came.
func FuzzHello(f *testing.F) {
	hello := "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + strings.Repeat("r", 32)
	f.Add([]byte(hello+"\x20"+strings.Repeat("i", 32)+"\x13\x01\x00"), 44)
	f.Add([]byte(hello+"\x00\x13\x01\x00"), 3)
	f.Add([]byte(hello+"\xff"), 0)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		var whole, parts Hello
		whole.Take(data)
		at := max(0, min(cut, len(data)))
		parts.Take(data[:at])
		parts.Take(data[at:])
		id := whole.ID()
		if !bytes.Equal(id, parts.ID()) || len(id) > 32 || !bytes.Contains(data, id) {
			t.Errorf("%q: ID %q, cut at %d %q", data, id, at, parts.ID())
		}
		if len(whole.first) > idAt+1+32 || len(parts.first) > idAt+1+32 {
			t.Errorf("%d bytes are kept", len(whole.first))
		}
	})
}
