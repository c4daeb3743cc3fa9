package testserver

import (
	"io"
	"slices"
	"testing"

	"tlsup/negotiate"
)

const pcepTestStart = "\x20\x0d\x00\x04"

// TestPCEPClear sends what may come first.
func TestPCEPClear(t *testing.T) {
	for name, dialogue := range map[string][]string{
		"TLS":           {"C: " + pcepTestStart, "S: " + pcepTestStart},
		"open":          {"C: \x20\x01\x00\x0c\x01\x10\x00\x08\x20\x1e\x78\x01", "S: \x20\x06\x00\x0c\x0d\x10\x00\x08\x00\x00\x01\x01", "close"},
		"keepalive":     {"C: \x20\x02\x00\x04", "S: \x20\x06\x00\x0c\x0d\x10\x00\x08\x00\x00\x19\x02", "close"},
		"TLS with body": {"C: \x20\x0d\x00\x08\x00\x00\x00\x00", "S: " + pcepErr(25, 2), "close"},
		"other version": {"C: \x40\x0d\x00\x04", "S: " + pcepErr(25, 2), "close"},
		"too long":      {"C: \x20\x0d\xff\xff", "S: " + pcepErr(25, 2), "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "pcep")
			conversePackets(t, conn, dialogue...)
		})
	}
}

// TestPCEPInside holds sessions inside TLS.
func TestPCEPInside(t *testing.T) {
	start := []string{"C: " + Talk("pcep")[0], "S: \x20\x01\x00\x0c\x01\x10\x00\x08\x20\x1e\x78\x01\x20\x02\x00\x04"}
	for name, dialogue := range map[string][]string{
		"session": slices.Concat(start, []string{
			"C: " + pcepMessage(pcepKeepalive) + Talk("pcep")[2],
			"S: \x20\x04\x00\x18\x02\x10\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x01\x03\x10\x00\x08\x00\x00\x00\x00",
			"C: " + pcepMessage(pcepRequest), "S: " + pcepErr(6, 1),
			"C: " + pcepMessage(99), "S: " + pcepErr(2, 0),
			start[0], "S: " + pcepErr(9, 0),
			"C: " + Talk("pcep")[3], "close",
		}),
		"TLS once more": {"C: " + pcepTestStart, "S: " + pcepErr(25, 1), "close"},
		"not open":      {"C: " + pcepMessage(pcepKeepalive), "S: " + pcepErr(1, 1), "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find("pcep"))
			conversePackets(t, session, dialogue...)
		})
	}
}

// TestPCEPCleartextBehindRequest checks that what comes in the clear behind StartTLS ends the
// connection.
func TestPCEPCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "pcep")
	conversePackets(t, conn, "C: "+pcepTestStart+Talk("pcep")[0], "S: "+pcepTestStart)
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}

func TestPCEPSplit(t *testing.T) {
	p := PacketsOf("pcep")
	reply := pcepErr(25, 1)
	for said, want := range map[string][]string{
		reply + pcepTestStart: {reply, pcepTestStart},
		reply[:7]:             {reply[:7]},
		"\x20\x01\x00\x00":    {"\x20\x01\x00\x00"},
	} {
		if got := split(p, said); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", said, got, want)
		}
	}
}
