package testserver

import (
	"io"
	"slices"
	"strings"
	"testing"

	"tlsup/negotiate"
)

const quasselTestGoAhead = "S: \x01\x00\x00\x02"

// TestQuasselClear sends probes, and other things.
func TestQuasselClear(t *testing.T) {
	for name, dialogue := range map[string][]string{
		"TLS":            {"C: \x42\xb3\x3f\x01\x80\x00\x00\x02", quasselTestGoAhead},
		"both features":  {"C: \x42\xb3\x3f\x03\x80\x00\x00\x02", quasselTestGoAhead},
		"two protocols":  {"C: \x42\xb3\x3f\x01\x00\x00\x00\x02", "C: \x80\x00\x00\x01", quasselTestGoAhead},
		"no encryption":  {"C: \x42\xb3\x3f\x00", "close"},
		"no probe":       {"C: \x00\x00\x00\x42", "close"},
		"older protocol": {"C: \x42\xb3\x3f\x01\x80\x00\x00\x01", "close"},
		"no end":         {"C: \x42\xb3\x3f\x01" + strings.Repeat("\x00\x00\x00\x02", 16), "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "quassel")
			conversePackets(t, conn, dialogue...)
		})
	}
}

// TestQuasselInside holds sessions inside TLS.
func TestQuasselInside(t *testing.T) {
	start := []string{"C: " + quasselMessage("MsgType", "ClientInit"), "S: \x00\x00\x00\x50\x00\x00\x00\x04" +
		"\x00\x00\x00\x0c\x00\x00\x00\x00\x07MsgType\x00\x00\x00\x0a\x00\x00\x00\x00\x1a\x00C\x00l\x00i\x00e\x00n\x00t\x00I\x00n\x00i\x00t\x00A\x00c\x00k" +
		"\x00\x00\x00\x0c\x00\x00\x00\x00\x0aConfigured\x00\x00\x00\x01\x00\x01"}
	login := func(user, password string) string {
		return "C: " + quasselMessage("MsgType", "ClientLogin", "User", user, "Password", password)
	}
	for name, dialogue := range map[string][]string{
		"login":          slices.Concat(start, []string{login("demo", "demo"), "S: " + quasselMessage("MsgType", "ClientLoginAck"), "C: \x00\x00\x00\x00", "close"}),
		"wrong password": slices.Concat(start, []string{login("demo", "x"), "S: " + quasselMessage("MsgType", "ClientLoginReject", "Error", "wrong name or password")}),
		"too early":      {login("demo", "demo"), "S: " + quasselMessage("MsgType", "ClientInitReject", "Error", "say ClientInit first")},
		"too long":       {"C: \x7f\xff\xff\xff", "close"},
		"unknown":        {"C: " + quasselMessage("MsgType", "Hello"), "close"},
		"no list":        {"C: \x00\x00\x00\x04\xff\xff\xff\xff", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find("quassel"))
			conversePackets(t, session, dialogue...)
		})
	}
}

// TestQuasselCleartextBehindRequest checks that what comes in the clear behind the probe ends
// the connection.
func TestQuasselCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "quassel")
	conversePackets(t, conn, "C: \x42\xb3\x3f\x01\x80\x00\x00\x02"+quasselMessage("MsgType", "ClientInit"), quasselTestGoAhead)
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}

func TestQuasselSplit(t *testing.T) {
	p := PacketsOf("quassel")
	ack := quasselMessage("MsgType", "ClientLoginAck")
	for said, want := range map[string][]string{
		ack + ack:          {ack, ack},
		ack[:5]:            {ack[:5]},
		"\xff\xff\xff\xff": {"\xff\xff\xff\xff"},
	} {
		if got := split(p, said); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", said, got, want)
		}
	}
}
