package testserver

import (
	"io"
	"slices"
	"testing"

	"tlsup/negotiate"
)

const ldapStartTLSRequest = "\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + ldapOIDStartTLS

// ldapNotice is the server's last word.
func ldapNotice(text string) string {
	return "S: " + ldapMessage("\x00", ldapExtendedResponse, ldapResult(2, text), ber(0x8a, ldapOIDDisconnect))
}

// TestLDAPClear says things in the clear that are not the way to TLS, and some that are.
func TestLDAPClear(t *testing.T) {
	started := "\x30\x24\x02\x01\x01\x78\x1f\x0a\x01\x00\x04\x00\x04\x00\x8a\x16" + ldapOIDStartTLS
	for name, dialogue := range map[string][]string{
		"StartTLS":      {"C: " + ldapStartTLSRequest, "S: " + started},
		"long lengths":  {"C: \x30\x84\x00\x00\x00\x1d" + ldapStartTLSRequest[2:], "S: " + started},
		"with a value":  {"C: " + ldapMessage("\x05", ldapExtended, ber(0x80, ldapOIDStartTLS), ber(0x81, "x")), "S: " + ldapMessage("\x05", ldapExtendedResponse, ldapResult(2, "StartTLS has no value"))},
		"bind":          {"C: " + ldapMessage("\x01", ldapBind, ber(2, "\x03"), ber(4, ldapUser), ber(0x80, Password)), "S: " + ldapMessage("\x01", ldapBindResponse, ldapResult(13, "say StartTLS before a password"))},
		"anonymous":     {"C: " + ldapMessage("\x01", ldapBind, ber(2, "\x03"), ber(4, ""), ber(0x80, "")), "S: " + ldapMessage("\x01", ldapBindResponse, ldapResult(0, ""))},
		"other":         {"C: " + ldapMessage("\x01\x00", ldapExtended, ber(0x80, "1.2.3")), "S: " + ldapMessage("\x01\x00", ldapExtendedResponse, ldapResult(2, "unsupported extended operation"))},
		"unbind":        {"C: " + ldapMessage("\x01", ldapUnbind), "close"},
		"no operation":  {"C: " + ldapMessage("\x01", 0x6a), ldapNotice("no operation that is known: 0x6a"), "close"},
		"no message":    {"C: x", ldapNotice("not a message"), "close"},
		"too long":      {"C: \x30\x84\x7f\xff", ldapNotice("an element that is too long"), "close"},
		"indefinite":    {"C: \x30\x80", ldapNotice("a length in a form that has no place here"), "close"},
		"no ID":         {"C: " + ber(0x30, ber(2, ""), ber(ldapUnbind)), ldapNotice("a message without an ID"), "close"},
		"broken bind":   {"C: " + ldapMessage("\x01", ldapBind), ldapNotice("not a BindRequest"), "close"},
		"broken search": {"C: " + ldapMessage("\x01", ldapSearch), ldapNotice("not a SearchRequest"), "close"},
		"broken":        {"C: " + ldapMessage("\x01", ldapExtended), ldapNotice("not an ExtendedRequest"), "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "ldap")
			conversePackets(t, conn, dialogue...)
		})
	}
}

// TestLDAPInside holds sessions inside TLS.
func TestLDAPInside(t *testing.T) {
	bind := func(name, password string) string {
		return "C: " + ldapMessage("\x02", ldapBind, ber(2, "\x03"), ber(4, name), ber(0x80, password))
	}
	bound := func(code byte, text string) string {
		return "S: " + ldapMessage("\x02", ldapBindResponse, ldapResult(code, text))
	}
	who := "C: " + ldapMessage("\x03", ldapExtended, ber(0x80, ldapOIDWhoAmI))
	am := func(whom string) string {
		return "S: " + ldapMessage("\x03", ldapExtendedResponse, ldapResult(0, ""), ber(0x8b, whom))
	}
	unbind := "C: " + ldapMessage("\x04", ldapUnbind)
	for name, dialogue := range map[string][]string{
		"session":        {who, am(""), bind(ldapUser, Password), bound(0, ""), who, am("dn:" + ldapUser), unbind, "close"},
		"wrong password": {bind(ldapUser, "bad"), bound(49, ""), who, am(""), unbind, "close"},
		"forgotten":      {bind(ldapUser, Password), bound(0, ""), bind(ldapUser, "bad"), bound(49, ""), who, am(""), unbind, "close"},
		"old version":    {"C: " + ldapMessage("\x02", ldapBind, ber(2, "\x02"), ber(4, ""), ber(0x80, "")), bound(2, "version 3 is wanted"), unbind, "close"},
		"SASL":           {"C: " + ldapMessage("\x02", ldapBind, ber(2, "\x03"), ber(4, ""), ber(0xa3, ber(4, "PLAIN"))), bound(7, "only passwords are known"), unbind, "close"},
		"TLS once more":  {"C: " + ldapStartTLSRequest, "S: " + ldapMessage("\x01", ldapExtendedResponse, ldapResult(1, "TLS already started")), unbind, "close"},
	} {
		for _, protocol := range []string{"ldap", "ldaps"} {
			t.Run(name+"/"+protocol, func(t *testing.T) {
				t.Parallel()
				session, _, _ := open(t, negotiate.Find(protocol))
				conversePackets(t, session, dialogue...)
			})
		}
	}
}

// TestLDAPCleartextBehindRequest checks that what comes in the clear behind the request ends the
// connection.
func TestLDAPCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "ldap")
	conversePackets(t, conn, "C: "+ldapStartTLSRequest+ldapMessage("\x02", ldapUnbind), "S: \x30\x24\x02\x01\x01\x78\x1f\x0a\x01\x00\x04\x00\x04\x00\x8a\x16"+ldapOIDStartTLS)
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}

func TestLDAPSplit(t *testing.T) {
	p := PacketsOf("ldap")
	first, second := ldapMessage("\x01", ldapUnbind), "\x30\x84\x00\x00\x00\x05\x02\x01\x02\x42\x00"
	for said, want := range map[string][]string{
		first + second: {first, second},
		first[:3]:      {first[:3]},
		second[:4]:     {second[:4]},
	} {
		if got := split(p, said); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", said, got, want)
		}
	}
}
