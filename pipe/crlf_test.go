package pipe

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// convertAll gives text to a crlf in pieces of the given lengths, the last of which are one
// byte long.
func convertAll(text, lengths []byte) []byte {
	var c crlf
	var got []byte
	for len(text) > 0 {
		n := 1
		if len(lengths) > 0 {
			n, lengths = int(lengths[0]), lengths[1:]
		}
		n = min(n, len(text))
		piece := bytes.Clone(text[:n])
		got = append(got, c.convert(piece)...)
		if !bytes.Equal(piece, text[:n]) {
			panic("the input was changed")
		}
		text = text[n:]
	}
	return got
}

// reference is the whole conversion in one line: existing CRLF is left alone.
func reference(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
}

func TestCRLF(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"a", "a"},
		{"a\nb\n", "a\r\nb\r\n"},
		{"a\r\nb\r\n", "a\r\nb\r\n"},
		{"\n\n", "\r\n\r\n"},
		{"\r\r\n", "\r\r\n"},
		{"\n\r", "\r\n\r"},
		{"a\rb\r", "a\rb\r"},
		{"\r", "\r"},
	} {
		for n := range len(test.in) + 1 {
			lengths := []byte{byte(n), 255}
			if got := string(convertAll([]byte(test.in), lengths)); got != test.want {
				t.Errorf("%q cut at %d: %q, want %q", test.in, n, got, test.want)
			}
		}
	}
}

// FuzzCRLF: any cut of any text gives the same, and no CR is added behind another.
func FuzzCRLF(f *testing.F) {
	f.Add([]byte("a\nb\r\n\r\r\n\n\r"), []byte{2, 1, 0, 3})
	f.Add([]byte("\r\n"), []byte{1})
	f.Add([]byte("\r\r\n\n\n\r\n\r"), []byte{})
	f.Fuzz(func(t *testing.T, text, lengths []byte) {
		got := convertAll(text, lengths)
		if want := reference(text); !bytes.Equal(got, want) {
			t.Fatalf("%q cut at %v: %q, want %q", text, lengths, got, want)
		}
		crcrlf := []byte("\r\r\n")
		if bytes.Count(got, crcrlf) > bytes.Count(text, crcrlf) {
			t.Fatalf("%q became %q", text, got)
		}
		if again := convertAll(got, lengths); !bytes.Equal(again, got) {
			t.Fatalf("converted twice %q is %q", got, again)
		}
	})
}

// TestCRLFThroughAPipe: the cut between CR and LF is one between two reads.
func TestCRLFThroughAPipe(t *testing.T) {
	bubble(t, "in pieces", func(t *testing.T) {
		r := runPipe(t, &Pipe{CRLF: true, Linger: -1})
		upload := readAll(r.server)
		for _, piece := range []string{"EHLO me\r", "\nMAIL", "\n", "\n", "\r", "\n"} {
			io.WriteString(r.in, piece)
		}
		r.in.Close()
		if got := (<-upload).text; got != "EHLO me\r\nMAIL\r\n\r\n\r\n" {
			t.Errorf("the server read %q", got)
		}
		r.server.Close()
		want(t, r.end(), nil)
	})
	bubble(t, "not asked for", func(t *testing.T) {
		const text = "a\nb\r\n\r\r\n"
		r := runPipe(t, &Pipe{In: strings.NewReader(text), Linger: -1})
		if got := (<-readAll(r.server)).text; got != text {
			t.Errorf("the server read %q", got)
		}
		r.server.Close()
		want(t, r.end(), nil)
	})
}
