package realserver

import (
	"encoding/base64"
	"testing"

	"tlsup/negotiate"
)

func TestPigeonhole(t *testing.T) {
	t.Parallel()
	s := Pigeonhole(t)
	login := `AUTHENTICATE "PLAIN" "` + base64.StdEncoding.EncodeToString([]byte("\x00"+User+"\x00"+Password)) + `"`
	t.Run("sieve", func(t *testing.T) {
		sieve := open(t, s, "sieve", Host)
		// The capabilities come by themselves.
		mustOffer(t, sieve.all("OK"), "STARTTLS", false)
		sieve.ask(login, "OK")
		sieve.ask("HAVESPACE \"test\" 100", "OK")
		sieve.ask("PUTSCRIPT \"test\" {6+}\r\nkeep;\n", "OK")
		mustOffer(t, sieve.askAll("LISTSCRIPTS", "OK"), `"test"`, true)
		sieve.ask("LOGOUT", "OK")
		sieve.end()
	})
	t.Run("ports", func(t *testing.T) { testPorts(t, s, Host) })
	t.Run("program", func(t *testing.T) {
		turns := []turn{{"", "\r\nOK "}, {login + "\r\n", "OK "}, {"LISTSCRIPTS\r\n", "OK "}, {"LOGOUT\r\n", "OK "}}
		tlsupTurns(t, turns, "--x509cafile", s.CAFile(), s.target("sieve")).must(t, 0, "\"IMPLEMENTATION\" ")
		tlsup(t, "", s.target("sieve")).must(t, 6, "", s.Addr("sieve")+": verify: ", "throwaway authority")
	})
}

func TestPigeonholeWithoutTLS(t *testing.T) {
	t.Parallel()
	s := Pigeonhole(t, DovecotNoTLS)
	mustRefuse(t, s, "sieve", Host, negotiate.ErrNotOffered, negotiate.Capabilities)
	tlsup(t, "", s.target("sieve")).must(t, 4, "", s.Addr("sieve")+": capabilities: server does not offer STARTTLS")
}
