package testserver

import (
	"io"
	"slices"
	"testing"

	"tlsup/negotiate"
)

const telnetTestFollows = "\xff\xfa\x2e\x01\xff\xf0"

// TestTelnetClear answers in the clear to the server's wish, in several ways.
func TestTelnetClear(t *testing.T) {
	for name, dialogue := range map[string][]string{
		"TLS":          {"C: \xff\xfb\x2e", "S: " + telnetTestFollows, "C: " + telnetTestFollows},
		"at once":      {"C: \xff\xfb\x2e" + telnetTestFollows, "S: " + telnetTestFollows},
		"others first": {"C: \xff\xfb\x18", "S: \xff\xfe\x18", "C: \xff\xfd\x01", "S: \xff\xfc\x01", "C: \xff\xfa\x18\x00\xff\xf0x\xff\xf1", "C: \xff\xfb\x2e", "S: " + telnetTestFollows},
		"refused":      {"C: \xff\xfc\x2e", "S: Not without TLS\r\n", "close"},
		"too long":     {"C: \xff\xfa\x18" + string(make([]byte, telnetMax-2)), "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "telnet")
			conversePackets(t, conn, append([]string{"S: \xff\xfd\x18\xff\xfd\x2e"}, dialogue...)...)
		})
	}
}

// TestTelnetInside holds sessions inside TLS.
func TestTelnetInside(t *testing.T) {
	const start = "S: \xff\xfb\x03\xff\xfb\x01login: "
	for name, dialogue := range map[string][]string{
		"session": {
			"C: \xff\xfd\x03\xff\xfd\x01demo\r\n", "S: Password: ", "C: de\xff\xfb\x1fmo\r\n", "S: \xff\xfe\x1fWelcome\r\n$ ",
			"C: \n", "S: $ ", "C: ls\r\n", "S: command not known\r\n$ ", "C: \xff\xfd\x05", "S: \xff\xfc\x05", "C: exit\r\n", "S: logout\r\n", "close",
		},
		"wrong password": {"C: demo\r\nx\r\n", "S: Password: Login incorrect\r\n", "close"},
	} {
		for _, protocol := range []string{"telnet", "telnets"} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				t.Parallel()
				session, _, _ := open(t, negotiate.Find(protocol))
				conversePackets(t, session, append([]string{start}, dialogue...)...)
			})
		}
	}
	t.Run("too long", func(t *testing.T) {
		session, _, _ := open(t, negotiate.Find("telnet"))
		conversePackets(t, session, start, "C: "+string(make([]byte, telnetMax)))
		if rest, _ := io.ReadAll(session); len(rest) > 0 {
			t.Errorf("at the end came %q", rest)
		}
	})
}

func TestTelnetSplit(t *testing.T) {
	p := PacketsOf("telnet")
	for said, want := range map[string][]string{
		"\xff\xfb\x03\xff\xfb\x01login: ": {"\xff\xfb\x03", "\xff\xfb\x01", "login: "},
		"Welcome\r\n$ ":                   {"Welcome\r\n", "$ "},
		"logout":                          {"logout"},
		"\xff\xfb":                        {"\xff\xfb"},
	} {
		if got := split(p, said); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", said, got, want)
		}
	}
}
