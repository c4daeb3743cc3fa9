package testserver

import (
	"io"
	"slices"
	"testing"

	"tlsup/negotiate"
)

const (
	rdpTestChosen  = "S: \x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x00\x08\x00\x01\x00\x00\x00"
	rdpTestFailure = "S: \x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x03\x00\x08\x00\x01\x00\x00\x00"
)

// TestRDPClear asks for connections in several ways.
func TestRDPClear(t *testing.T) {
	for name, dialogue := range map[string][]string{
		"TLS":            {"C: \x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x01\x00\x00\x00", rdpTestChosen},
		"all":            {"C: \x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00", rdpTestChosen},
		"cookie":         {"C: \x03\x00\x00\x2a\x25\xe0\x00\x00\x00\x00\x00Cookie: mstshash=user\r\n\x01\x00\x08\x00\x03\x00\x00\x00", rdpTestChosen},
		"CredSSP alone":  {"C: \x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x02\x00\x00\x00", rdpTestFailure, "close"},
		"no structure":   {"C: \x03\x00\x00\x0b\x06\xe0\x00\x00\x00\x00\x00", rdpTestFailure, "close"},
		"other type":     {"C: \x03\x00\x00\x0b\x06\xd0\x00\x00\x00\x00\x00", "close"},
		"lengths differ": {"C: \x03\x00\x00\x0b\x07\xe0\x00\x00\x00\x00\x00", "close"},
		"no packet":      {"C: \x03\x00\x00\x03", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "rdp")
			conversePackets(t, conn, dialogue...)
		})
	}
}

// TestRDPInside holds sessions inside TLS.
func TestRDPInside(t *testing.T) {
	connect := []string{"C: " + Talk("rdp")[0], "S: " + tpkt(x224Data+rdpConnectResponse())}
	for name, dialogue := range map[string][]string{
		"user": slices.Concat(connect, []string{
			"C: \x03\x00\x00\x0c\x02\xf0\x80\x04\x01\x00\x01\x00", "C: \x03\x00\x00\x08\x02\xf0\x80\x28", "S: \x03\x00\x00\x0b\x02\xf0\x80\x2e\x00\x00\x06",
			"C: \x03\x00\x00\x09\x02\xf0\x80\x21\x80", "close",
		}),
		"no domain": {"C: \x03\x00\x00\x08\x02\xf0\x80\x28"},
		"unknown":   slices.Concat(connect, []string{"C: \x03\x00\x00\x08\x02\xf0\x80\xff"}),
		"no data":   {"C: \x03\x00\x00\x0b\x06\xe0\x00\x00\x00\x00\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find("rdp"))
			conversePackets(t, session, dialogue...)
			if rest, _ := io.ReadAll(session); len(rest) > 0 {
				t.Errorf("at the end came %q", rest)
			}
		})
	}
}

func TestRDPSplit(t *testing.T) {
	p := PacketsOf("rdp")
	response, attached := tpkt(x224Data+rdpConnectResponse()), tpkt(x224Data+mcsAttached)
	for said, want := range map[string][]string{
		response + attached: {response, attached},
		response[:5]:        {response[:5]},
		"\x03\x00\x00\x00x": {"\x03\x00\x00\x00", "x"},
	} {
		if got := split(p, said); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", said, got, want)
		}
	}
}
