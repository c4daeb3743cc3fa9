package negotiate

import (
	"strings"
	"testing"
)

func FuzzNFS(f *testing.F) { fuzzUpgrade(f, "nfs") }

// TestNFSReasons checks that a caller can tell why there was no upgrade.
func TestNFSReasons(t *testing.T) {
	checkReasons(t, "nfs", map[string]error{
		"not-offered":           ErrNotOffered,
		"denied":                ErrRefused,
		"denied-mismatch":       ErrRefused,
		"verifier-other-word":   ErrUnexpected,
		"verifier-far-too-long": ErrUnexpected,
		"record-too-long":       ErrTooLong,
		"closed-in-record":      ErrClosed,
		"tls-alert":             ErrTLS,
	})
}

// TestNFSBounds feeds records that never come to an end.
func TestNFSBounds(t *testing.T) {
	more := strings.Repeat("x", 2*MaxBytes)
	checkBounds(t, "nfs", "\x7f\xff\xff\xff"+more, ErrUnexpected, 4096)
	checkBounds(t, "nfs", "\xff\xff\xff\xff"+more, ErrTooLong, 4096)
	checkBounds(t, "nfs", strings.Repeat("\x00\x00\x00\x00", MaxBytes), ErrTooLong, 2*4096)
	checkBounds(t, "nfs", strings.Repeat("\x00\x00\x00\x01x", MaxBytes), ErrTooLong, 2*4096)
}

func FuzzXDR(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x08STARTTLS\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		x := xdr{rest: data}
		s := x.opaque(rpcMaxVerifier)
		if len(s) > rpcMaxVerifier || len(s) > len(data) {
			t.Errorf("%q holds %q", data, s)
		}
		if taken := len(data) - len(x.rest); !x.cut && taken%4 != 0 {
			t.Errorf("%d bytes were taken of %q", taken, data)
		}
		for !x.cut {
			x.number()
		}
		if x.complete() {
			t.Errorf("%q is complete, and too short", data)
		}
	})
}
