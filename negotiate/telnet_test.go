package negotiate

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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

// TestTelnetSilent meets a server that waits for the client.
func TestTelnetSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		go func() {
			for _, move := range []struct{ hear, say string }{{"\xff\xfb.", "\xff\xfd."}, {"\xff\xfa.\x01\xff\xf0", "\xff\xfa.\x01\xff\xf0"}} {
				heard := make([]byte, len(move.hear))
				if _, err := io.ReadFull(server, heard); err != nil || string(heard) != move.hear {
					t.Errorf("the client says %q (%v), want %q", heard, err, move.hear)
				}
				io.WriteString(server, move.say)
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if _, err := Client(ctx, client, Find("telnet"), &Options{Host: "mail.example.org"}); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != autoWait {
			t.Errorf("the client speaks first after %v, want %v", d, autoWait)
		}
	})
}
