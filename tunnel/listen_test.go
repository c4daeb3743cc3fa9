package tunnel

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestParsePlace(t *testing.T) {
	for where, want := range map[string]Place{
		"0":              {"tcp", "127.0.0.1:0"},
		"1143":           {"tcp", "127.0.0.1:1143"},
		"0.0.0.0:1143":   {"tcp", "0.0.0.0:1143"},
		"[::1]:1143":     {"tcp", "[::1]:1143"},
		"localhost:1143": {"tcp", "localhost:1143"},
		"unix:/run/x":    {"unix", "/run/x"},
		"unix:x:y":       {"unix", "x:y"},
	} {
		if got, err := ParsePlace(where); got != want || err != nil {
			t.Errorf("%s: %v, %v; want %v", where, got, err, want)
		}
	}
	for where, want := range map[string]string{
		"":             "neither [ADDR:]PORT nor unix:PATH",
		"127.0.0.1:":   "neither [ADDR:]PORT nor unix:PATH",
		":1143":        "no address before the colon",
		"::1:1143":     "neither [ADDR:]PORT nor unix:PATH",
		"65536":        `port "65536" is neither`,
		"-1":           `port "-1" is neither`,
		"no-such-port": `port "no-such-port" is neither`,
		"a\x1bb":       `port "a\x1bb" is neither`,
		"unix:":        "a Unix socket is unix:PATH",
	} {
		if got, err := ParsePlace(where); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", where, got, err, want)
		}
	}
}

// TestUnixSocket: a file that is left is replaced, one that is served is not, nor is anything else;
// the file is gone at the end.
func TestUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permissions there")
	}
	dir, err := os.MkdirTemp("", "tlsup") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, mode := range []fs.FileMode{0, 0o600, 0o666} {
		path := filepath.Join(dir, "s")
		left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		left.SetUnlinkOnClose(false)
		place, err := ParsePlace("unix:" + path)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := place.Listen(mode); err == nil || !strings.Contains(err.Error(), "somebody listens there already") {
			t.Fatal(l, err)
		}
		left.Close()

		l := listen(t, "unix:"+path, mode)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if mode != 0 && info.Mode().Perm() != mode {
			t.Errorf("mode %v, want %v", info.Mode().Perm(), mode)
		}
		if got := Address(l.Addr()); got != "unix:"+path {
			t.Error(got)
		}
		l.Close()
		if entries, err := os.ReadDir(dir); len(entries) > 0 || err != nil {
			t.Errorf("left: %v, %v", entries, err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0, 0o600} {
		place, _ := ParsePlace("unix:" + file)
		if _, err := place.Listen(mode); err == nil || !strings.Contains(err.Error(), "is no socket") {
			t.Error(err)
		}
	}
	for _, mode := range []fs.FileMode{0, 0o600} {
		for path, want := range map[string]string{
			filepath.Join(dir, strings.Repeat("x", 120)):                  fmt.Sprintf("may have %d", longestPath),
			filepath.Join(dir, strings.Repeat("x", longestPath-len(dir))): fmt.Sprintf("has %d bytes", longestPath+1),
		} {
			place, _ := ParsePlace("unix:" + path)
			if l, err := place.Listen(mode); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, %v; want %q", l, err, want)
			}
		}
		listen(t, "unix:"+filepath.Join(dir, strings.Repeat("x", longestPath-len(dir)-1)), mode).Close()
	}
	deep := filepath.Join(dir, strings.Repeat("d", longestPath-len(dir)-len("//s")))
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	listen(t, "unix:"+filepath.Join(deep, "s"), 0).Close()
	tight, _ := ParsePlace("unix:" + filepath.Join(deep, "s"))
	if l, err := tight.Listen(0o600); err == nil || !strings.Contains(err.Error(), "made elsewhere first") {
		t.Errorf("%v, %v", l, err)
	}
	if entries, err := os.ReadDir(deep); len(entries) > 0 || err != nil {
		t.Errorf("left: %v, %v", entries, err)
	}
	place, _ := ParsePlace("unix:" + filepath.Join(dir, "missing", "s"))
	if _, err := place.Listen(0); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestUnixSession: a session through a Unix socket.
func TestUnixSession(t *testing.T) {
	s := serve(t, "pop3")
	dir, err := os.MkdirTemp("", "tlsup")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	pair := to(t, "pop3", s)
	pair.Listener = listen(t, "unix:"+filepath.Join(dir, "s"), 0)
	start(t, pair, nil)
	client, err := net.Dial("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	io.WriteString(client, "QUIT\r\n")
	if got, err := io.ReadAll(client); strings.Count(string(got), "+OK") != 2 || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
