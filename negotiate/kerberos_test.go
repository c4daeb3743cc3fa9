package negotiate

import (
	"strings"
	"testing"
)

func FuzzKerberos(f *testing.F) { fuzzUpgrade(f, "kerberos") }

// TestKerberosReasons checks that a caller can tell why there was no upgrade.
func TestKerberosReasons(t *testing.T) {
	checkReasons(t, "kerberos", map[string]error{
		"too-long-mit":     ErrRefused,
		"too-long-shishi":  ErrRefused,
		"policy":           ErrRefused,
		"extensions-none":  ErrNotOffered,
		"extensions-other": ErrNotOffered,
		"extensions-ours":  ErrUnexpected,
		"other-kind":       ErrUnexpected,
		"length-too-long":  ErrTooLong,
		"closed":           ErrClosed,
		"closed-in-error":  ErrClosed,
		"tls-alert":        ErrTLS,
	})
}

// TestKerberosBounds feeds messages that never come to an end.
func TestKerberosBounds(t *testing.T) {
	more := strings.Repeat("x", 2*MaxBytes)
	checkBounds(t, "kerberos", "\x7f\xff\xff\xff"+more, ErrUnexpected, 4096)
	checkBounds(t, "kerberos", "\x00\x00\xff\xff"+more, ErrTooLong, 4096)
	checkBounds(t, "kerberos", "\x7e\x82\xff\xff"+more, ErrTooLong, 4096)
}

func FuzzKerberosError(f *testing.F) {
	for _, x := range exchanges(f, Find("kerberos")) {
		for _, m := range x.moves {
			if m.server && len(m.text) > 4 {
				f.Add([]byte(m.text))
				f.Add([]byte(m.text[4:]))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		code, text, ok := parseKerberosError(data)
		if ok && code <= 0 || len(text) > len(data) {
			t.Errorf("%q is error %d, %q", data, code, text)
		}
	})
}
