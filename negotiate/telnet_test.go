package negotiate

import (
	"strings"
	"testing"
)

func FuzzTelnet(f *testing.F) { fuzzUpgrade(f, "telnet") }

// TestTelnetReasons checks that a caller can tell why there was no upgrade.
func TestTelnetReasons(t *testing.T) {
	checkReasons(t, "telnet", map[string]error{
		"refused":            ErrRefused,
		"refused-after-all":  ErrRefused,
		"follows-without-do": ErrUnexpected,
		"other-subcommand":   ErrUnexpected,
		"no-command":         ErrUnexpected,
		"closed-in-text":     ErrClosed,
		"tls-alert":          ErrTLS,
	})
}

// TestTelnetBounds feeds servers that never come to an end.
func TestTelnetBounds(t *testing.T) {
	checkBounds(t, "telnet", strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
	checkBounds(t, "telnet", strings.Repeat("x\r\n", MaxBytes), ErrTooLong, MaxBytes)
	checkBounds(t, "telnet", strings.Repeat("\xff\xf1", MaxBytes), ErrTooLong, MaxBytes)
	checkBounds(t, "telnet", "\xff\xfa\x18"+strings.Repeat("x", 2*MaxBytes), ErrTooLong, MaxBytes)
	var options strings.Builder
	for option := range telnetMaxOptions + 1 {
		options.WriteString(string([]byte{telnetIAC, telnetWILL, byte(100 + option)}))
	}
	checkBounds(t, "telnet", options.String(), ErrTooLong, MaxBytes)
	checkBounds(t, "telnet", options.String()[3:]+"\xff\xfe.", ErrRefused, MaxBytes)
}

// TestTelnetRecognise meets greetings of others.
func TestTelnetRecognise(t *testing.T) {
	for greeting, want := range map[string]bool{
		"\xff\xfd\x25":      true,
		"\xff\xfb\x01login": true,
		"\xff\xfd":          false,
		"\xff\xff\xfd":      false,
		"login: ":           false,
	} {
		if got := greetsLikeTelnet([]byte(greeting)); got != want {
			t.Errorf("%q: %v", greeting, got)
		}
	}
}
