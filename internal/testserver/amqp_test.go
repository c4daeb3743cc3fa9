package testserver

import (
	"io"
	"slices"
	"testing"

	"tlsup/negotiate"
)

// TestAMQPClear sends headers in the clear.
func TestAMQPClear(t *testing.T) {
	for name, dialogue := range map[string][]string{
		"TLS":        {"C: AMQP\x02\x01\x00\x00", "S: AMQP\x02\x01\x00\x00"},
		"SASL":       {"C: AMQP\x03\x01\x00\x00", "S: AMQP\x02\x01\x00\x00", "close"},
		"AMQP 0-9-1": {"C: AMQP\x00\x00\x09\x01", "S: AMQP\x02\x01\x00\x00", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "amqp")
			conversePackets(t, conn, dialogue...)
		})
	}
}

// The frames of a session, as they stand in the specification.
const (
	amqpTestMechanisms = "\x00\x00\x00\x15\x02\x01\x00\x00\x00\x53\x40\xc0\x08\x01\xa3\x05PLAIN"
	amqpTestInit       = "\x00\x00\x00\x21\x02\x01\x00\x00\x00\x53\x41\xc0\x14\x02\xa3\x05PLAIN\xa0\x0a\x00demo\x00demo"
	amqpTestOK         = "\x00\x00\x00\x10\x02\x01\x00\x00\x00\x53\x44\xc0\x03\x01\x50\x00"
	amqpTestWrong      = "\x00\x00\x00\x10\x02\x01\x00\x00\x00\x53\x44\xc0\x03\x01\x50\x01"
	amqpTestOpen       = "\x00\x00\x00\x11\x02\x00\x00\x00\x00\x53\x10\xc0\x04\x01\xa1\x01x"
	amqpTestOpened     = "\x00\x00\x00\x16\x02\x00\x00\x00\x00\x53\x10\xc0\x09\x01\xa1\x06server"
	amqpTestClose      = "\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x18\x45"
)

// TestAMQPInside holds sessions inside TLS.
func TestAMQPInside(t *testing.T) {
	start := []string{"C: " + amqpSASL, "S: " + amqpSASL + amqpTestMechanisms}
	login := slices.Concat(start, []string{"C: " + amqpTestInit, "S: " + amqpTestOK, "C: " + amqpPlain, "S: " + amqpPlain})
	for name, dialogue := range map[string][]string{
		"session":        slices.Concat(login, []string{"C: " + amqpTestOpen, "S: " + amqpTestOpened, "C: " + amqpTestClose, "S: " + amqpTestClose, "close"}),
		"without SASL":   {"C: " + amqpPlain, "S: " + amqpSASL, "close"},
		"wrong password": slices.Concat(start, []string{"C: \x00\x00\x00\x1d\x02\x01\x00\x00\x00\x53\x41\xc0\x10\x02\xa3\x05PLAIN\xa0\x06\x00demo\x00", "S: " + amqpTestWrong, "close"}),
		"not open":       slices.Concat(login, []string{"C: " + amqpTestClose}),
		"too long":       slices.Concat(login, []string{"C: \x7f\xff\xff\xff\x02\x00\x00\x00"}),
		"no list":        slices.Concat(login, []string{"C: \x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x10\x40"}),
	} {
		for _, protocol := range []string{"amqp", "amqps"} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				t.Parallel()
				session, _, _ := open(t, negotiate.Find(protocol))
				conversePackets(t, session, dialogue...)
				if rest, _ := io.ReadAll(session); len(rest) > 0 {
					t.Errorf("at the end came %q", rest)
				}
			})
		}
	}
}

func TestAMQPSplit(t *testing.T) {
	p := PacketsOf("amqp")
	for said, want := range map[string][]string{
		amqpSASL + amqpTestMechanisms + amqpTestOK: {amqpSASL, amqpTestMechanisms, amqpTestOK},
		"AMQP":                             {"AMQP"},
		"\x00\x00\x00\x00\x02\x00\x00\x00": {"\x00\x00\x00\x00\x02\x00\x00\x00"},
	} {
		if got := split(p, said); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", said, got, want)
		}
	}
}
