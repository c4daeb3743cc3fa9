package negotiate

import (
	"strings"
	"testing"
)

func FuzzMunin(f *testing.F) { fuzzUpgrade(f, "munin") }

// TestMuninReasons checks that a caller can tell why there was no upgrade.
func TestMuninReasons(t *testing.T) {
	checkReasons(t, "munin", map[string]error{
		"maybe":             ErrRefused,
		"unknown-command":   ErrRefused,
		"other-answer":      ErrUnexpected,
		"greeting-bad-name": ErrUnexpected,
		"closed-in-line":    ErrClosed,
		"tls-alert":         ErrTLS,
	})
}

// TestMuninBounds feeds a line that never comes to an end.
func TestMuninBounds(t *testing.T) {
	checkBounds(t, "munin", "# munin node at "+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
}

func TestRecogniseMunin(t *testing.T) {
	for greeting, want := range map[string]bool{
		"# munin node at x\n": true,
		"# muninx":            false,
		"# x":                 false,
		"munin node at x\n":   false,
		"":                    false,
	} {
		checkRecognised(t, "munin", greeting, want)
	}
}

// TestMuninPacket cuts commands.
func TestMuninPacket(t *testing.T) {
	for data, want := range map[string]int{"": 0, "list": 0, "list\n": 5, "list\nquit\n": 5, "\n": 1, strings.Repeat("x", MaxBytes+1): -1} {
		if got := Find("munin").Packet([]byte(data)); got != want {
			t.Errorf("%.20q begins with a packet of %d bytes, want %d", data, got, want)
		}
	}
}
