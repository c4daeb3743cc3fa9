package testserver

import (
	"io"
	"slices"
	"testing"

	"tlsup/negotiate"
)

// What the client says first, and the go-ahead.
const (
	nbdTestGreeting = "S: NBDMAGICIHAVEOPT\x00\x03"
	nbdTestStart    = "C: IHAVEOPT\x00\x00\x00\x05\x00\x00\x00\x00"
	nbdTestGoAhead  = "S: \x00\x03\xe8\x89\x04\x55\x65\xa9\x00\x00\x00\x05\x00\x00\x00\x01\x00\x00\x00\x00"
)

// TestNBDClear says things in the clear that are not the way to TLS, and some that are.
func TestNBDClear(t *testing.T) {
	for name, dialogue := range map[string][]string{
		"TLS":       {"C: \x00\x00\x00\x01", nbdTestStart, nbdTestGoAhead},
		"no zeroes": {"C: \x00\x00\x00\x03", nbdTestStart, nbdTestGoAhead},
		"with data": {"C: \x00\x00\x00\x01", "C: " + nbdOptionOf(nbdOptStartTLS, "x"), "S: " + nbdReply(5, nbdErrInvalid, "NBD_OPT_STARTTLS has no data"), nbdTestStart, nbdTestGoAhead},
		"list": {
			"C: \x00\x00\x00\x01", "C: " + nbdOptionOf(nbdOptList, ""), "S: " + nbdReply(3, nbdErrTLS, "say NBD_OPT_STARTTLS first"),
			"C: " + nbdOptionOf(nbdOptAbort, ""), "S: " + nbdReply(2, nbdRepAck, ""), "close",
		},
		"export name":   {"C: \x00\x00\x00\x01", "C: " + nbdOptionOf(1, nbdExport), "close"},
		"not fixed":     {"C: \x00\x00\x00\x00", "close"},
		"unknown flags": {"C: \x00\x00\x00\x05", "close"},
		"no option":     {"C: \x00\x00\x00\x01IHAVEOPX\x00\x00\x00\x05\x00\x00\x00\x00", "close"},
		"too long":      {"C: \x00\x00\x00\x01IHAVEOPT\x00\x00\x00\x05\x7f\xff\xff\xff", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "nbd")
			conversePackets(t, conn, append([]string{nbdTestGreeting}, dialogue...)...)
		})
	}
}

// TestNBDInside holds sessions inside TLS.
func TestNBDInside(t *testing.T) {
	info := "\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x03"
	goes := []string{"C: " + nbdOptionOf(nbdOptGo, nbdChoice(nbdExport)), "S: " + nbdReply(7, nbdRepInfo, info) + nbdReply(7, nbdRepAck, "")}
	for name, dialogue := range map[string][]string{
		"list":          {"C: " + nbdOptionOf(nbdOptList, ""), "S: " + nbdReply(3, nbdRepServer, "\x00\x00\x00\x04disk") + nbdReply(3, nbdRepAck, "")},
		"TLS once more": {nbdTestStart, "S: " + nbdReply(5, nbdErrInvalid, "TLS is there")},
		"unknown":       {"C: " + nbdOptionOf(99, ""), "S: " + nbdReply(99, nbdErrUnsupported, "")},
		"other export":  {"C: " + nbdOptionOf(nbdOptGo, nbdChoice("x")), "S: " + nbdReply(7, nbdErrUnknown, "there is disk")},
		"abort":         {"C: " + nbdOptionOf(nbdOptAbort, ""), "S: " + nbdReply(2, nbdRepAck, ""), "close"},
		"info":          {"C: " + nbdOptionOf(nbdOptInfo, nbdChoice(nbdExport)), "S: " + nbdReply(6, nbdRepInfo, info) + nbdReply(6, nbdRepAck, ""), nbdTestStart, "S: " + nbdReply(5, nbdErrInvalid, "TLS is there")},
		"read": slices.Concat(goes, []string{
			"C: " + nbdCommand(nbdCmdRead, 7, 496, 16), "S: " + nbdAnswer(7, 0, "what is on disk "),
			"C: " + nbdCommand(nbdCmdRead, 8, 496, 17), "S: " + nbdAnswer(8, nbdEINVAL, ""),
			"C: " + nbdCommand(nbdCmdRead, 9, 1<<63, 1), "S: " + nbdAnswer(9, nbdEINVAL, ""),
			"C: " + nbdCommand(nbdCmdWrite, 10, 0, 3) + "abc", "S: " + nbdAnswer(10, nbdEPERM, ""),
			"C: " + nbdCommand(99, 11, 0, 0), "S: " + nbdAnswer(11, nbdEINVAL, ""),
			"C: " + nbdCommand(nbdCmdDisconnect, 12, 0, 0), "close",
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find("nbd"))
			conversePackets(t, session, dialogue...)
		})
	}
}

// TestNBDCleartextBehindRequest checks that what comes in the clear behind the option ends the
// connection.
func TestNBDCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "nbd")
	conversePackets(t, conn, nbdTestGreeting, "C: \x00\x00\x00\x01"+nbdTestStart[3:]+nbdOptionOf(nbdOptAbort, ""), nbdTestGoAhead)
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}

func TestNBDSplit(t *testing.T) {
	p := PacketsOf("nbd")
	ack, read := nbdReply(7, nbdRepAck, ""), nbdAnswer(7, 0, "what is on disk ")
	for said, want := range map[string][]string{
		ack + read:                    {ack, read},
		ack[:5]:                       {ack[:5]},
		ack[:16] + "\xff\xff\xff\xff": {ack[:16] + "\xff\xff\xff\xff"},
	} {
		if got := split(p, said); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", said, got, want)
		}
	}
}
