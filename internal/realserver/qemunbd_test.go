package realserver

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// What is said to read the export's first 16 bytes, and to end (the NBD protocol).
const (
	nbdExportName = "IHAVEOPT\x00\x00\x00\x01\x00\x00\x00\x04" + NBDExport
	nbdRead       = "\x25\x60\x95\x13\x00\x00\x00\x00cookie..\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10"
	nbdDisconnect = "\x25\x60\x95\x13\x00\x00\x00\x02cookie..\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)

// The answers: size, two bytes of flags, and zeroes; and what was read.
var (
	nbdSize   = string(binary.BigEndian.AppendUint64(nil, uint64(len(NBDDisk))))
	nbdZeroes = strings.Repeat("\x00", 124)
	nbdData   = "\x67\x44\x66\x98\x00\x00\x00\x00cookie.." + NBDDisk[:16]
)

func TestQemuNBD(t *testing.T) {
	t.Parallel()
	s := QemuNBD(t)
	t.Run("session", func(t *testing.T) {
		nbd := open(t, s, "nbd", Host)
		nbd.say(nbdExportName)
		nbd.hear(nbdSize)
		nbd.hear(nbdZeroes)
		nbd.say(nbdRead)
		nbd.hear(nbdData)
		nbd.say(nbdDisconnect)
		if rest, err := io.ReadAll(nbd.r); len(rest) > 0 || err != nil {
			t.Errorf("at the end came %q, %v", rest, err)
		}
	})
	t.Run("program", func(t *testing.T) {
		// qemu-nbd never sends close_notify.
		got := tlsupTurns(t, []turn{{nbdExportName, nbdZeroes}, {nbdRead, nbdData}}, "--x509cafile", s.CAFile(), s.target("nbd"))
		got.must(t, 0, nbdData, "without close_notify")
		tlsup(t, "", s.target("nbd")).must(t, 6, "", s.Addr("nbd")+": verify: ", "throwaway authority")
	})
	t.Run("TLS from the first byte", func(t *testing.T) {
		tlsup(t, "", "tls://"+s.Addr("nbd")).must(t, 5, "", s.Addr("nbd")+": handshake: server answers in the clear: ", "hint: ", "nbd://")
	})
	t.Run("auto", func(t *testing.T) {
		tlsup(t, "", "-v", "--x509cafile", s.CAFile(), "auto://"+s.Addr("nbd")).must(t, 0, "", "NBD_REP_ACK")
	})
}

func TestQemuNBDWithoutTLS(t *testing.T) {
	t.Parallel()
	s := QemuNBD(t, NBDNoTLS)
	mustRefuse(t, s, "nbd", Host, negotiate.ErrRefused, negotiate.Upgrade)
	tlsup(t, "", s.target("nbd")).must(t, 4, "", s.Addr("nbd")+`: upgrade: server refuses: "NBD_REP_ERR_POLICY: TLS not configured"`, "hint: TLS is off at the server")
}
