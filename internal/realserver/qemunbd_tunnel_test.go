package realserver

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestNBDClients writes a disk through the tunnel and reads it again, with clients without TLS.
func TestNBDClients(t *testing.T) {
	t.Parallel()
	s := QemuNBD(t, NBDLarge)
	tu := tunnelTo(t, s, "nbd", "0")
	url := "nbd://" + tu.addr + "/" + NBDExport
	t.Run("nbdinfo", func(t *testing.T) {
		client(t, nil, "", "", "nbdinfo", url).must(t, 0, "export-size: 33554432")
		client(t, nil, "", "", "nbdinfo", "--list", "nbd://"+tu.addr).must(t, 0, `export="`+NBDExport+`"`)
		client(t, nil, "", "", "nbdinfo", "nbds://"+tu.addr+"/"+NBDExport).must(t, 1, "", "nbdinfo: ")
	})
	dir := t.TempDir()
	content := make([]byte, NBDSize)
	rand.NewChaCha8([32]byte{1}).Read(content)
	disk := filepath.Join(dir, "disk")
	if err := os.WriteFile(disk, content, 0o600); err != nil {
		t.Fatal(err)
	}
	mustEqual := func(t *testing.T, file string) {
		t.Helper()
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes are not what was written: %v", len(got), err)
		}
	}
	t.Run("nbdcopy", func(t *testing.T) {
		client(t, nil, "", "", "nbdcopy", disk, url).must(t, 0, "")
		mustEqual(t, s.path("disk"))
		client(t, nil, "", "", "nbdcopy", url, filepath.Join(dir, "nbdcopy")).must(t, 0, "")
		mustEqual(t, filepath.Join(dir, "nbdcopy"))
	})
	t.Run("qemu-img", func(t *testing.T) {
		rand.NewChaCha8([32]byte{2}).Read(content)
		if err := os.WriteFile(disk, content, 0o600); err != nil {
			t.Fatal(err)
		}
		client(t, nil, "", "", "qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", disk, url).must(t, 0, "")
		mustEqual(t, s.path("disk"))
		client(t, nil, "", "", "qemu-img", "convert", "-f", "raw", "-O", "raw", url, filepath.Join(dir, "qemu-img")).must(t, 0, "")
		mustEqual(t, filepath.Join(dir, "qemu-img"))
	})
	if n := tu.count("failed"); n > 0 {
		t.Errorf("%d connections failed: %v", n, tu.await("failed", 1))
	}
}
