package negotiate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
)

// A VNC viewer of a tunnel is led through RFB's beginning again, in the version that it knows. What
// VeNCrypt's sub-type does inside TLS is a security type of its own there. T is the tunnel.
//
//	T: "RFB 003.008" 0a
//	C: "RFB 003.008" 0a
//	T: 01 02               one security type: None behind X509None and X509Plain, VNC authentication
//	C: 02                  behind X509Vnc
//	S: challenge …         inside TLS, up to SecurityResult
//
// Version 3.3 has no choice of types: there T says 00000002 in place of both. Before version 3.8
// there is no SecurityResult of None, and no reason behind one that refuses.

const vncNone = 1 // a security type

// Sub-types of VeNCrypt with certificates.
const (
	vncX509None  = 260
	vncX509VNC   = 261
	vncX509Plain = 262
)

// vncChallenge is how long the challenge of VNC authentication is, in bytes.
const vncChallenge = 16

// A vncState is what has been agreed on with server and viewer.
type vncState struct {
	subType        uint32
	server, viewer int // minor versions of RFB: 3, 7 or 8
}

// vncSubType chooses among a server's sub-types: what needs no login in the viewer's place, unless a
// tunnel has been given a name for one.
func vncSubType(l *Local, offered []uint32) (uint32, error) {
	usable := vncUsable
	switch {
	case l != nil && l.User != "":
		usable = []uint32{vncX509Plain, vncX509None, vncX509VNC}
	case l != nil:
		usable = []uint32{vncX509None, vncX509VNC}
	}
	if i := slices.IndexFunc(usable, func(t uint32) bool { return slices.Contains(offered, t) }); i >= 0 {
		return usable[i], nil
	}
	if l != nil && slices.Contains(offered, vncX509Plain) {
		vncTurnAway(l, "The server wants a name and a password, which the tunnel has not been given.")
		return 0, errors.New("X509Plain wants a login: --user NAME, and the password in --password-file FILE or TLSUP_PASSWORD")
	}
	what := "TLS with certificates"
	if l != nil && slices.ContainsFunc(offered, func(t uint32) bool { return slices.Contains(vncUsable, t) }) {
		what += " that the tunnel can lead a viewer through"
	}
	return 0, vncNotOffered(what, offered)
}

// vncTurnAway tells the viewer why it can't be led on.
func vncTurnAway(l *Local, reason string) {
	if viewer, err := vncGreet(l); err == nil {
		l.sayLast(vncNoType(viewer, reason))
	}
}

// vncNoType is what stands in place of the security types when there are none.
func vncNoType(viewer int, reason string) []byte {
	none := []byte{0}
	if viewer < 7 {
		none = make([]byte, 4)
	}
	return append(binary.BigEndian.AppendUint32(none, uint32(len(reason))), reason...)
}

// vncGreet exchanges versions with the viewer, and returns the one to speak. Others than the three
// there are stand for 3.3 (RFC 6143, 7.1.1).
func vncGreet(l *Local) (minor int, err error) {
	if _, err := io.WriteString(l.client, "RFB 003.008\n"); err != nil {
		return 0, err
	}
	major, minor, err := readVNCVersion(l.client)
	switch {
	case err != nil:
		return 0, err
	case major < 3:
		return 0, l.misspoken(fmt.Sprintf("version %d.%d of RFB", major, minor))
	case major > 3 || minor > 8:
		return 8, nil
	case minor < 7:
		return 3, nil
	}
	return minor, nil
}

// leadVNC leads the viewer to what the server says inside TLS.
func leadVNC(l *Local, server *Conn) (err error) {
	s := l.state.(*vncState)
	if s.viewer, err = vncGreet(l); err != nil {
		return err
	}
	if s.subType == vncX509Plain {
		if err := vncLogin(l, server); err != nil {
			return err
		}
	}
	if s.subType != vncX509VNC && s.viewer < 8 {
		if err := vncPassed(l, s, server); err != nil {
			return err
		}
	}
	kind := byte(vncNone)
	if s.subType == vncX509VNC {
		kind = vncVNC
	}
	if s.viewer < 7 {
		_, err := l.client.Write([]byte{0, 0, 0, kind})
		return err
	}
	if _, err := l.client.Write([]byte{1, kind}); err != nil {
		return err
	}
	chosen, err := l.client.ReadByte()
	if err == nil && chosen != kind {
		err = l.misspoken(fmt.Sprintf("it chooses security type %d, and was offered %d", chosen, kind))
	}
	return err
}

// vncLogin logs in in the viewer's place (VeNCrypt 0.2, Plain).
func vncLogin(l *Local, server *Conn) error {
	login := binary.BigEndian.AppendUint32(nil, uint32(len(l.User)))
	login = binary.BigEndian.AppendUint32(login, uint32(len(l.Password)))
	return server.WritePacket("name and password", append(append(login, l.User...), l.Password...))
}

// vncPassed reads the SecurityResult that an older viewer does not know: it can be told of a refusal
// in place of the security types alone.
func vncPassed(l *Local, s *vncState, server *Conn) error {
	if err := server.Count(); err != nil {
		return err
	}
	var result [4]byte
	if _, err := io.ReadFull(server, result[:]); err != nil {
		return err
	}
	if result == [4]byte{} {
		server.Describe("SecurityResult 0: passed")
		return nil
	}
	reason := "Authentication failed"
	if s.server >= 8 {
		said, err := readVNCReason(server)
		if err != nil {
			return err
		}
		reason = said
	}
	server.Describe("SecurityResult: " + reason)
	l.sayLast(vncNoType(s.viewer, reason))
	return Refused(reason)
}

// vncEnds are the two ends of a session: SecurityResult is as the viewer knows it.
func vncEnds(l *Local, client, server net.Conn) (net.Conn, net.Conn) {
	s := l.state.(*vncState)
	reasons := s.server >= 8 && s.viewer >= 8
	if reasons || s.viewer < 8 && s.subType != vncX509VNC {
		return client, server
	}
	r := &vncResult{Conn: server, explains: s.server >= 8, wants: s.viewer >= 8}
	if s.subType == vncX509VNC {
		r.before = vncChallenge
	}
	return client, r
}

// vncResult is the server's end of a session in which one side has reasons behind a SecurityResult
// that refuses, and the other has not.
type vncResult struct {
	net.Conn
	before          int // bytes that come before SecurityResult
	explains, wants bool
	out             []byte // read and not yet returned
	passed, failed  bool
}

// Read returns what the server says, and behind a refusal a reason that it has not said, or the end.
func (r *vncResult) Read(p []byte) (int, error) {
	switch {
	case len(r.out) > 0:
	case r.passed:
		return r.Conn.Read(p)
	case r.failed:
		return 0, io.EOF
	case r.before > 0:
		n, err := r.Conn.Read(p[:min(len(p), r.before)])
		r.before -= n
		return n, err
	default:
		if err := r.result(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// result reads SecurityResult.
func (r *vncResult) result() error {
	result := make([]byte, 4)
	if _, err := io.ReadFull(r.Conn, result); err != nil {
		return err
	}
	r.out, r.passed = result, binary.BigEndian.Uint32(result) == 0
	r.failed = !r.passed
	if r.failed && r.wants && !r.explains {
		const reason = "Authentication failed"
		r.out = append(binary.BigEndian.AppendUint32(r.out, uint32(len(reason))), reason...)
	}
	return nil
}

// CloseWrite ends the writing side.
func (r *vncResult) CloseWrite() error { return closeWrite(r.Conn) }
