package realserver

import (
	"testing"

	"tlsup/negotiate"
)

func TestINN(t *testing.T) {
	t.Parallel()
	for scheme, settings := range map[string][]string{"nntp": nil, "nntps": {INNImplicit}} {
		t.Run(scheme, func(t *testing.T) {
			s := INN(t, settings...)
			nntp := open(t, s, scheme, Host)
			if scheme == "nntps" {
				nntp.expect("201 ")
			}
			mustOffer(t, nntp.askAll("CAPABILITIES", "."), "STARTTLS", false)
			nntp.ask("GROUP "+INNGroup, "211 0 ")
			mustOffer(t, nntp.askAll("LIST", "."), INNGroup, true)
			nntp.ask("QUIT", "205 ")
			nntp.end()

			const talk = "LIST\r\nQUIT\r\n"
			tlsup(t, talk, "--x509cafile", s.CAFile(), s.target(scheme)).must(t, 0, "\r\n.\r\n205 ")
			tlsup(t, talk, s.target(scheme)).must(t, 6, "", s.Addr(scheme)+": verify: ", "throwaway authority")
		})
	}
	t.Run("ports", func(t *testing.T) {
		s := INN(t)
		testTLSOnUpgradePort(t, s, "nntp", Host)
		tlsup(t, "", "tls://"+s.Addr("nntp")).must(t, 5, "", "server answers in the clear", "hint: that looks like nntp: tlsup "+s.target("nntp"))
	})
}

// TestINNWithoutTLS: it offers what it then can't do.
func TestINNWithoutTLS(t *testing.T) {
	t.Parallel()
	s := INN(t, INNNoTLS)
	mustRefuse(t, s, "nntp", Host, negotiate.ErrRefused, negotiate.Upgrade)
	tlsup(t, "", s.target("nntp")).must(t, 4, "", s.Addr("nntp")+`: upgrade: server refuses: "580 `)
}
