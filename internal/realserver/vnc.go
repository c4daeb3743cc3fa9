package realserver

import (
	"crypto/des"
	"fmt"
	"math/bits"
	"os/exec"
	"testing"
)

// VNC starts TigerVNC's server with an empty desktop, called Host, and with security types as
// its option -SecurityTypes takes them, and with more options. VNC authentication wants Password.
func VNC(t testing.TB, types string, options ...string) *Server {
	t.Helper()
	return start(t, tigerVNC, append([]string{types}, options...))
}

var tigerVNC = program{
	name:      "TigerVNC",
	binary:    "Xtigervnc",
	schemes:   []string{"vnc"},
	configure: configureVNC,
}

// vncFileKey is what VNC servers encrypt their password with to keep it in a file.
const vncFileKey = "\x17\x52\x6b\x06\x23\x4e\x58\x07"

func configureVNC(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	password, err := vncEncrypt(vncFileKey, Password+"\x00\x00")
	if err != nil {
		return nil, err
	}
	if err := s.write("password", password); err != nil {
		return nil, err
	}
	port := fmt.Sprint(s.Ports["vnc"]) // and the number of the display, which is free if the port is
	args := []string{
		":" + port, "-rfbport", port, "-interface", "127.0.0.1", "-localhost",
		"-nolisten", "tcp", "-nolisten", "unix", "-nolock", "-geometry", "64x48", "-depth", "16", "-desktop", Host,
		"-SecurityTypes", settings[0], "-rfbauth", s.path("password"), "-X509Cert", s.path("cert.pem"), "-X509Key", s.path("key.pem"),
	}
	return exec.Command(binary, append(args, settings[1:]...)...), nil
}

// vncEncrypt encrypts blocks of 8 bytes as VNC authentication does (RFC 6143, 7.2.2): with DES,
// and the bits of each byte of the key the other way round. The key is filled up with zeroes.
func vncEncrypt(key, text string) (string, error) {
	reversed := make([]byte, des.BlockSize)
	for i := range copy(reversed, key) {
		reversed[i] = bits.Reverse8(reversed[i])
	}
	block, err := des.NewCipher(reversed)
	if err != nil {
		return "", err
	}
	encrypted := []byte(text)
	for i := 0; i < len(encrypted); i += des.BlockSize {
		block.Encrypt(encrypted[i:], encrypted[i:])
	}
	return string(encrypted), nil
}
