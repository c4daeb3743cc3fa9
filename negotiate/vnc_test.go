package negotiate

import (
	"strings"
	"testing"
)

func FuzzVNC(f *testing.F) { fuzzUpgrade(f, "vnc") }

// TestVNCReasons checks that a caller can tell why there was no upgrade.
func TestVNCReasons(t *testing.T) {
	checkReasons(t, "vnc", map[string]error{
		"anonymous":               ErrNotOffered,
		"anonymous-type":          ErrNotOffered,
		"old":                     ErrNotOffered,
		"vencrypt-0.1":            ErrNotOffered,
		"refused":                 ErrRefused,
		"version-refused":         ErrRefused,
		"sub-type-refused":        ErrRefused,
		"sub-type-refused-silent": ErrRefused,
		"sub-type-other-answer":   ErrUnexpected,
		"greeting-almost":         ErrUnexpected,
		"refused-too-long":        ErrTooLong,
		"closed-in-sub-types":     ErrClosed,
		"tls-alert":               ErrTLS,
	})
}

// TestVNCBounds feeds answers that announce more than they should.
func TestVNCBounds(t *testing.T) {
	much := strings.Repeat("x", 2*MaxBytes)
	checkBounds(t, "vnc", "RFB 003.008"+much, ErrUnexpected, 4096)
	checkBounds(t, "vnc", "RFB 003.008\n\x00\x7f\xff\xff\xff"+much, ErrTooLong, 4096)
	checkBounds(t, "vnc", "RFB 003.003\n\x00\x00\x00\x00\x7f\xff\xff\xff"+much, ErrTooLong, 4096)
	checkBounds(t, "vnc", "RFB 003.008\n\x01\x13\x00\x02\x00\xff"+much, ErrNotOffered, 4096)
	checkBounds(t, "vnc", "RFB 003.008\n\x01\x13\x00\x02\x00\x01\x00\x00\x01\x04\x00\x00\x00\x01\x7f\xff\xff\xff"+much, ErrRefused, 4096)
}
