package realserver

import (
	"slices"
	"testing"

	"tlsup/negotiate"
)

func TestVsftpd(t *testing.T) {
	t.Parallel()
	for scheme, settings := range map[string][]string{"ftp": nil, "ftps": {VsftpdImplicit}} {
		t.Run(scheme, func(t *testing.T) {
			s := Vsftpd(t, settings...)
			ftp, greeting := open(t, s, scheme, Host), ""
			if scheme == "ftps" {
				greeting = ftp.expect("220 ") + "\r\n"
			}
			ftp.ask("USER anonymous", "331 ")
			ftp.ask("PASS guest@example.org", "230 ")
			ftp.ask("PBSZ 0", "200 ")
			ftp.ask("PROT P", "200 ")
			mustOffer(t, ftp.askAll("FEAT", "211 "), "AUTH TLS", true)
			ftp.ask("PWD", `257 "`)
			ftp.ask("QUIT", "221 ")
			ftp.end()

			// It ends without close_notify: after QUIT, and when the client has ended.
			turns := []turn{{"USER anonymous\r\nPASS guest@example.org\r\nNOOP\r\n", greeting + "331 Please specify the password.\r\n230 Login successful.\r\n200 NOOP ok.\r\n"}}
			got := tlsupTurns(t, turns, "--x509cafile", s.CAFile(), s.target(scheme))
			got.must(t, 0, turns[0].hear, "closed without close_notify")
			tlsup(t, "", s.target(scheme)).must(t, 6, "", s.Addr(scheme)+": verify: ", "throwaway authority")
		})
	}
	t.Run("ports", func(t *testing.T) {
		s := Vsftpd(t)
		testTLSOnUpgradePort(t, s, "ftp", Host)
		tlsup(t, "", "tls://"+s.Addr("ftp")).must(t, 5, "", "server answers in the clear", "hint: that looks like ftp: tlsup "+s.target("ftp"))
	})
}

func TestVsftpdWithoutTLS(t *testing.T) {
	t.Parallel()
	s := Vsftpd(t, VsftpdNoTLS)
	mustRefuse(t, s, "ftp", Host, negotiate.ErrRefused, negotiate.Upgrade)
	tlsup(t, "", s.target("ftp")).must(t, 4, "", s.Addr("ftp")+`: upgrade: server refuses: "530 `, "hint: the server has no TLS on this port")
}

// TestFTPClients reads and writes files with clients that have no TLS.
func TestFTPClients(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]string{
		"session reused":      {"require_ssl_reuse=YES"},
		"any session":         {"require_ssl_reuse=NO"},
		"implicit TLS":        {"require_ssl_reuse=YES", VsftpdImplicit},
		"close_notify wanted": {"require_ssl_reuse=YES", "strict_ssl_read_eof=YES", "strict_ssl_write_shutdown=YES"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Vsftpd(t, settings...)
			scheme := "ftp"
			if slices.Contains(settings, VsftpdImplicit) {
				scheme = "ftps"
			}
			testFTPClients(t, s, scheme, "anonymous", "pub/", s.path("empty/pub"))
		})
	}
}
