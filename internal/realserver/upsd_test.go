package realserver

import (
	"io"
	"testing"

	"tlsup/negotiate"
)

const upsList = "BEGIN LIST UPS\nUPS " + UPSName + " \"" + UPSTitle + "\"\nEND LIST UPS\n"

func TestUpsd(t *testing.T) {
	t.Parallel()
	s := Upsd(t)
	t.Run("session", func(t *testing.T) {
		nut := open(t, s, "nut", Host)
		for _, turn := range []turn{
			{"USERNAME " + UPSUser + "\n", "OK\n"},
			{"PASSWORD " + Password + "\n", "OK\n"},
			{"LOGIN " + UPSName + "\n", "OK\n"},
			{"LIST UPS\n", upsList},
			{"STARTTLS\n", "ERR ALREADY-SSL-MODE\n"},
			{"LOGOUT\n", "OK Goodbye\n"},
		} {
			nut.say(turn.say)
			if heard := nut.hear(turn.hear); heard != turn.hear {
				t.Errorf("%q in place of %q", heard, turn.hear)
			}
		}
		if rest, err := io.ReadAll(nut.r); len(rest) > 0 || err != nil {
			t.Errorf("at the end came %q, %v", rest, err)
		}
	})
	t.Run("program", func(t *testing.T) {
		// upsd never sends close_notify.
		got := tlsupTurns(t, []turn{{"LIST UPS\n", upsList}}, "--x509cafile", s.CAFile(), s.target("nut"))
		got.must(t, 0, upsList, "without close_notify")
		tlsup(t, "", s.target("nut")).must(t, 6, "", s.Addr("nut")+": verify: ", "throwaway authority")
	})
	t.Run("TLS from the first byte", func(t *testing.T) {
		tlsup(t, "", "tls://"+s.Addr("nut")).must(t, 5, "", s.Addr("nut")+": handshake: ")
	})
}

func TestUpsdWithoutTLS(t *testing.T) {
	t.Parallel()
	s := Upsd(t, UpsdNoTLS)
	mustRefuse(t, s, "nut", Host, negotiate.ErrRefused, negotiate.Upgrade)
	tlsup(t, "", s.target("nut")).must(t, 4, "", s.Addr("nut")+`: upgrade: server refuses: "ERR FEATURE-NOT-CONFIGURED"`, "hint: upsd has no certificate")
}
