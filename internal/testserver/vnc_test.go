package testserver

import (
	"io"
	"slices"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// TestVNCClear says things in the clear that are not the way to TLS, and some that are.
func TestVNCClear(t *testing.T) {
	const greeting = "S: RFB 003.008\n"
	for name, dialogue := range map[string][]string{
		"3.7":             {"C: RFB 003.007\n", "S: \x01\x13", "C: \x13", "S: \x00\x02", "C: \x00\x02", "S: \x00\x01\x00\x00\x01\x04", "C: \x00\x00\x01\x04", "S: \x01"},
		"3.3":             {"C: RFB 003.003\n", "S: \x00\x00\x00\x00\x00\x00\x00\x0fnot without TLS", "close"},
		"unknown version": {"C: RFB 003.009\n", "close"},
		"other type":      {"C: RFB 003.008\n", "S: \x01\x13", "C: \x02", "close"},
		"VeNCrypt 0.1":    {"C: RFB 003.008\n", "S: \x01\x13", "C: \x13", "S: \x00\x02", "C: \x00\x01", "S: \xff", "close"},
		"other sub-type":  {"C: RFB 003.008\n", "S: \x01\x13", "C: \x13", "S: \x00\x02", "C: \x00\x02", "S: \x00\x01\x00\x00\x01\x04", "C: \x00\x00\x01\x01", "S: \x00\x00\x00\x01\x00\x00\x00\x10no such sub-type", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "vnc")
			conversePackets(t, conn, append([]string{greeting}, dialogue...)...)
		})
	}
}

const (
	vncTestInit   = "\x00\x02\x00\x01\x20\x18\x00\x01\x00\xff\x00\xff\x00\xff\x10\x08\x00\x00\x00\x00\x00\x00\x00\x04demo"
	vncTestUpdate = "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x02\x00\x01\x00\x00\x00\x00" + vncPixels
)

// TestVNCInside holds sessions inside TLS.
func TestVNCInside(t *testing.T) {
	start := []string{"S: \x00\x00\x00\x00", "C: \x00", "S: " + vncTestInit}
	update := []string{"C: \x03\x01\x00\x00\x00\x00\x00\x02\x00\x01", "S: " + vncTestUpdate, "close"}
	for name, dialogue := range map[string][]string{
		"everything": slices.Concat(start, []string{
			"C: \x00\x00\x00\x00" + strings.Repeat("x", 16), "C: \x02\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01",
			"C: \x04\x01\x00\x00\x00\x00\x00\x41", "C: \x05\x01\x00\x00\x00\x00", "C: \x06\x00\x00\x00\x00\x00\x00\x02hi",
		}, update),
		"too long": slices.Concat(start, []string{"C: \x06\x00\x00\x00\x7f\xff\xff\xff"}),
		"unknown":  slices.Concat(start, []string{"C: \x63"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find("vnc"))
			conversePackets(t, session, dialogue...)
			if rest, _ := io.ReadAll(session); len(rest) > 0 {
				t.Errorf("at the end came %q", rest)
			}
		})
	}
}

func TestVNCSplit(t *testing.T) {
	p := PacketsOf("vnc")
	said := "\x00\x00\x00\x00" + vncTestInit + vncTestUpdate
	want := []string{"\x00\x00\x00\x00", vncTestInit, vncTestUpdate}
	if got := split(p, said); !slices.Equal(got, want) {
		t.Errorf("%q is cut into %q", said, got)
	}
	for n := range said {
		split(p, said[:n])
		p.Name([]byte(said[:n]))
	}
}
