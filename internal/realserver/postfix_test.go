package realserver

import (
	"errors"
	"testing"

	"tlsup/negotiate"
)

func TestPostfix(t *testing.T) {
	t.Parallel()
	s := Postfix(t)
	for _, scheme := range postfix.schemes {
		t.Run(scheme, func(t *testing.T) {
			smtp := open(t, s, scheme, Host)
			if find(t, scheme).Upgrade == nil {
				smtp.expect("220 " + Host)
			}
			mustOffer(t, smtp.askAll("EHLO client.example.org", "250 "), "STARTTLS", false)
			smtp.ask("MAIL FROM:<sender@example.com>", "250 2.1.0")
			smtp.ask("RCPT TO:<"+User+">", "250 2.1.5")
			smtp.ask("DATA", "354")
			smtp.ask("Subject: test\r\n\r\nhello\r\n.", "250 2.0.0 Ok: queued")
			smtp.ask("NOOP", "250")
			smtp.ask("QUIT", "221")
			smtp.end()
		})
	}
	t.Run("ports", func(t *testing.T) { testPorts(t, s, Host) })
	t.Run("program", func(t *testing.T) { testProgram(t, s) })
}

func TestPostfixWithoutTLS(t *testing.T) {
	t.Parallel()
	s := Postfix(t, "smtpd_tls_security_level = none")
	mustRefuse(t, s, "smtp", Host, negotiate.ErrNotOffered, negotiate.Capabilities)
	got := tlsup(t, "", s.target("smtp"))
	got.must(t, 4, "", s.Addr("smtp")+": capabilities: server does not offer STARTTLS")
}

// TestPostfixWithoutCertificate: Postfix offers STARTTLS all the same, and refuses it.
func TestPostfixWithoutCertificate(t *testing.T) {
	t.Parallel()
	s := Postfix(t, "smtpd_tls_chain_files =")
	mustRefuse(t, s, "smtp", Host, negotiate.ErrRefused, negotiate.Upgrade)
	got := tlsup(t, "", s.target("smtp"))
	got.must(t, 4, "", s.Addr("smtp")+": upgrade: server refuses: ", "454 4.7.0 TLS not available")
}

// mustRefuse expects the upgrade to end with an error, at a step.
func mustRefuse(t *testing.T, s *Server, scheme, host string, want error, step negotiate.Step) {
	t.Helper()
	_, err := upgrade(t, s, scheme, host)
	var own *negotiate.Error
	if !errors.Is(err, want) || !errors.As(err, &own) || own.Step != step {
		t.Errorf("%s: error %v, want %q at the step %q", scheme, err, want, step)
	}
}
