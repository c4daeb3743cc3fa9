package realserver

import (
	"testing"

	"tlsup/negotiate"
)

func TestMunin(t *testing.T) {
	t.Parallel()
	s := Munin(t, "tls enabled")
	munin := open(t, s, "munin", Host)
	munin.say("STARTTLS and more\n")
	munin.hear("# Unknown command. Try cap, list, nodes, config, fetch, version or quit\n")
	munin.say("fetch figure\n")
	if got := munin.hear(".\n"); got != "figure.value 5\n.\n" {
		t.Errorf("the figure is %q", got)
	}

	turns := []turn{{"cap multigraph\n", "cap multigraph dirtyconfig\n"}, {"fetch figure\n", "\n.\n"}, {"config figure\n", "\n.\n"}}
	tlsupTurns(t, turns, "--x509cafile", s.CAFile(), s.target("munin")).must(t, 0, "figure.value 5\n.\nfigure.label figure\n.\n", "without close_notify")
	tlsup(t, "", s.target("munin")).must(t, 6, "", s.Addr("munin")+": verify: ", "throwaway authority")
	tlsup(t, "", "tls://"+s.Addr("munin")).must(t, 5, "", "server answers in the clear", "hint: that looks like munin: tlsup "+s.target("munin"))
}

// TestMuninWithoutKey: it would be the client of the handshake.
func TestMuninWithoutKey(t *testing.T) {
	t.Parallel()
	s := Munin(t, MuninNoKey)
	mustRefuse(t, s, "munin", Host, negotiate.ErrRefused, negotiate.Upgrade)
	tlsup(t, "", s.target("munin")).must(t, 4, "", s.Addr("munin")+`: upgrade: server refuses: "TLS MAYBE"`, "hint: ", "tls_private_key")
}
