package testserver

import (
	"io"
	"slices"
	"testing"

	"tlsup/negotiate"
)

// A Capabilities-Exchange-Request, from its header to its last AVP, written out.
const (
	diameterTestOrigin = "\x00\x00\x01\x08\x40\x00\x00\x0baaa\x00" + "\x00\x00\x01\x28\x40\x00\x00\x13example.org\x00"
	diameterTestHost   = "\x00\x00\x01\x01\x40\x00\x00\x0e\x00\x01\x7f\x00\x00\x01\x00\x00" + "\x00\x00\x01\x0a\x40\x00\x00\x0c\x00\x00\x00\x00" +
		"\x00\x00\x01\x0d\x00\x00\x00\x0cdemo" + "\x00\x00\x01\x02\x40\x00\x00\x0c\xff\xff\xff\xff"
	diameterTestTLS = "\x00\x00\x01\x2b\x40\x00\x00\x0c\x00\x00\x00\x01"
	diameterTestCER = "\x01\x00\x00\x74\x80\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x08" + diameterTestOrigin + diameterTestHost + diameterTestTLS
	diameterTestSrv = "\x00\x00\x01\x08\x40\x00\x00\x18mail.example.org" + "\x00\x00\x01\x28\x40\x00\x00\x13example.org\x00"
	diameterTestCEA = "\x01\x00\x00\x8c\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x08" + "\x00\x00\x01\x0c\x40\x00\x00\x0c\x00\x00\x07\xd1" +
		diameterTestSrv + diameterTestHost + diameterTestTLS
)

// diameterTestAnswer returns an answer without more than a result and its words.
func diameterTestAnswer(flags byte, command, result uint32, words string) string {
	pairs := diameterWord(avpResultCode, result) + diameterTestSrv
	if words != "" {
		pairs += diameterText(avpErrorMessage, words)
	}
	return "S: " + diameterMessage{flags, command, 7, 8, pairs}.String()
}

// TestDiameterClear sends what may come first.
func TestDiameterClear(t *testing.T) {
	request := func(command uint32, pairs string) string {
		return "C: " + diameterMessage{0x80, command, 7, 8, pairs}.String()
	}
	noSecurity := "S: " + diameterMessage{0, 257, 7, 8, diameterWord(avpResultCode, 5017) + diameterTestSrv + diameterTestHost}.String()
	for name, dialogue := range map[string][]string{
		"TLS":            {"C: " + diameterTestCER, "S: " + diameterTestCEA},
		"no TLS":         {request(257, diameterTestOrigin+diameterTestHost), noSecurity, "close"},
		"other security": {request(257, diameterTestOrigin+diameterTestHost+diameterWord(avpInbandSecurity, 0)), noSecurity, "close"},
		"a vendor's TLS": {request(257, diameterTestOrigin+diameterTestHost+"\x00\x00\x01\x2b\xc0\x00\x00\x10\x00\x00\x00\x09\x00\x00\x00\x01"), noSecurity, "close"},
		"no origin":      {request(257, diameterTestHost+diameterTestTLS), diameterTestAnswer(0, 257, 5005, "no AVP 264"), "close"},
		"AVP too long":   {request(257, "\x00\x00\x01\x08\x40\x00\x01\x0baaa\x00"), diameterTestAnswer(0, 257, 5005, "no AVP 264"), "close"},
		"watchdog":       {request(280, diameterTestOrigin), diameterTestAnswer(0, 280, 5012, "capabilities first"), "close"},
		"answer":         {"C: " + diameterTestCEA, "close"},
		"too long":       {"C: \x01\x00\x10\x04" + diameterTestCER[4:20], "close"},
		"other version":  {"C: \x02" + diameterTestCER[1:20], "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "diameter")
			conversePackets(t, conn, dialogue...)
		})
	}
}

// TestDiameterInside holds sessions inside TLS.
func TestDiameterInside(t *testing.T) {
	request := func(command uint32) string {
		return "C: " + diameterMessage{0x80, command, 7, 8, diameterTestOrigin}.String()
	}
	session := []string{
		request(280), diameterTestAnswer(0, 280, 2001, ""),
		"C: " + diameterTestCEA, // an answer to nothing
		"C: " + diameterTestCER, diameterTestAnswer(0, 257, 5012, "the session is open"),
		request(271), diameterTestAnswer(0x20, 271, 3001, ""),
		request(282), diameterTestAnswer(0, 282, 2001, ""), "close",
	}
	first := []string{"C: " + diameterTestCER, "S: " + diameterMessage{0, 257, 7, 8, diameterWord(avpResultCode, 2001) + diameterTestSrv + diameterTestHost}.String()}
	for name, dialogue := range map[string][]string{"diameter": session, "diameters": slices.Concat(first, session)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find(name))
			conversePackets(t, session, dialogue...)
		})
	}
}

// TestDiameterCleartextBehindRequest checks that what comes in the clear behind the request ends
// the connection.
func TestDiameterCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "diameter")
	conversePackets(t, conn, "C: "+diameterTestCER+Talk("diameter")[0], "S: "+diameterTestCEA)
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}

func TestDiameterSplit(t *testing.T) {
	p := PacketsOf("diameter")
	for said, want := range map[string][]string{
		diameterTestCEA + diameterTestCER: {diameterTestCEA, diameterTestCER},
		diameterTestCEA[:30]:              {diameterTestCEA[:30]},
		diameterTestCEA[:3]:               {diameterTestCEA[:3]},
	} {
		if got := split(p, said); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", said, got, want)
		}
	}
}
