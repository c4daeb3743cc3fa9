package realserver

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// quasselSays returns a packet of Quassel's: its length, and a list of names, each followed
// by its value, in Qt's format.
func quasselSays(pairs ...string) string {
	text := func(kind uint32, s string) string {
		b := append(binary.BigEndian.AppendUint32(nil, kind), 0)
		return string(binary.BigEndian.AppendUint32(b, uint32(len(s)))) + s
	}
	list := string(binary.BigEndian.AppendUint32(nil, uint32(len(pairs))))
	for i := 0; i < len(pairs); i += 2 {
		list += text(12, pairs[i]) + text(10, quasselUTF16(pairs[i+1]))
	}
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(list)))) + list
}

// quasselUTF16 is a text of ASCII as Quassel writes it.
func quasselUTF16(s string) string {
	wide := ""
	for _, r := range s {
		wide += fmt.Sprintf("\x00%c", r)
	}
	return wide
}

var (
	quasselInit  = quasselSays("MsgType", "ClientInit", "ClientVersion", "test", "ClientDate", "")
	quasselLogin = quasselSays("MsgType", "ClientLogin", "User", "demo", "Password", "wrong")
)

func TestQuassel(t *testing.T) {
	t.Parallel()
	s := Quassel(t)
	t.Run("session", func(t *testing.T) {
		core := open(t, s, "quassel", Host)
		hear := func(want string) {
			t.Helper()
			var length [4]byte
			if _, err := io.ReadFull(core.r, length[:]); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, min(binary.BigEndian.Uint32(length[:]), 1<<16))
			if _, err := io.ReadFull(core.r, answer); err != nil || !strings.Contains(string(answer), quasselUTF16(want)) {
				t.Errorf("%q (%v), want %s", answer, err, want)
			}
		}
		core.say(quasselInit)
		hear("ClientInitAck")
		core.say(quasselLogin)
		hear("ClientLoginReject")
	})
	t.Run("program", func(t *testing.T) {
		// It ends the session for an empty packet alone, and not always with close_notify.
		got := tlsup(t, quasselInit+"\x00\x00\x00\x00", "--x509cafile", s.CAFile(), s.target("quassel"))
		got.must(t, 0, quasselUTF16("ClientInitAck"), "")
		tlsup(t, "", s.target("quassel")).must(t, 6, "", s.Addr("quassel")+": verify: ", "throwaway authority")
	})
}

func TestQuasselWithoutTLS(t *testing.T) {
	t.Parallel()
	s := Quassel(t, QuasselNoTLS)
	mustRefuse(t, s, "quassel", Host, negotiate.ErrNotOffered, negotiate.Upgrade)
	tlsup(t, "", s.target("quassel")).must(t, 4, "", s.Addr("quassel")+": upgrade: server does not offer encryption", "hint: the core has no certificate")
}
