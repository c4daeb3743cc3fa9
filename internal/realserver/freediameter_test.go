package realserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tlsup/negotiate"
)

// diameterSays returns a request: its header, and AVPs that are multiples of four bytes, the first
// two of which say who we are (RFC 6733, 3).
func diameterSays(command uint32, host, avps string) string {
	host += "." + Domain
	avps = diameterAVP(264, host) + diameterAVP(296, Domain) + avps
	header := binary.BigEndian.AppendUint32(nil, 1<<24|uint32(20+len(avps)))
	header = binary.BigEndian.AppendUint32(header, 0x80<<24|command)
	return string(header) + "\x00\x00\x00\x00" + "\x00\x00\x00\x01" + "\x00\x00\x00\x01" + avps
}

// diameterAVP returns an AVP with the flag M (RFC 6733, 4.1).
func diameterAVP(code uint32, data string) string {
	b := binary.BigEndian.AppendUint32(nil, code)
	b = binary.BigEndian.AppendUint32(b, 0x40<<24|uint32(8+len(data)))
	return string(b) + data + strings.Repeat("\x00", -len(data)&3)
}

// Requests of a peer: its capabilities, and a watchdog. Its end (DPR) is not asked for: freeDiameter answers
// that in one thread and ends TLS in another, so that at times a record is garbled, for any client.
func diameterRequests(host string) (capabilities, watchdog string) {
	return diameterSays(257, host, diameterAVP(257, "\x00\x01\x7f\x00\x00\x01")+diameterAVP(266, "\x00\x00\x00\x00")+
			"\x00\x00\x01\x0d\x00\x00\x00\x0ctest"+diameterAVP(258, "\xff\xff\xff\xff")),
		diameterSays(280, host, "")
}

// diameterSuccess is Result-Code, DIAMETER_SUCCESS.
const diameterSuccess = "\x00\x00\x01\x0c\x40\x00\x00\x0c\x00\x00\x07\xd1"

// hearDiameter reads an answer, which has to be a success.
func (s *session) hearDiameter(command byte) {
	s.t.Helper()
	header := make([]byte, 20)
	if _, err := io.ReadFull(s.r, header); err != nil {
		s.t.Fatal(err)
	}
	avps := make([]byte, max(0, min(int(binary.BigEndian.Uint32(header)&0xffffff)-20, 1<<16)))
	if _, err := io.ReadFull(s.r, avps); err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("S: %q", append(header, avps...))
	if header[4] != 0 || header[6] != 1 || header[7] != command || !strings.Contains(string(avps), diameterSuccess) {
		s.t.Errorf("%q %q is no success", header, avps)
	}
}

// openDiameter is open, with a certificate and as a host of the domain.
func openDiameter(t *testing.T, s *Server, scheme, host string) *session {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(s.path("client.pem"), s.path("client-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	o := &negotiate.Options{Host: Host, Trace: func(l negotiate.Line) { t.Logf("%q", l.String()) }}
	if p := find(t, scheme); p.Names == negotiate.OwnName {
		o.Name = host + "." + Domain
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	up, err := negotiate.Client(ctx, dial(t, s, scheme), find(t, scheme), o)
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(up, &tls.Config{ServerName: up.ServerName, RootCAs: s.CA.Pool(), Certificates: []tls.Certificate{pair}})
	if err := conn.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(limit))
	return &session{t: t, conn: conn, r: bufio.NewReader(conn)}
}

func TestFreeDiameter(t *testing.T) {
	t.Parallel()
	s := FreeDiameter(t)
	certificate := []string{"--x509cafile", s.CAFile(), "--x509certfile", s.path("client.pem"), "--x509keyfile", s.path("client-key.pem")}
	for scheme, host := range map[string]string{"diameter": "a", "diameters": "b"} {
		t.Run(scheme, func(t *testing.T) {
			capabilities, watchdog := diameterRequests(host)
			peer := openDiameter(t, s, scheme, host)
			if scheme == "diameters" {
				peer.say(capabilities)
				peer.hearDiameter(1)
			}
			for range 2 {
				peer.say(watchdog)
				peer.hearDiameter(280 & 0xff)
			}
			peer.conn.Close()

			// One request alone: it answers those that come together in no order, and not all.
			host += "-program"
			capabilities, watchdog = diameterRequests(host)
			args, turns := append(certificate, s.target(scheme)), []turn{{capabilities, diameterSuccess}}
			if scheme == "diameter" {
				args, turns = append(args, "--starttls-name", host+"."+Domain), []turn{{watchdog, diameterSuccess}}
			}
			tlsupTurns(t, turns, args...).must(t, 0, diameterSuccess)
		})
	}
	t.Run("tunnel", func(t *testing.T) {
		capabilities, watchdog := diameterRequests("client")
		tu := tunnelTo(t, s, "diameter", "127.0.0.1:0", certificate[2:]...)
		conn, err := net.Dial("tcp", tu.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(limit))
		client := &session{t: t, r: bufio.NewReader(conn)}
		for i, request := range []string{capabilities, watchdog, watchdog} {
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			client.hearDiameter([]byte{1, 280 & 0xff, 280 & 0xff}[i])
		}
	})
	t.Run("unknown", func(t *testing.T) {
		got := tlsup(t, "", "--starttls-name", "client.example.com", s.target("diameter"))
		got.must(t, 4, "", s.Addr("diameter")+`: upgrade: server refuses: "DIAMETER_UNKNOWN_PEER`, "hint: servers know their peers by name")
	})
	t.Run("port for TLS", func(t *testing.T) {
		tlsup(t, "", "diameter://"+s.Addr("diameters")).must(t, 4, "", s.Addr("diameters")+": upgrade: ")
	})
}

// TestFreeDiameterUntrusted has a server of its own: it dies of a handshake that fails.
func TestFreeDiameterUntrusted(t *testing.T) {
	t.Parallel()
	s := FreeDiameter(t)
	tlsup(t, "", "--starttls-name", "client."+Domain, s.target("diameter")).must(t, 6, "", s.Addr("diameter")+": verify: ", "throwaway authority")
}

func TestFreeDiameterWithoutTLS(t *testing.T) {
	t.Parallel()
	s := FreeDiameter(t, "ALLOW_IPSEC *."+Domain)
	got := tlsup(t, "", "--starttls-name", "client."+Domain, s.target("diameter"))
	got.must(t, 4, "", s.Addr("diameter")+": upgrade: server does not offer TLS", "hint: TLS from the first byte is tlsup diameters://")
}
