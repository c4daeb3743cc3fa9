package quote

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"220 ready":            "220 ready",
		"\x1b[31mred\x1b[0m":   `\x1b[31mred\x1b[0m`,
		"a\r\nb":               `a\r\nb`,
		"\xff\xfe":             `\xff\xfe`,
		"\u202egnp.exe":        `\u202egnp.exe`,
		"\u009b31m":            `\u009b31m`,
		`back\slash`:           `back\\slash`,
		"Grüße":                "Grüße",
		"\x00":                 `\x00`,
		string(rune(0x10ffff)): `\U0010ffff`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	if got, want := Short("554 no\r\n"), `"554 no"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got := Short(strings.Repeat("a", MaxQuote+1))
	if want := `"` + strings.Repeat("a", MaxQuote) + `..."`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := Short(strings.Repeat("a", MaxQuote-1) + "é"); strings.Contains(got, `\x`) {
		t.Errorf("a character was cut in two: %s", got)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("220 \x1b[2J\xff\\")
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		if !utf8.ValidString(got) {
			t.Fatalf("invalid UTF-8: %q", got)
		}
		for _, r := range got {
			if !strconv.IsPrint(r) {
				t.Fatalf("%q is not printable in %q", r, got)
			}
		}
	})
}
