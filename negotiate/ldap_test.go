package negotiate

import (
	"strings"
	"testing"
)

func FuzzLDAP(f *testing.F) { fuzzUpgrade(f, "ldap") }

// TestLDAPReasons checks that a caller can tell why there was no upgrade.
func TestLDAPReasons(t *testing.T) {
	checkReasons(t, "ldap", map[string]error{
		"protocol-error": ErrRefused,
		"unavailable":    ErrRefused,
		"referral":       ErrRefused,
		"disconnection":  ErrRefused,
		"message-id":     ErrUnexpected,
		"result-empty":   ErrUnexpected,
		"indefinite":     ErrUnexpected,
		"length-long":    ErrTooLong,
		"closed":         ErrClosed,
		"tls-alert":      ErrTLS,
	})
}

// TestLDAPBounds feeds messages that never come to an end, or would need more memory than
// they have bytes.
func TestLDAPBounds(t *testing.T) {
	much := strings.Repeat("x", 2*MaxBytes)
	checkBounds(t, "ldap", "\x30\x82\x40\x01"+much, ErrTooLong, 4096)
	checkBounds(t, "ldap", "\x30\x82\x40\x00"+strings.Repeat("\x30\x80", MaxBytes), ErrUnexpected, ldapMaxMessage+4096)
	checkBounds(t, "ldap", "\x30\x82\x40\x00\x04\x84\x7f\xff\xff\xff"+much, ErrUnexpected, ldapMaxMessage+4096)
	empty := "\x30\x82\x40\x00" + strings.Repeat("\x04\x00", ldapMaxMessage/2)
	if used := testing.AllocsPerRun(1, func() { parseLDAP([]byte(empty)) }); used > 10*ldapMaxMessage {
		t.Errorf("a message of %d bytes takes %v allocations", len(empty), used)
	}
}

// FuzzLDAPMessage decodes messages. One that is taken for an answer has the parts of one.
func FuzzLDAPMessage(f *testing.F) {
	for _, x := range exchanges(f, Find("ldap")) {
		for _, m := range x.moves {
			if m.server {
				f.Add([]byte(m.text))
			}
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) > ldapMaxMessage {
			return
		}
		r, ok := parseLDAP(message)
		if ok && (message[0] != 0x30 || len(message) < len("\x30\x0a\x02\x01\x01\x78\x05\x0a\x01\x00\x04\x00\x04\x00")) {
			t.Errorf("%q is taken for %v", message, r)
		}
		if len(r.String()) > 2*len(message)+64 {
			t.Errorf("%q says more than was said in %q", r, message)
		}
	})
}
