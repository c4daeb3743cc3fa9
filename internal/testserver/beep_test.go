package testserver

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// Frames of a client, written out.
const (
	beepTestGreeting = "RPY 0 0 . 0 52\r\nContent-Type: application/beep+xml\r\n\r\n<greeting />\r\nEND\r\n"
	beepTestReady    = "MSG 0 1 . 52 158\r\nContent-Type: application/beep+xml\r\n\r\n<start number='1'>\r\n" +
		"   <profile uri='http://iana.org/beep/TLS'>\r\n       <![CDATA[<ready />]]>\r\n   </profile>\r\n</start>\r\nEND\r\n"
	beepTestProceed = "RPY 0 1 . 110 121\r\nContent-Type: application/beep+xml\r\n\r\n<profile uri='http://iana.org/beep/TLS'>\r\n" +
		"    <![CDATA[<proceed />]]>\r\n</profile>\r\nEND\r\n"
	beepTestGreets = "S: RPY 0 0 . 0 110\r\nContent-Type: application/beep+xml\r\n\r\n<greeting>\r\n   <profile uri='http://iana.org/beep/TLS' />\r\n</greeting>\r\nEND\r\n"
)

// beepTestMessage returns a frame on channel 0 with XML in it.
func beepTestMessage(keyword string, message, sequence int, xml string) string {
	return beepFrame(keyword, 0, message, sequence, "Content-Type: application/beep+xml\r\n\r\n"+xml+"\r\n")
}

// TestBEEPClear says things in the clear, TLS by and by.
func TestBEEPClear(t *testing.T) {
	start := func(inner string) string { return "C: " + beepTestGreeting + beepTestMessage("MSG", 1, 52, inner) }
	refused := func(code, text string) string {
		return "S: " + beepTestMessage("ERR", 1, 110, "<error code='"+code+"'>"+text+"</error>")
	}
	const tls = "<profile uri='http://iana.org/beep/TLS'>"
	for name, dialogue := range map[string][]string{
		"TLS":             {"C: " + beepTestGreeting, "C: " + beepTestReady, "S: " + beepTestProceed},
		"TLS in frames":   {"C: " + beepTestGreeting + "SEQ 0 110 4096\r\nMSG 0 1 * 52 11\r\nContent-TypEND\r\n" + strings.Replace(beepTestReady, "MSG 0 1 . 52 158\r\nContent-Typ", "MSG 0 1 . 63 147\r\n", 1), "S: " + beepTestProceed},
		"other profile":   {start("<start number='1'><profile uri='http://iana.org/beep/SASL/OTP' /></start>"), refused("550", "all requested profiles are unsupported")},
		"not ready":       {start("<start number='1'>" + tls + "</profile></start>"), "S: " + beepTestMessage("RPY", 1, 110, tls+"\r\n    <![CDATA[<error code='501'>ready was due</error>]]>\r\n</profile>")},
		"other channel":   {start("<start number='2'>" + tls + "</profile></start>"), refused("501", "there is one channel, number 1")},
		"other element":   {start("<hello />"), refused("500", "neither start nor the end of the session")},
		"no XML":          {start("hello"), refused("500", "poorly formed")},
		"end":             {start("<close code='200' />"), "S: " + beepTestMessage("RPY", 1, 110, "<ok />"), "close"},
		"no greeting":     {"C: " + beepTestReady, "close"},
		"other greeting":  {"C: " + beepTestMessage("RPY", 0, 0, "<ok />"), "close"},
		"no frame":        {"C: hello\r\n", "close"},
		"other sequence":  {"C: " + beepTestGreeting + beepTestMessage("MSG", 1, 0, "<hello />"), "close"},
		"closed channel":  {"C: " + beepTestGreeting + beepFrame("MSG", 1, 0, 0, "\r\nhello\r\n"), "close"},
		"without its end": {"C: RPY 0 0 . 0 50" + beepTestGreeting[len("RPY 0 0 . 0 52"):], "close"},
		"reply":           {"C: " + beepTestGreeting + beepTestMessage("RPY", 1, 52, "<ok />"), "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "beep")
			conversePackets(t, conn, append([]string{beepTestGreets}, dialogue...)...)
		})
	}
}

// TestBEEPInside asks for TLS again inside it, and talks on a channel.
func TestBEEPInside(t *testing.T) {
	session, _, _ := open(t, negotiate.Find("beep"))
	sent, heard := 0, 0
	message := func(keyword string, message int, xml string, sequence *int) string {
		frame := beepTestMessage(keyword, message, *sequence, xml)
		*sequence += len(frame) - len(fmt.Sprintf("%s 0 %d . %d %d\r\n", keyword, message, *sequence, len(beepType+xml)+2)) - len("END\r\n")
		return frame
	}
	conversePackets(t, session,
		"C: "+message("RPY", 0, "<greeting />", &heard),
		"S: "+message("RPY", 0, "<greeting>\r\n   <profile uri='"+beepEcho+"' />\r\n</greeting>", &sent),
		"C: "+message("MSG", 1, "<start number='1'><profile uri='"+beepTLS+"'><![CDATA[<ready />]]></profile></start>", &heard),
		"S: "+message("ERR", 1, "<error code='550'>all requested profiles are unsupported</error>", &sent),
		"C: "+message("MSG", 2, "<start number='1'><profile uri='"+beepEcho+"' /></start>", &heard),
		"S: "+message("RPY", 2, "<profile uri='"+beepEcho+"' />", &sent),
		"C: "+beepFrame("MSG", 1, 7, 0, "\r\nhello"), "S: "+beepFrame("RPY", 1, 7, 0, "\r\nhello"),
		"C: "+beepFrame("MSG", 1, 8, 7, ""), "S: "+beepFrame("RPY", 1, 8, 7, ""),
		"C: "+message("MSG", 3, "<close number='0' code='200' />", &heard),
		"S: "+message("RPY", 3, "<ok />", &sent), "close")
}

// TestBEEPCleartextBehindRequest checks that what comes in the clear behind the request ends the
// connection.
func TestBEEPCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "beep")
	conversePackets(t, conn, beepTestGreets, "C: "+beepTestGreeting+beepTestReady+"SEQ 0 110 4096\r\n", "S: "+beepTestProceed)
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}
