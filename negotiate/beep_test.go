package negotiate

import (
	"fmt"
	"strings"
	"testing"
)

func FuzzBEEP(f *testing.F) { fuzzUpgrade(f, "beep") }

// FuzzBEEPElement checks that what is taken for one element is nothing but one.
func FuzzBEEPElement(f *testing.F) {
	for _, text := range []string{
		"<greeting><profile uri='" + beepTLS + "' /></greeting>\r\n",
		"<?xml version='1.0'?><profile uri='" + beepTLS + "'><![CDATA[<proceed />]]></profile>",
		"<profile encoding='base64'>PHByb2NlZWQgLz4=</profile>",
		"<error code='550' xml:lang='en'>no &lt;no&gt;</error>",
		"<!DOCTYPE x><x/>", "<x/><y/>", "<x>", "", "<!-- x --><x/>",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, ok := parseBEEP(text)
		if !ok {
			return
		}
		if e.XMLName.Local == "" || !strings.Contains(text, "<") {
			t.Errorf("%q is the element %q", text, e.XMLName.Local)
		}
		for _, more := range []string{text + "<x/>", text + "x", "x" + text, text + "<!-- x -->"} {
			if _, ok := parseBEEP(more); ok {
				t.Errorf("%q is one element", more)
			}
		}
		e.inner()
		e.offers(beepTLS)
	})
}

// TestBEEPReasons checks that a caller can tell why there was no upgrade.
func TestBEEPReasons(t *testing.T) {
	checkReasons(t, "beep", map[string]error{
		"not-offered":        ErrNotOffered,
		"unavailable":        ErrRefused,
		"refused":            ErrRefused,
		"error-inside":       ErrRefused,
		"no-proceed":         ErrUnexpected,
		"other-sequence":     ErrUnexpected,
		"document-type":      ErrUnexpected,
		"size-far-too-large": ErrTooLong,
		"closed-in-greeting": ErrClosed,
		"tls-alert":          ErrTLS,
	})
}

// TestBEEPBounds feeds messages that never come to an end.
func TestBEEPBounds(t *testing.T) {
	more := strings.Repeat("x", 2*MaxBytes)
	checkBounds(t, "beep", "RPY 0 0 . 0 4294967295\r\n"+more, ErrTooLong, 4096)
	checkBounds(t, "beep", "RPY 0 0 . 0 9999999999\r\n"+more, ErrTooLong, 4096)
	checkBounds(t, "beep", "RPY 0 0 . 0 "+more, ErrTooLong, MaxBytes)
	checkBounds(t, "beep", strings.Repeat("RPY 0 0 * 0 0\r\nEND\r\n", MaxLines), ErrTooLong, MaxBytes)
	checkBounds(t, "beep", strings.Repeat("SEQ 0 0 4096\r\n", 2*MaxLines), ErrTooLong, MaxBytes)
	var frames strings.Builder
	for i := range 40 {
		fmt.Fprintf(&frames, "RPY 0 0 * %d 1000\r\n%sEND\r\n", 1000*i, strings.Repeat("\r\n", 500))
	}
	checkBounds(t, "beep", frames.String(), ErrTooLong, MaxBytes)
	deep := "\r\n" + strings.Repeat("<greeting>", 3000)
	checkBounds(t, "beep", fmt.Sprintf("RPY 0 0 . 0 %d\r\n%sEND\r\n", len(deep), deep), ErrUnexpected, MaxBytes)
}

func TestRecogniseBEEP(t *testing.T) {
	for greeting, want := range map[string]bool{
		"RPY 0 0 . 0 110\r\nContent-Type: application/beep+xml\r\n": true,
		"ERR 0 0 . 0 60\r\n":  true,
		"RPY 0 0 * 0 110\r\n": true,
		"RPY 0 0 . 0 110":     false,
		"RPY 1 0 . 0 110\r\n": false,
		"RPY 0 0 . 0 x\r\n":   false,
		"MSG 0 0 . 0 110\r\n": false,
		"":                    false,
	} {
		checkRecognised(t, "beep", greeting, want)
	}
}
