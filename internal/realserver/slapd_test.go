package realserver

import (
	"io"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// ber returns an element of fewer than 128 bytes.
func ber(identifier byte, content ...string) string {
	all := strings.Join(content, "")
	return string([]byte{identifier, byte(len(all))}) + all
}

// Messages of LDAP (RFC 4511): a simple bind, Who Am I? (RFC 4532), and the end.
var (
	ldapBind   = ber(0x30, ber(2, "\x02"), ber(0x60, ber(2, "\x03"), ber(4, SlapdAdmin), ber(0x80, Password)))
	ldapWhoAmI = ber(0x30, ber(2, "\x03"), ber(0x77, ber(0x80, "1.3.6.1.4.1.4203.1.11.3")))
	ldapUnbind = ber(0x30, ber(2, "\x04"), ber(0x42))
)

// The answers to them.
var (
	ldapBound = ber(0x30, ber(2, "\x02"), ber(0x61, ber(0x0a, "\x00"), ber(4), ber(4)))
	ldapIAm   = ber(0x30, ber(2, "\x03"), ber(0x78, ber(0x0a, "\x00"), ber(4), ber(4), ber(0x8b, "dn:"+SlapdAdmin)))
)

func TestSlapd(t *testing.T) {
	t.Parallel()
	// Nobody binds in the clear.
	s := Slapd(t, "security simple_bind=128")
	for _, scheme := range slapd.schemes {
		t.Run(scheme, func(t *testing.T) {
			ldap := open(t, s, scheme, Host)
			ldap.say(ldapBind)
			ldap.hear(ldapBound)
			ldap.say(ldapWhoAmI)
			ldap.hear(ldapIAm)
			ldap.say(ldapUnbind)
			ldap.end()
		})
		t.Run(scheme+" program", func(t *testing.T) {
			// No unbinding: what is not answered by then never will be (RFC 4511, 4.3).
			got := tlsupTurns(t, []turn{{ldapBind, ldapBound}, {ldapWhoAmI, ldapIAm}}, "--x509cafile", s.CAFile(), s.target(scheme))
			got.must(t, 0, ldapBound+ldapIAm)
			tlsup(t, "", s.target(scheme)).must(t, 6, "", s.Addr(scheme)+": verify: ", "throwaway authority")
		})
	}
	t.Run("upgrade on the port for TLS", func(t *testing.T) {
		tlsup(t, "", "ldap://"+s.Addr("ldaps")).must(t, 4, "", s.Addr("ldaps")+": upgrade: server ")
	})
	t.Run("TLS on the port for the upgrade", func(t *testing.T) {
		tlsup(t, "", "ldaps://"+s.Addr("ldap")).must(t, 5, "", s.Addr("ldap")+": handshake: ")
	})
	t.Run("bind in the clear", func(t *testing.T) {
		conn := dial(t, s, "ldap")
		if _, err := io.WriteString(conn, ldapBind); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, len(ldapBound))
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) == ldapBound {
			t.Errorf("%q, %v", answer, err)
		}
	})
}

func TestSlapdWithoutTLS(t *testing.T) {
	t.Parallel()
	s := Slapd(t, SlapdNoTLS)
	mustRefuse(t, s, "ldap", Host, negotiate.ErrRefused, negotiate.Upgrade)
	tlsup(t, "", s.target("ldap")).must(t, 4, "", s.Addr("ldap")+`: upgrade: server refuses: "protocolError (2): unsupported extended operation"`, "hint: ", "tlsup ldaps://127.0.0.1")
}
