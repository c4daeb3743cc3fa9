package testserver

import (
	"strings"
	"testing"

	"tlsup/negotiate"
)

// TestImplicit says things inside TLS that are not what the servers' talk says.
func TestImplicit(t *testing.T) {
	for name, dialogue := range map[string]string{
		"gemini": "C: gopher://x/\nS: 59 a URL of gemini: is wanted\nclose",
		"rediss": "C:\nC: echo a b\nS: $3\nS: a b\nC: SHUTDOWN\nS: -ERR unknown command\nC: quit\nS: +OK\nclose",
		"sips": "C: INVITE x SIP/2.0\nC: CSeq: 2 INVITE\nC:\nS: SIP/2.0 501 Not Implemented\nS: Via:...\nS: From:...\nS: To:...\nS: Call-ID:...\n" +
			"S: CSeq: 2 INVITE\nS: Content-Length: 0\nS:",
		"rtsps":       "C: OPTIONS * RTSP/1.0\nC: CSeq: 3\nC:\nS: RTSP/2.0 400 Bad Request\nS: CSeq: 3\nS: Content-Length: 0\nS:",
		"netconf-tls": "S: <hello ...\nC: <rpc/>]]>]]>\nclose",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find(name))
			converse(t, session, dialogue)
		})
	}
}

// TestPackets says packets that are not what the servers' talk says.
func TestPackets(t *testing.T) {
	changed := func(packet string, at int) string { return packet[:at] + "!" + packet[at+1:] }
	for name, moves := range map[string][]string{
		"mqtts":     {"C: \x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x", "S: \xe0\x01\x82", "close"},
		"dot":       {"C: " + changed(dnsQuery, 14), "S: \x00\x0c\x00\x01\x81\x85\x00\x00\x00\x00\x00\x00\x00\x00", "C: \x00\x01x", "close"},
		"epp":       {"S: " + eppGreeting(), "C: " + eppMessage("<command/>"), "S: " + eppMessage(`<response><result code="2001"><msg>what?</msg></result></response>`), "C: \xff\xff\xff\xff", "close"},
		"coaps+tcp": {"S: \x00\xe1", "C: \x01\x01T", "S: \x01\x84T", "C: \xe0", "close"},
		"turns":     {"C: " + stunMessage(3, "abcdefghijkl", ""), "S: " + stunMessage(stunError, "abcdefghijkl", "\x00\x09\x00\x04\x00\x00\x04\x00"), "C: GET / HTTP/1.1", "close"},
		"ntske":     {"C: " + ntsEnd, "S: " + ntsNTP, "S: \x80\x04\x00\x02\x00\x0f"},
		"radsec":    {"C: " + changed(radiusPacket(radiusStatus, radiusNonce, radiusNonce), 30) + radiusPacket(radiusStatus, radiusNonce, radiusNonce), "S: " + radiusPacket(radiusAccept, radiusNonce, ""), "C: \x0c\x01\x00\x04", "close"},
		"dicom-tls": {"C: " + dicomPDU(dicomRequest, strings.Repeat("x", 68)), "S: " + dicomPDU(dicomAbort, "\x00\x00\x02\x00"), "close"},
		"mbap-s":    {"C: \x00\x07\x00\x00\x00\x02\x01\x2b", "S: \x00\x07\x00\x00\x00\x03\x01\xab\x01", "C: \x00\x07\x00\x01", "close"},
		"snmptls":   {"C: " + snmpAsks(), "S: " + snmpMessage(snmpResponse, ber(0x04, "demo")), "C: " + snmpMessage(0xa1, ber(0x05)), "close"},
		"rpki-rtr-tls": {
			"C: \x01\x01\x00\x01\x00\x00\x00\x0c\x00\x00\x00\x01",
			"S: \x01\x0a\x00\x03\x00\x00\x00\x1c\x00\x00\x00\x0c\x01\x01\x00\x01\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x00", "close",
		},
		"tacacss":    {"C: " + tacacsStart(), "S: " + tacacsAsks(), "C: " + tacacsPacket(3, "\x00\x01\x00\x00\x00x"), "S: " + tacacsPacket(4, "\x02\x00\x00\x00\x00\x00"), "close"},
		"ipfixs":     {"C: " + ipfixMessage + ipfixMessage + "\x00\x09\x00\x10", "close"},
		"syslog-tls": {"C: " + syslogMessage("<14>1 - - - - - -") + "hello", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find(name))
			conversePackets(t, session, moves...)
		})
	}
}

// TestPacketLengths cuts what comes in pieces, and what never ends.
func TestPacketLengths(t *testing.T) {
	all := strings.Join(Talk("mqtts"), "")
	if got := split(PacketsOf("mqtts"), all); strings.Join(got, "|") != strings.Join(Talk("mqtts"), "|") {
		t.Errorf("%q is cut into %q", all, got)
	}
	if got := split(PacketsOf("mqtts"), "\x10\xff\xff\xff\xffhello"); len(got) != 1 {
		t.Errorf("what is no packet is cut into %q", got)
	}
	if got := split(PacketsOf("dot"), "\x00\x05x"); len(got) != 1 || got[0] != "\x00\x05x" {
		t.Errorf("a piece of a packet is cut into %q", got)
	}
}
