package pipe

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// cutAll gives text to a lineMatcher in pieces of the given lengths, the last of which are
// one byte long. It returns what was shown, how much was given, and the error.
func cutAll(after *regexp.Regexp, text, lengths []byte) (shown []byte, given int, err error) {
	l := &lineMatcher{after: after}
	for given < len(text) && err == nil {
		n := 1
		if len(lengths) > 0 {
			n, lengths = 1+int(lengths[0]), lengths[1:]
		}
		piece := text[given:min(len(text), given+n)]
		given += len(piece)
		var show []byte
		show, err = l.cut(piece)
		shown = append(shown, show...)
	}
	return shown, given, err
}

// FuzzLineMatcher: what is shown is a beginning of what came; it ends with the first line
// that matches, and is all of it if there is none.
func FuzzLineMatcher(f *testing.F) {
	for _, seed := range []struct{ text, lengths string }{
		{"220 go\r\n", ""},
		{"250-a\r\n250 b\n220 go\n", "\x03\x00\x20"},
		{"220 go\r\n250 injected", "\xff"},
		{"22\r0 go\r\n\r\r\n 220 \n220", "\x02"},
		{"\n\n\n220 \n", "\x00\x10"},
	} {
		f.Add([]byte(seed.text), []byte(seed.lengths))
	}
	f.Fuzz(func(t *testing.T, text, lengths []byte) {
		shown, given, err := cutAll(ready, text, lengths)
		if !bytes.HasPrefix(text, shown) {
			t.Fatalf("shown %q of %q", shown, text)
		}
		// The reference looks at the whole text at once.
		end, matched := 0, false
		for line := range bytes.Lines(text) {
			end += len(line)
			if !bytes.HasSuffix(line, []byte("\n")) {
				break
			}
			line = bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
			if matched = ready.Match(line); matched {
				break
			}
		}
		var cleartext *negotiate.CleartextError
		switch {
		case end > maxLine:
			// Lines that long have a test of their own.
		case !matched:
			if err != nil || len(shown) != len(text) {
				t.Fatalf("no line matches, but %q was shown, error %v", shown, err)
			}
		case len(shown) != end:
			t.Fatalf("shown %q, the line that matches ends at %d", shown, end)
		case given == end:
			if err != errMatched {
				t.Fatalf("error %v", err)
			}
		case !errors.As(err, &cleartext) || !bytes.Equal(cleartext.Text, text[end:given]):
			t.Fatalf("error %v, %q came behind the line", err, text[end:given])
		}
	})
}

// TestLongLine: the bound is the same however the line comes.
func TestLongLine(t *testing.T) {
	fits := strings.Repeat("x", maxLine)
	for _, test := range []struct {
		name   string
		pieces []string
		fails  bool
	}{
		{"fits in one piece", []string{fits + "\n220 go\n"}, false},
		{"fits in two", []string{fits[:100], fits[100:], "\n220 go\n"}, false},
		{"too long, in one piece with its end", []string{fits + "x\n220 go\n"}, true},
		{"too long, in two", []string{fits, "x\n220 go\n"}, true},
		{"too long, without an end", []string{fits, "x"}, true},
		{"many short lines", []string{strings.Repeat("x\n", maxLine), "220 go\n"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := &lineMatcher{after: ready}
			var err error
			for _, piece := range test.pieces {
				if err = cutErr(l, piece); err != nil {
					break
				}
			}
			if failed := err != errMatched; failed != test.fails {
				t.Errorf("error %v", err)
			}
			if len(l.line) > maxLine+bufSize {
				t.Errorf("%d bytes are kept", len(l.line))
			}
		})
	}
}

func cutErr(l *lineMatcher, piece string) error {
	_, err := l.cut([]byte(piece))
	return err
}
