package wire

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"tlsup/internal/quote"
)

// Extensions of the hellos (RFC 8446, 4.2; RFC 9849, 5).
const (
	serverName          = 0
	supportedGroups     = 10
	signatureAlgorithms = 13
	applicationProtocol = 16
	preSharedKey        = 41
	supportedVersions   = 43
	keyShare            = 51
	encryptedHello      = 0xfe0d
)

// A hello is what is read of a ClientHello or ServerHello.
type hello struct {
	version    uint16
	suites     []uint16 // one, in a ServerHello
	extensions map[uint16]cryptobyte.String
}

// readHello reads a hello, or as much of it as can be read.
func readHello(body []byte, client bool) hello {
	s := cryptobyte.String(body)
	h := hello{extensions: map[uint16]cryptobyte.String{}}
	var session, suites, compression, extensions cryptobyte.String
	const random = 32
	ok := s.ReadUint16(&h.version) && s.Skip(random) && s.ReadUint8LengthPrefixed(&session)
	if client {
		ok = ok && s.ReadUint16LengthPrefixed(&suites) && s.ReadUint8LengthPrefixed(&compression)
	} else {
		ok = ok && s.ReadBytes((*[]byte)(&suites), 2) && s.Skip(1)
	}
	h.suites = numbers(suites)
	if !ok || !s.ReadUint16LengthPrefixed(&extensions) {
		return h
	}
	for !extensions.Empty() {
		var kind uint16
		var data cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&data) {
			break
		}
		h.extensions[kind] = data
	}
	return h
}

func numbers(s cryptobyte.String) (all []uint16) {
	for n := uint16(0); s.ReadUint16(&n); {
		all = append(all, n)
	}
	return all
}

// list reads the numbers in an extension that is a list of them.
func (h hello) list(kind uint16) []uint16 {
	data := h.extensions[kind]
	var all cryptobyte.String
	data.ReadUint16LengthPrefixed(&all)
	return numbers(all)
}

// Version is the version that a ServerHello chooses: TLS 1.3 is named in an extension (RFC 8446,
// 4.2.1).
func (m Message) Version() uint16 {
	h := readHello(m.Body, false)
	if data := h.extensions[supportedVersions]; len(data) == 2 {
		return binary.BigEndian.Uint16(data)
	}
	return h.version
}

// Signature is the algorithm in a ServerKeyExchange of TLS 1.2 with a named curve (RFC 8422, 5.4); 0
// if there is none.
func (m Message) Signature() tls.SignatureScheme {
	const namedCurve, head = 3, 4 // type, curve, length of the point
	body := m.Body
	if len(body) < head || body[0] != namedCurve {
		return 0
	}
	rest := body[head:]
	point := int(body[head-1])
	if len(rest) < point+2 {
		return 0
	}
	return tls.SignatureScheme(binary.BigEndian.Uint16(rest[point:]))
}

// Detail says what is in a hello, escaped; "" for other messages.
func (m Message) Detail() string {
	switch {
	case m.Record != Handshake:
	case m.Type == ClientHello:
		return readHello(m.Body, true).offered()
	case m.Type == ServerHello:
		return m.chosen()
	}
	return ""
}

// offered says what a ClientHello offers.
func (h hello) offered() string {
	var parts []string
	part := func(what string, names []string) {
		if len(names) > 0 {
			parts = append(parts, what+" "+strings.Join(names, " "))
		}
	}
	data := h.extensions[serverName]
	var list, name, ids cryptobyte.String
	if data.ReadUint16LengthPrefixed(&list) && list.Skip(1) && list.ReadUint16LengthPrefixed(&name) {
		part("SNI", []string{quote.Short(string(name))})
	}
	if _, ok := h.extensions[encryptedHello]; ok {
		parts = append(parts, "ECH")
	}
	if data = h.extensions[applicationProtocol]; data.ReadUint16LengthPrefixed(&ids) {
		var names []string
		for id := (cryptobyte.String)(nil); ids.ReadUint8LengthPrefixed(&id); {
			names = append(names, quote.Short(string(id)))
		}
		part("ALPN", names)
	}
	versions := []uint16{h.version}
	var offered cryptobyte.String
	if data = h.extensions[supportedVersions]; data.ReadUint8LengthPrefixed(&offered) {
		versions = numbers(offered)
	}
	part("versions", each(versions, func(v uint16) string { return strings.ReplaceAll(tls.VersionName(v), "TLS ", "") }))
	part("suites", each(h.suites, tls.CipherSuiteName))
	part("groups", each(h.list(supportedGroups), groupName))
	part("signatures", each(h.list(signatureAlgorithms), func(n uint16) string { return tls.SignatureScheme(n).String() }))
	if _, ok := h.extensions[preSharedKey]; ok {
		parts = append(parts, "a session to resume")
	}
	return strings.Join(parts, "; ")
}

// chosen says what a ServerHello chooses.
func (m Message) chosen() string {
	h := readHello(m.Body, false)
	parts := []string{tls.VersionName(m.Version())}
	parts = append(parts, each(h.suites, tls.CipherSuiteName)...)
	if share := h.extensions[keyShare]; len(share) >= 2 {
		parts = append(parts, groupName(binary.BigEndian.Uint16(share)))
	}
	if _, ok := h.extensions[preSharedKey]; ok {
		parts = append(parts, "session resumed")
	}
	return strings.Join(parts, ", ")
}

func each(numbers []uint16, name func(uint16) string) []string {
	var names []string
	for _, n := range numbers {
		names = append(names, name(n))
	}
	return names
}

// groupName is crypto/tls' name, or the number of a group that it does not know.
func groupName(n uint16) string {
	if name := tls.CurveID(n).String(); !strings.Contains(name, "(") {
		return name
	}
	return fmt.Sprintf("0x%04x", n)
}
