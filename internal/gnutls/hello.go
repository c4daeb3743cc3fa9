package gnutls

// A Hello picks the session's ID out of what a server sends first (RFC 8446, 4.1.3).
type Hello struct{ first []byte }

// idAt is where the length of the ID stands: behind the headers of record and handshake message,
// the version and the random bytes.
const idAt = 5 + 4 + 2 + 32

// Take takes bytes as they come.
func (h *Hello) Take(b []byte) {
	if room := idAt + 1 + 32 - len(h.first); room > 0 {
		h.first = append(h.first, b[:min(room, len(b))]...)
	}
}

// ID returns the session's ID; nil if there is none.
func (h *Hello) ID() []byte {
	const handshake, serverHello = 22, 2
	if len(h.first) <= idAt || h.first[0] != handshake || h.first[5] != serverHello {
		return nil
	}
	behind := h.first[idAt+1:]
	return behind[:min(int(h.first[idAt]), len(behind))]
}
