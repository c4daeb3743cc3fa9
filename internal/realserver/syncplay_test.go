package realserver

import (
	"strings"
	"testing"

	"tlsup/negotiate"
)

const syncplayHello = `{"Hello": {"username": "demo", "room": {"name": "cinema"}, "version": "1.6.9"}}`

func TestSyncplay(t *testing.T) {
	t.Parallel()
	s := Syncplay(t)
	t.Run("session", func(t *testing.T) {
		session := open(t, s, "syncplay", Host)
		session.say(syncplayHello + "\r\n")
		for line := ""; !strings.HasPrefix(line, `{"Hello": {"username": "demo"`); line = session.hear("\r\n") {
		}
		session.say(`{"TLS": {"startTLS": "send"}}` + "\r\n" + `{"Chat": "hello there"}` + "\r\n")
		// It tells where the film is, every now and then.
		for line := ""; !strings.HasPrefix(line, `{"Chat": {"message": "hello there"`); line = session.hear("\r\n") {
		}
		session.say(`{"Quit": 1}` + "\r\n")
		for line := ""; !strings.HasPrefix(line, `{"Error": {"message": "Unknown command 1"`); line = session.hear("\r\n") {
		}
		session.end()
	})
	t.Run("program", func(t *testing.T) {
		input := syncplayHello + "\r\n" + `{"Chat": "hello there"}` + "\r\n" + `{"Quit": 1}` + "\r\n"
		tlsup(t, input, "--x509cafile", s.CAFile(), s.target("syncplay")).must(t, 0, `{"Error": {"message": "Unknown command 1"}}`)
		tlsup(t, "", s.target("syncplay")).must(t, 6, "", s.Addr("syncplay")+": verify: ", "throwaway authority")
	})
}

func TestSyncplayWithoutTLS(t *testing.T) {
	t.Parallel()
	s := Syncplay(t, SyncplayNoTLS)
	mustRefuse(t, s, "syncplay", Host, negotiate.ErrRefused, negotiate.Upgrade)
	tlsup(t, "", s.target("syncplay")).must(t, 4, "", s.Addr("syncplay")+": upgrade: server refuses: ", `"startTLS": "false"`, "hint: TLS is off at the server")
}
