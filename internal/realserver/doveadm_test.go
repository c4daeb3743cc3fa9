package realserver

import (
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"
)

func TestDoveadm(t *testing.T) {
	t.Parallel()
	s := Doveadm(t)
	login := "PLAIN\t" + base64.StdEncoding.EncodeToString([]byte("\x00doveadm\x00"+Password)) + "\n"
	list := "\t" + User + "\tmailbox list\n"
	t.Run("session", func(t *testing.T) {
		doveadm := open(t, s, "doveadm", Host)
		doveadm.say(login)
		doveadm.hear("+\n")
		doveadm.say(list)
		if said := doveadm.hear("\n+\n"); !strings.Contains(said, "INBOX") {
			t.Errorf("the mailboxes are %q", said)
		}
		doveadm = open(t, s, "doveadm", Host)
		doveadm.say("PLAIN\tAGRvdmVhZG0Ad3Jvbmc=\n")
		doveadm.hear("-\n")
		doveadm.end()
	})
	t.Run("program", func(t *testing.T) {
		tlsupTurns(t, []turn{{login, "+\n"}, {list, "\n+\n"}}, "--x509cafile", s.CAFile(), s.target("doveadm")).must(t, 0, "INBOX")
		tlsup(t, "", s.target("doveadm")).must(t, 6, "", s.Addr("doveadm")+": verify: ", "throwaway authority")
	})
	t.Run("tunnel", func(t *testing.T) {
		client := Tool(t, "doveadm")
		tu := tunnelTo(t, s, "doveadm", "0")
		out, err := exec.CommandContext(t.Context(), client, "-c", s.path("dovecot.conf"), "mailbox", "list", "-S", tu.addr, "-u", User).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "INBOX") {
			t.Errorf("doveadm: %v, %s", err, out)
		}
	})
}

// TestDoveadmRefuses: what it has against the client comes where the handshake is due.
func TestDoveadmRefuses(t *testing.T) {
	t.Parallel()
	for name, setting := range map[string]string{"no password": DoveadmNoPassword, "no TLS": DovecotNoTLS} {
		t.Run(name, func(t *testing.T) {
			s := Doveadm(t, setting)
			up, err := upgrade(t, s, "doveadm", Host)
			if err != nil {
				t.Fatal(err)
			}
			if greeting := string(up.Greeting); !strings.HasPrefix(greeting, "VERSION\tdoveadm-client\t1\t") || !strings.HasSuffix(greeting, "\n-\n") {
				t.Errorf("a client would be shown %q", greeting)
			}
			tlsup(t, "", s.target("doveadm")).must(t, 4, "", `server refuses, unless somebody on the way does`, `: "-"`)
		})
	}
}
