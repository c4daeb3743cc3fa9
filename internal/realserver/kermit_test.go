package realserver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tlsup/negotiate"
)

// kermitWait waits until that many connections have ended.
func kermitWait(t *testing.T, s *Server, connections int) {
	t.Helper()
	for deadline := time.Now().Add(limit); strings.Count(s.Log(), kermitEnded) < connections; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("fewer than %d connections have ended", connections)
		}
	}
}

// kermitTry runs the program, again as long as the server is not there yet.
func kermitTry(t *testing.T, s *Server, args ...string) result {
	t.Helper()
	for deadline := time.Now().Add(limit); ; {
		got := tlsup(t, "", append(args, s.target("telnet"))...)
		if got.status != 3 || time.Now().After(deadline) {
			return got
		}
	}
}

func TestKermit(t *testing.T) {
	t.Parallel()
	s := Kermit(t)
	kermitWait(t, s, 1)
	telnet := open(t, s, "telnet", Host)
	// Both negotiate anew. All that the server wants is refused, one by one.
	heard := ""
	for !strings.HasSuffix(heard, "KERMIT READY TO SERVE...") {
		b, err := telnet.r.ReadByte()
		if err != nil {
			t.Fatalf("%q, then %v", heard, err)
		}
		heard += string([]byte{b})
		if len(heard) < 3 || heard[len(heard)-3] != 0xff {
			continue
		}
		const will, wont, do, dont = 0xfb, 0xfc, 0xfd, 0xfe
		if answer := map[byte]byte{will: dont, do: wont}[heard[len(heard)-2]]; answer != 0 {
			telnet.say(string([]byte{0xff, answer, b}))
		}
	}
	telnet.conn.Close()

	kermitWait(t, s, 2)
	kermitTry(t, s).must(t, 6, "", s.Addr("telnet")+": verify: ", "throwaway authority")
	kermitWait(t, s, 3)
	kermitTry(t, s, "--x509cafile", s.CAFile(), "-v").must(t, 0, "\xff\xfd", "S: IAC SB START_TLS FOLLOWS IAC SE")
}

func TestKermitWithoutTLS(t *testing.T) {
	t.Parallel()
	s := Kermit(t, KermitNoTLS)
	kermitWait(t, s, 1)
	t.Run("refused", func(t *testing.T) { // closes the connection at its end
		mustRefuse(t, s, "telnet", Host, negotiate.ErrRefused, negotiate.Upgrade)
	})
	kermitWait(t, s, 2)
	kermitTry(t, s).must(t, 4, "", fmt.Sprintf("%s: upgrade: server refuses: %q", s.Addr("telnet"), "IAC DONT START_TLS"), "hint: ", "tlsup telnets://127.0.0.1")
}
