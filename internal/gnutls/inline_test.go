package gnutls

import (
	"errors"
	"strings"
	"testing"
)

// taken is what becomes of pieces of an input: what is sent, and commands in brackets.
func taken(prefix byte, pieces ...string) string {
	var b strings.Builder
	i := &Inline{Prefix: prefix}
	for _, piece := range pieces {
		i.Take([]byte(piece),
			func(p []byte) error { b.Write(p); return nil },
			func(c Command) error { b.WriteString("[" + string(c) + "]"); return nil })
	}
	return b.String() + "|" + string(i.Rest())
}

func TestInline(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		prefix byte
		input  string
		want   string // with | in front of what is held back at the end
	}{
		{'^', "hello\n", "hello\n|"},
		{'^', "^resume^\n", "[resume]|"},
		{'^', "^resume^\r\n", "[resume]|"},
		{'^', "a\n^renegotiate^\nb\n", "a\n[renegotiate]b\n|"},
		{'^', "^rekey^\n^rekey1^\n", "[rekey][rekey1]|"},
		{'^', "a^resume^\n", "a^resume^\n|"},
		{'^', "^resume^ \n", "^resume^ \n|"},
		{'^', "^^resume^\n", "^^resume^\n|"},
		{'^', "^resumes^\n^resume^\n", "^resumes^\n[resume]|"},
		{'^', "^\n^resume^\n", "^\n[resume]|"},
		{'^', "a\n^resu", "a\n|^resu"},
		{'^', "^resume^\r", "|^resume^\r"},
		{'@', "@resume@\n^resume^\n", "[resume]^resume^\n|"},
		{'^', "\x00\xff\n\n^resume^\n", "\x00\xff\n\n[resume]|"},
	} {
		if got := taken(test.prefix, test.input); got != test.want {
			t.Errorf("%q: %q, want %q", test.input, got, test.want)
		}
		if got := taken(test.prefix, strings.Split(test.input, "")...); got != test.want {
			t.Errorf("%q byte by byte: %q, want %q", test.input, got, test.want)
		}
	}
	failed := errors.New("failed")
	err := (&Inline{Prefix: '^'}).Take([]byte("a\n^resume^\nb\n"),
		func([]byte) error { return nil }, func(Command) error { return failed })
	if err != failed {
		t.Errorf("error is %v", err)
	}
}

// FuzzInline: nothing is lost or added, however the input comes.
func FuzzInline(f *testing.F) {
	f.Add([]byte("a\n^resume^\n^res"), 3)
	f.Fuzz(func(t *testing.T, input []byte, cut int) {
		whole := taken('^', string(input))
		at := max(0, min(cut, len(input)))
		if parts := taken('^', string(input[:at]), string(input[at:])); parts != whole {
			t.Errorf("%q cut at %d: %q, whole %q", input, at, parts, whole)
		}
		names := strings.NewReplacer("[resume]", "^resume^\n", "[rekey]", "^rekey^\n", "[rekey1]", "^rekey1^\n", "[renegotiate]", "^renegotiate^\n")
		back := names.Replace(strings.Replace(whole, "|", "", 1))
		if !strings.ContainsAny(string(input), "[|\r") && back != string(input) {
			t.Errorf("%q becomes %q", input, whole)
		}
	})
}
