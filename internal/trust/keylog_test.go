package trust

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The keys are the session's: the line has the client's random number in it.
func TestKeyLog(t *testing.T) {
	server, roots := newServer(t)
	file := filepath.Join(t.TempDir(), "keys")
	os.WriteFile(file, []byte("# before\n"), 0o600)
	for _, version := range []string{"1.2", "1.3"} {
		c := load(t, Settings{CAFiles: []string{roots}, KeyLog: file, TLSMax: version})
		if o := handshake(t, server, c.Client(context.Background(), host, nil)); o.clientErr != nil {
			t.Fatal(o.clientErr)
		}
	}
	got := string(must[[]byte](t)(os.ReadFile(file)))
	if !strings.HasPrefix(got, "# before\nCLIENT_RANDOM ") || !strings.Contains(got, "\nCLIENT_TRAFFIC_SECRET_0 ") {
		t.Errorf("the file is\n%s", got)
	}
}

func TestKeyLogFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	load(t, Settings{KeyLog: file})
	if mode := must[fs.FileInfo](t)(os.Stat(file)).Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the file's mode is %o", mode)
	}
	missing := filepath.Join(file+"x", "keys")
	want := fmt.Sprintf("--keylog or SSLKEYLOGFILE: keys cannot be written to %s: ", missing)
	if _, err := Load(Settings{KeyLog: missing}); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error is %v, want %s", err, want)
	}
}
