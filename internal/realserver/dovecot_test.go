package realserver

import (
	"testing"

	"tlsup/negotiate"
)

func TestDovecot(t *testing.T) {
	t.Parallel()
	s := Dovecot(t)
	t.Run("lmtp", func(t *testing.T) { deliver(t, open(t, s, "lmtp", Host)) })
	for _, scheme := range []string{"imap", "imaps"} {
		t.Run(scheme, func(t *testing.T) {
			imap := open(t, s, scheme, Host)
			if find(t, scheme).Upgrade == nil {
				imap.expect("* OK")
			}
			mustOffer(t, imap.askAll("a CAPABILITY", "a OK"), "STARTTLS", false)
			imap.askAll("b LOGIN "+User+" "+Password, "b OK")
			mustOffer(t, imap.askAll("c SELECT INBOX", "c OK"), "* 1 EXISTS", true)
			mustOffer(t, imap.askAll("d FETCH 1 BODY.PEEK[TEXT]", "d OK"), "hello", true)
			imap.askAll("e LOGOUT", "e OK")
			imap.end()
		})
	}
	for _, scheme := range []string{"pop3", "pop3s"} {
		t.Run(scheme, func(t *testing.T) {
			pop3 := open(t, s, scheme, Host)
			if find(t, scheme).Upgrade == nil {
				pop3.expect("+OK")
			}
			mustOffer(t, pop3.askAll("CAPA", "."), "STLS", false)
			pop3.ask("USER "+User, "+OK")
			pop3.ask("PASS "+Password, "+OK")
			pop3.ask("STAT", "+OK 1 ")
			mustOffer(t, pop3.askAll("RETR 1", "."), "hello", true)
			pop3.ask("QUIT", "+OK")
			pop3.end()
		})
	}
	t.Run("ports", func(t *testing.T) { testPorts(t, s, Host) })
	t.Run("program", func(t *testing.T) { testProgram(t, s) })
}

// deliver delivers one message, which IMAP and POP3 find afterwards.
func deliver(t *testing.T, lmtp *session) {
	mustOffer(t, lmtp.askAll("LHLO client.example.org", "250 "), "STARTTLS", false)
	lmtp.ask("MAIL FROM:<sender@example.com>", "250 2.1.0")
	lmtp.ask("RCPT TO:<"+User+">", "250 2.1.5")
	lmtp.ask("DATA", "354")
	lmtp.ask("Subject: test\r\n\r\nhello\r\n.", "250 2.0.0 <"+User+">") // one answer a recipient
	lmtp.ask("QUIT", "221")
	lmtp.end()
}

func TestDovecotWithoutTLS(t *testing.T) {
	t.Parallel()
	s := Dovecot(t, DovecotNoTLS)
	for _, scheme := range []string{"imap", "pop3", "lmtp"} {
		mustRefuse(t, s, scheme, Host, negotiate.ErrNotOffered, negotiate.Capabilities)
		tlsup(t, "", s.target(scheme)).must(t, 4, "", s.Addr(scheme)+": capabilities: server does not offer ST")
	}
}
