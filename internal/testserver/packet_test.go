package testserver

import (
	"io"
	"net"
	"strings"
	"testing"
)

// conversePackets leads a dialogue of "C: said" and "S: expected", all of it as it stands,
// and "close" for the server's end.
func conversePackets(t *testing.T, conn net.Conn, dialogue ...string) {
	t.Helper()
	for _, move := range dialogue {
		if said, ok := strings.CutPrefix(move, "C: "); ok {
			if _, err := io.WriteString(conn, said); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if move == "close" {
			if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil {
				t.Errorf("in place of the end: %q, %v", rest, err)
			}
			return
		}
		want, ok := strings.CutPrefix(move, "S: ")
		if !ok {
			t.Fatalf("a move that says nothing: %q", move)
		}
		got := make([]byte, len(want))
		if n, err := io.ReadFull(conn, got); string(got) != want {
			t.Fatalf("the server said %q (%v), want %q", got[:n], err, want)
		}
	}
}

// split cuts data as a scanner would that has all of it.
func split(p *Packets, data string) []string {
	var packets []string
	for rest := []byte(data); len(rest) > 0; {
		n, packet, err := p.Split(rest, true)
		if n <= 0 || err != nil {
			break
		}
		packets, rest = append(packets, string(packet)), rest[n:]
	}
	return packets
}

// TestTalkNames checks that each packet that a client may say has a name, and that pieces of
// them do no harm.
func TestTalkNames(t *testing.T) {
	for _, name := range Names() {
		p := PacketsOf(name)
		if p == nil {
			continue
		}
		for _, packet := range Talk(name) {
			if p.Name([]byte(packet)) == packet {
				t.Errorf("%s: %q has no name", name, packet)
			}
			for n := range packet {
				p.Name([]byte(packet[:n]))
			}
		}
		for b := range 256 {
			p.Name([]byte{byte(b)})
			p.Name([]byte{byte(b), 0, 0, 0, 4})
		}
	}
}
