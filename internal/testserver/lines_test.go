package testserver

import (
	"strings"
	"testing"

	"tlsup/negotiate"
)

// TestLines holds dialogues with servers of lines, in the clear and inside TLS.
func TestLines(t *testing.T) {
	const greetsFTP = "S: 220-mail.example.org FTP server\nS: Files for everybody,\nS: 220 once they have logged in\n"
	const greetsNNTP = "S: 201 mail.example.org ready, no posting\n"
	const greetsIRC = "S: :mail.example.org NOTICE * :...\n"
	const ftp = `
		C: PASS demo
		S: 530 wrong name or password
		C: PWD
		S: 530 not logged in
		C: AUTH TLS
		S: 503 TLS is active
		C: PROT C
		S: 536 PBSZ 0 and PROT P are what there is
		C: USER demo
		S: 331 now the password
		C: PASS demo
		S: 230 logged in
		C: LIST
		S: 502 command not implemented
		C: QUIT
		S: 221 Goodbye
		close`
	const nntp = `
		C: STARTTLS
		S: 502 TLS is active
		C: MODE READER
		S: 201 no posting
		C: GROUP example.test
		S: 500 command not known
		C: QUIT
		S: 205 bye
		close`
	const irc = `
		C: PING early
		S: :mail.example.org 451 * :You have not registered
		C: CAP LS 302
		S: :mail.example.org CAP * LS :multi-prefix
		C: NICK demo
		C: USER demo 0 * :demo
		C: CAP END
		S: :mail.example.org 001 demo :Welcome
		C: JOIN #x
		S: :mail.example.org 421 demo JOIN :Unknown command
		C: QUIT
		S: ERROR :Closing Link: demo (Quit)
		close`
	for _, test := range []struct{ name, where, dialogue string }{
		{"ftp", "clear", greetsFTP + `
			C: USER demo
			S: 530 not in the clear, say AUTH TLS
			C: AUTH SSL
			S: 504 TLS is what there is
			C: NOOP
			S: 200 fine
			C: QUIT
			S: 221 Goodbye
			close`},
		{"nntp", "clear", greetsNNTP + `
			C: LIST
			S: 483 not in the clear, say STARTTLS
			C: STARTTLS now
			S: 501 STARTTLS takes no argument
			C: QUIT
			S: 205 bye
			close`},
		{"irc", "clear", greetsIRC + `
			C: NICK demo
			S: :mail.example.org 451 * :not in the clear, say STARTTLS
			C: QUIT
			S: ERROR :Closing Link
			close`},
		{"sieve", "clear", `
			S: "IMPLEMENTATION" "tlsup"
			S: "SIEVE" "fileinto"
			S: "VERSION" "1.0"
			S: "SASL" ""
			S: "STARTTLS"
			S: OK "mail.example.org ready"
			C: AUTHENTICATE "PLAIN" "AGRlbW8AZGVtbw=="
			S: NO (ENCRYPT-NEEDED) "not in the clear"
			C: LOGOUT
			S: OK "bye"
			close`},
		{"ftp", "inside", ftp},
		{"ftps", "inside", greetsFTP + ftp},
		{"nntp", "inside", nntp},
		{"nntps", "inside", greetsNNTP + nntp},
		{"irc", "inside", irc},
		{"ircs", "inside", greetsIRC + irc},
		{"sieve", "inside", `
			S: "IMPLEMENTATION" "tlsup"
			S: "SIEVE" "fileinto"
			S: "VERSION" "1.0"
			S: "SASL" "PLAIN"
			S: OK "mail.example.org ready"
			C: STARTTLS
			S: NO "TLS is active"
			C: LISTSCRIPTS
			S: NO "command not known, or not before a login"
			C: AUTHENTICATE "PLAIN" "AGRlbW8Ad3Jvbmc="
			S: NO "wrong name or password"
			C: LOGOUT
			S: OK "bye"
			close`},
	} {
		t.Run(test.name+"/"+test.where, func(t *testing.T) {
			t.Parallel()
			test.dialogue = strings.ReplaceAll(test.dialogue, "\n\n", "\n")
			if test.where == "clear" {
				_, conn := dial(t, test.name)
				converse(t, conn, test.dialogue)
				return
			}
			session, _, _ := open(t, negotiate.Find(test.name))
			converse(t, session, test.dialogue)
		})
	}
}
