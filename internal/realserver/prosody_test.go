package realserver

import (
	"fmt"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// stream is the header of a stream to Domain.
func stream(scheme string) string {
	content := "jabber:client"
	if strings.HasSuffix(scheme, "-server") {
		content = "jabber:server"
	}
	return fmt.Sprintf("<?xml version='1.0'?><stream:stream to='%s' xmlns='%s' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>", Domain, content)
}

func TestProsody(t *testing.T) {
	t.Parallel()
	s := Prosody(t)
	for _, scheme := range prosody.schemes {
		t.Run(scheme, func(t *testing.T) {
			xmpp := open(t, s, scheme, Domain)
			xmpp.say(stream(scheme))
			features := []string{xmpp.hear("</stream:features>")}
			mustOffer(t, features, "<starttls", false)
			mustOffer(t, features, "<mechanism>SCRAM-SHA-256</mechanism>", !strings.HasSuffix(scheme, "-server"))
			mustOffer(t, features, "<dialback", strings.HasSuffix(scheme, "-server"))
			xmpp.say("</stream:stream>")
			xmpp.hear("</stream:stream>")
			xmpp.end()
		})
	}
	t.Run("domain not served", func(t *testing.T) {
		for _, scheme := range []string{"xmpp", "xmpp-server"} {
			mustRefuse(t, s, scheme, "example.com", negotiate.ErrRefused, negotiate.Capabilities)
			got := tlsup(t, "", "--starttls-name", "example.com", s.target(scheme))
			got.must(t, 4, "", "host-unknown", "hint: the server does not serve example.com")
		}
	})
	t.Run("ports", func(t *testing.T) { testPorts(t, s, Domain) })
	t.Run("program", func(t *testing.T) { testProgram(t, s) })
}

// TestProsodyWithoutTLS: a server that wants TLS and has none offers nothing at all, and
// ends the stream.
func TestProsodyWithoutTLS(t *testing.T) {
	t.Parallel()
	const noTLS = `modules_disabled = { "tls" }`
	t.Run("not wanted", func(t *testing.T) {
		s := Prosody(t, noTLS, "c2s_require_encryption = false", "s2s_require_encryption = false")
		for _, scheme := range []string{"xmpp", "xmpp-server"} {
			mustRefuse(t, s, scheme, Domain, negotiate.ErrNotOffered, negotiate.Capabilities)
			got := tlsup(t, "", "--starttls-name", Domain, s.target(scheme))
			got.must(t, 4, "", s.Addr(scheme)+": capabilities: server does not offer STARTTLS")
		}
	})
	t.Run("wanted", func(t *testing.T) {
		s := Prosody(t, noTLS)
		mustRefuse(t, s, "xmpp", Domain, negotiate.ErrRefused, negotiate.Capabilities)
		mustRefuse(t, s, "xmpp-server", Domain, negotiate.ErrNotOffered, negotiate.Capabilities)
	})
}
