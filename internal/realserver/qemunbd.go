package realserver

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// QemuNBD starts QEMU's NBD server with one export, NBDExport, whose bytes are NBDDisk. Settings
// are arguments of qemu-nbd; with NBDNoTLS it has no certificate.
//
// Debian's nbd-server will not do: it goes into the background, or serves one client, and
// insists on a certificate of the client's.
func QemuNBD(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, qemuNBD, settings)
}

// NBDExport is the name of what QemuNBD serves.
const NBDExport = "disk"

// NBDDisk is what is in it.
var NBDDisk = strings.Repeat("what is on disk ", 64)

// Settings that are no arguments: NBDNoTLS switches TLS off, and NBDLarge has a disk of NBDSize bytes
// that can be written to.
const (
	NBDNoTLS = "no TLS"
	NBDLarge = "large"
	NBDSize  = 32 << 20
)

var qemuNBD = program{
	name:      "QEMU",
	binary:    "qemu-nbd",
	schemes:   []string{"nbd"},
	configure: configureQemuNBD,
}

func configureQemuNBD(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	if err := s.write("disk", NBDDisk); err != nil {
		return nil, err
	}
	// The names that it looks for in the directory that it is given.
	for name, own := range map[string]string{"ca-cert.pem": "ca.pem", "server-cert.pem": "cert.pem", "server-key.pem": "key.pem"} {
		if err := os.Symlink(s.path(own), s.path(name)); err != nil {
			return nil, err
		}
	}
	args := []string{"--persistent", "--shared=0", "--format=raw", "--export-name=" + NBDExport,
		"--bind=127.0.0.1", fmt.Sprintf("--port=%d", s.Ports["nbd"])}
	if i := slices.Index(settings, NBDNoTLS); i >= 0 {
		settings = slices.Delete(slices.Clone(settings), i, i+1)
	} else {
		args = append(args, "--object=tls-creds-x509,id=tls,endpoint=server,verify-peer=no,dir="+s.dir, "--tls-creds=tls")
	}
	if i := slices.Index(settings, NBDLarge); i >= 0 {
		settings = slices.Delete(slices.Clone(settings), i, i+1)
		if err := os.Truncate(s.path("disk"), NBDSize); err != nil {
			return nil, err
		}
	} else {
		args = append(args, "--read-only")
	}
	return exec.Command(binary, slices.Concat(args, settings, []string{s.path("disk")})...), nil
}
