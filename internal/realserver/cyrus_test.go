package realserver

import (
	"encoding/base64"
	"testing"

	"tlsup/negotiate"
)

func TestCyrus(t *testing.T) {
	t.Parallel()
	s := Cyrus(t)
	login := base64.StdEncoding.EncodeToString([]byte("\x00" + CyrusUser + "\x00" + Password))
	t.Run("csync", func(t *testing.T) {
		csync := open(t, s, "csync", Host)
		mustOffer(t, csync.all("* OK "), "STARTTLS", false)
		csync.ask("GET MAILBOXES (user.nobody)", "NO Please authenticate first")
		csync.ask("AUTHENTICATE PLAIN "+login, "OK Success (tls protection)")
		csync.ask("GET MAILBOXES (user.nobody)", "OK success")
		csync.say("EXIT\r\n")
		csync.expect("OK ")
	})
	t.Run("mupdate", func(t *testing.T) {
		mupdate := open(t, s, "mupdate", Host)
		mustOffer(t, mupdate.all("* OK MUPDATE "), "STARTTLS", false)
		mupdate.ask("a LIST", "a BAD ")
		mupdate.ask(`b AUTHENTICATE "PLAIN" "`+login+`"`, `b OK "Authenticated"`)
		mupdate.ask(`c ACTIVATE "user.somebody" "`+Host+`!default" "somebody lrs"`, "c OK ")
		mustOffer(t, mupdate.askAll(`d FIND "user.somebody"`, "d OK"), `d MAILBOX {13+}`, true)
		mupdate.ask("e LOGOUT", "e OK ")
	})
	t.Run("mail", func(t *testing.T) { cyrusMail(t, s, login) })
	t.Run("program", func(t *testing.T) {
		turns := []turn{{"", "Cyrus sync server"}, {"AUTHENTICATE PLAIN " + login + "\r\n", "OK Success"}}
		tlsupTurns(t, turns, "--x509cafile", s.CAFile(), s.target("csync")).must(t, 0, "* SASL PLAIN\r\n", "without close_notify")
		turns = []turn{{"", `"(master)"`}, {`a AUTHENTICATE "PLAIN" "` + login + "\"\r\n", "a OK "}}
		tlsupTurns(t, turns, "--x509cafile", s.CAFile(), s.target("mupdate")).must(t, 0, "* AUTH \"PLAIN\"\r\n", "without close_notify")
		for _, scheme := range []string{"csync", "mupdate"} {
			tlsup(t, "", s.target(scheme)).must(t, 6, "", s.Addr(scheme)+": verify: ", "throwaway authority")
			tlsup(t, "", "tls://"+s.Addr(scheme)).must(t, 5, "", "server answers in the clear", "hint: that looks like "+scheme+": tlsup "+s.target(scheme))
		}
	})
}

// cyrusMail logs in with the protocols that other servers are tried with too.
func cyrusMail(t *testing.T, s *Server, login string) {
	imap := open(t, s, "imap", Host)
	mustOffer(t, imap.askAll("a CAPABILITY", "a OK"), "STARTTLS", false)
	imap.askAll("b LOGIN "+CyrusUser+" "+Password, "b OK")
	imap.askAll("c CREATE user/"+CyrusUser, "c OK")
	imap.askAll("d LOGOUT", "d OK")

	lmtp := open(t, s, "lmtp", Host)
	mustOffer(t, lmtp.askAll("LHLO client.example.org", "250 "), "STARTTLS", false)
	lmtp.ask("AUTH PLAIN "+login, "235 ")
	lmtp.ask("MAIL FROM:<sender@example.com>", "250 2.1.0")
	lmtp.ask("RCPT TO:<"+CyrusUser+">", "250 2.1.5")
	lmtp.ask("DATA", "354")
	lmtp.ask("From: sender@example.com\r\nSubject: test\r\n\r\nhello\r\n.", "250 2.1.5")
	lmtp.ask("QUIT", "221")

	pop3 := open(t, s, "pop3", Host)
	mustOffer(t, pop3.askAll("CAPA", "."), "STLS", false)
	pop3.ask("USER "+CyrusUser, "+OK")
	pop3.ask("PASS "+Password, "+OK")
	pop3.ask("STAT", "+OK 1 ")
	mustOffer(t, pop3.askAll("RETR 1", "."), "hello", true)
	pop3.ask("QUIT", "+OK")

	nntp := open(t, s, "nntp", Host)
	mustOffer(t, nntp.askAll("CAPABILITIES", "."), "STARTTLS", false)
	nntp.ask("AUTHINFO USER "+CyrusUser, "381 ")
	nntp.ask("AUTHINFO PASS "+Password, "281 ")
	nntp.ask("QUIT", "205 ")

	sieve := open(t, s, "sieve", Host)
	mustOffer(t, sieve.all("OK"), "STARTTLS", false)
	sieve.ask(`AUTHENTICATE "PLAIN" "`+login+`"`, "OK")
	sieve.ask("LISTSCRIPTS", "OK")
	sieve.ask("LOGOUT", "OK")
}

func TestCyrusWithoutTLS(t *testing.T) {
	t.Parallel()
	s := Cyrus(t, CyrusNoTLS)
	for scheme, step := range map[string]negotiate.Step{
		"csync": negotiate.Greeting, "mupdate": negotiate.Greeting, "imap": negotiate.Capabilities, "pop3": negotiate.Capabilities,
		"lmtp": negotiate.Capabilities, "nntp": negotiate.Capabilities, "sieve": negotiate.Capabilities,
	} {
		mustRefuse(t, s, scheme, Host, negotiate.ErrNotOffered, step)
	}
	tlsup(t, "", s.target("csync")).must(t, 4, "", s.Addr("csync")+": greeting: server does not offer STARTTLS", "hint: ", "tls_server_cert")
}

// TestCyrusWithoutKey: it offers what it then can't do.
func TestCyrusWithoutKey(t *testing.T) {
	t.Parallel()
	s := Cyrus(t, CyrusNoKey)
	for _, scheme := range []string{"csync", "mupdate"} {
		mustRefuse(t, s, scheme, Host, negotiate.ErrRefused, negotiate.Upgrade)
	}
	tlsup(t, "", s.target("csync")).must(t, 4, "", s.Addr("csync")+`: upgrade: server refuses: "NO Error initializing TLS"`)
}
