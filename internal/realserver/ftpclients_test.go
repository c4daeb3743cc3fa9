package realserver

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testFTPClients lists, uploads and downloads through the tunnel, with clients whose TLS is off,
// active and passive. pub is the directory of the server's that can be written to, as the user sees it
// and in the file system.
func testFTPClients(t *testing.T, s *Server, scheme, user, pub, dir string) {
	tu := tunnelTo(t, s, scheme, "0")
	large := make([]byte, 20<<20)
	rand.NewChaCha8([32]byte{1}).Read(large)
	file := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(file, large, 0o600); err != nil {
		t.Fatal(err)
	}
	same := func(t *testing.T, path string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, large) {
			t.Errorf("%s: %d bytes of %d, %v", path, len(got), len(large), err)
		}
	}
	at := "ftp://" + tu.addr + "/" + pub
	for _, way := range [][]string{{"--disable-eprt"}, {"--disable-epsv"}, {"--ftp-port", "-"}, {"--ftp-port", "-", "--disable-eprt"}} {
		t.Run("curl "+strings.Join(way, " "), func(t *testing.T) {
			name := fmt.Sprintf("curl%s", strings.Join(way, ""))
			curl := func(more ...string) result {
				return client(t, nil, "", "", "curl", append(append([]string{"--silent", "--show-error", "--user", user + ":" + Password}, way...), more...)...)
			}
			curl("--upload-file", file, at+name).must(t, 0, "")
			same(t, filepath.Join(dir, name))
			curl(at).must(t, 0, name)
			back := filepath.Join(t.TempDir(), "back")
			curl("--output", back, at+name).must(t, 0, "")
			same(t, back)
			curl("--output", back, at+"missing").must(t, 78, "", "curl: (78)")
		})
	}
	for _, passive := range []bool{true, false} {
		t.Run(fmt.Sprintf("lftp passive %v", passive), func(t *testing.T) {
			name := fmt.Sprintf("lftp-%v", passive)
			back := filepath.Join(t.TempDir(), "back")
			script := fmt.Sprintf("set cmd:fail-exit yes; set net:max-retries 1; set ftp:passive-mode %v; open -u %s,%s %s\n"+
				"cd %s\nput %s -o %s\nls\nget %s -o %s\nmget -O %s lftp*\n",
				passive, url.PathEscape(user), Password, "ftp://"+tu.addr, pub, file, name, name, back, t.TempDir())
			client(t, nil, script, "", "lftp").must(t, 0, name)
			same(t, filepath.Join(dir, name))
			same(t, back)
		})
	}
}
