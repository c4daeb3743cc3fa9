package testserver

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Types of PCEP's messages and classes of its objects (RFC 5440, 6 and 7).
const (
	pcepOpen, pcepKeepalive, pcepRequest, pcepReply, pcepError, pcepClose, pcepStartTLS = 1, 2, 3, 4, 6, 7, 13

	pcepOpenObject, pcepRP, pcepNoPath, pcepEndPoints, pcepErrorObject, pcepCloseObject = 1, 2, 3, 4, 13, 15
)

// pcepMax is how long a message may be, in bytes.
const pcepMax = 4096

func pcepServers(servers map[string]protocol) {
	servers["pcep"] = protocol{
		upgrade: pcepClear,
		session: pcepSession,
		talk: []string{
			pcepMessage(pcepOpen, pcepObject(pcepOpenObject, "\x20\x1e\x78\x01")),
			pcepMessage(pcepKeepalive),
			pcepMessage(pcepRequest, pcepObject(pcepRP, "\x00\x00\x00\x00\x00\x00\x00\x01"), pcepObject(pcepEndPoints, "\xc0\x00\x02\x01\xc0\x00\x02\x02")),
			pcepMessage(pcepClose, pcepObject(pcepCloseObject, "\x00\x00\x00\x01")),
		},
		packets: &Packets{Split: pcepSplit, Name: pcepName},
	}
}

// pcepMessage returns a message of objects.
func pcepMessage(kind byte, objects ...string) string {
	body := strings.Join(objects, "")
	return string(binary.BigEndian.AppendUint16([]byte{0x20, kind}, uint16(4+len(body)))) + body
}

// pcepObject returns an object of type 1.
func pcepObject(class byte, body string) string {
	return string(binary.BigEndian.AppendUint16([]byte{class, 0x10}, uint16(4+len(body)))) + body
}

// pcepErr returns a PCErr.
func pcepErr(kind, value byte) string {
	return pcepMessage(pcepError, pcepObject(pcepErrorObject, string([]byte{0, 0, kind, value})))
}

// pcepRead reads a message: its type and its objects. One that is too long, or of another
// version, has the type 0.
func pcepRead(c *conn) (kind byte, body []byte, err error) {
	var header [4]byte
	if _, err := io.ReadFull(c.r, header[:]); err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint16(header[2:]))
	if header[0]>>5 != 1 || n < 4 || n > pcepMax {
		return 0, nil, nil
	}
	body = make([]byte, n-4)
	_, err = io.ReadFull(c.r, body)
	return header[1], body, err
}

// pcepClear answers StartTLS alone (RFC 8253, 3.2).
func pcepClear(c *conn) error {
	kind, body, err := pcepRead(c)
	if err != nil {
		return err
	}
	answer, end := pcepErr(25, 2), io.EOF
	switch {
	case kind == pcepStartTLS && len(body) == 0:
		answer, end = pcepMessage(pcepStartTLS), nil
	case kind == pcepOpen:
		answer = pcepErr(1, 1)
	}
	if _, err := io.WriteString(c.Conn, answer); err != nil {
		return err
	}
	return end
}

// pcepSession opens the session inside TLS, and finds no path, until Close.
func pcepSession(c *conn) error {
	open := false
	for {
		kind, body, err := pcepRead(c)
		if err != nil {
			return err
		}
		answer, end := "", false
		switch {
		case kind == pcepClose:
			return nil
		case kind == pcepStartTLS:
			answer, end = pcepErr(25, 1), true
		case kind == pcepOpen && open:
			answer = pcepErr(9, 0) // attempt to establish a second session
		case kind == pcepOpen:
			open = true
			answer = pcepMessage(pcepOpen, pcepObject(pcepOpenObject, "\x20\x1e\x78\x01")) + pcepMessage(pcepKeepalive)
		case !open:
			answer, end = pcepErr(1, 1), true
		case kind == pcepRequest && len(body) >= 12 && body[0] == pcepRP:
			// Nature 0: no path satisfies it.
			answer = pcepMessage(pcepReply, string(body[:12]), pcepObject(pcepNoPath, "\x00\x00\x00\x00"))
		case kind == pcepRequest:
			answer = pcepErr(6, 1) // the RP object is missing
		case kind != pcepKeepalive:
			answer = pcepErr(2, 0) // a capability that is not there
		}
		if _, err := io.WriteString(c.Conn, answer); err != nil || end {
			return err
		}
	}
}

// pcepSplit cuts messages.
func pcepSplit(data []byte, atEOF bool) (int, []byte, error) {
	n := 4
	if len(data) >= n {
		n = max(n, int(binary.BigEndian.Uint16(data[2:])))
	}
	return cutPacket(data, n, atEOF)
}

// pcepName names a message of either side.
func pcepName(p []byte) string {
	switch {
	case len(p) < 4:
		return string(p)
	case p[1] == pcepError && len(p) >= 12:
		return fmt.Sprintf("PCErr: %d, %d", p[10], p[11])
	}
	names := map[byte]string{
		pcepOpen: "Open", pcepKeepalive: "Keepalive", pcepRequest: "PCReq: from 192.0.2.1 to 192.0.2.2",
		pcepReply: "PCRep: NO-PATH", pcepClose: "Close", pcepStartTLS: "StartTLS",
	}
	return cmp.Or(names[p[1]], string(p))
}
