package realserver

import (
	"io"
	"testing"

	"tlsup/negotiate"
)

// What RFB has inside TLS (RFC 6143): SecurityResult, and ServerInit of a desktop of 64 by 48
// pixels of 16 bits, up to the length of its name.
const (
	vncOK     = "\x00\x00\x00\x00"
	vncFailed = "\x00\x00\x00\x01"
	vncInit   = "\x00\x40\x00\x30\x10\x10\x00\x01\x00\x1f\x00\x3f\x00\x1f\x0b\x05\x00\x00\x00\x00\x00\x00\x00\x10" + Host
)

// vncLogin answers the challenge of VNC authentication, and reads the result.
func vncLogin(t *testing.T, s *session, password string) (result string) {
	t.Helper()
	challenge := make([]byte, 16)
	if _, err := io.ReadFull(s.r, challenge); err != nil {
		t.Fatal(err)
	}
	answer, err := vncEncrypt(password, string(challenge))
	if err != nil {
		t.Fatal(err)
	}
	s.say(answer)
	b := make([]byte, 4)
	if _, err := io.ReadFull(s.r, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestVNC(t *testing.T) {
	t.Parallel()
	s := VNC(t, "VncAuth,TLSVnc,X509Vnc,X509None")
	t.Run("session", func(t *testing.T) {
		vnc := open(t, s, "vnc", Host)
		vnc.hear(vncOK)
		vnc.say("\x01") // ClientInit
		vnc.hear(vncInit)
		vnc.say("\x02\x00\x00\x01\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x01\x00\x01") // SetEncodings: raw; FramebufferUpdateRequest
		vnc.hear("\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00")        // of one pixel
	})
	t.Run("program", func(t *testing.T) {
		got := tlsupTurns(t, []turn{{"", vncOK}, {"\x01", vncInit}}, "--x509cafile", s.CAFile(), s.target("vnc"))
		got.must(t, 0, vncOK+vncInit)
		tlsup(t, "", s.target("vnc")).must(t, 6, "", s.Addr("vnc")+": verify: ", "throwaway authority")
		tlsup(t, "", "tls://"+s.Addr("vnc")).must(t, 5, "", s.Addr("vnc")+": handshake: server answers in the clear: ", "vnc://")
	})
}

func TestVNCLogin(t *testing.T) {
	t.Parallel()
	s := VNC(t, "X509Vnc")
	vnc := open(t, s, "vnc", Host)
	if result := vncLogin(t, vnc, Password); result != vncOK {
		t.Fatalf("the result is %q", result)
	}
	vnc.say("\x01")
	vnc.hear(vncInit)
	if result := vncLogin(t, open(t, s, "vnc", Host), "wrong"); result != vncFailed {
		t.Errorf("the result of a wrong password is %q", result)
	}
}

// TestVNCWithoutCertificates meets servers that have no type with a certificate.
func TestVNCWithoutCertificates(t *testing.T) {
	t.Parallel()
	for types, says := range map[string]string{
		"VncAuth":         "server does not offer VeNCrypt, only VNC authentication",
		"TLSNone,TLSVnc":  "server does not offer TLS with certificates, only TLSNone, TLSVnc",
		"TLSVnc,Plain":    "only TLSVnc, Plain",
		"TLSNone,VncAuth": "server does not offer TLS with certificates, only TLSNone, VNC authentication",
	} {
		t.Run(types, func(t *testing.T) {
			t.Parallel()
			s := VNC(t, types)
			mustRefuse(t, s, "vnc", Host, negotiate.ErrNotOffered, negotiate.Capabilities)
			tlsup(t, "", s.target("vnc")).must(t, 4, "", s.Addr("vnc")+": capabilities: ", says)
		})
	}
}
