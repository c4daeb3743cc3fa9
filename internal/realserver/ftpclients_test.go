package realserver

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
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

// TestFTPThroughProxies: the way of data connections is that of the control connection.
func TestFTPThroughProxies(t *testing.T) {
	t.Parallel()
	const denied = 1
	s := Vsftpd(t)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(Password), 0o600); err != nil {
		t.Fatal(err)
	}
	for scheme, options := range map[string][]string{
		"socks5": {"--proxy", "socks5://" + Dante(t, denied).Addr(proxy)},
		"http":   {"--proxy", "http://" + ProxyUser + "@" + Squid(t, denied).Addr(proxy), "--proxy-password-file", password},
	} {
		t.Run(scheme, func(t *testing.T) {
			tu := tunnelTo(t, s, "ftp", "0", options...)
			curl := func(more ...string) result {
				at := "ftp://" + tu.addr + "/pub/" + scheme
				return client(t, nil, "hello", "", "curl", append(more, "--silent", "--show-error", "--user", "anonymous:x", at)...)
			}
			curl("--upload-file", "-").must(t, 0, "")
			curl().must(t, 0, "hello")
			curl("--ftp-port", "-").must(t, 30, "", "curl: (30)") // "FTP PORT failed"
			for n := range 2 {
				if line := tu.await("transferred", n+1); line["error"] != nil {
					t.Error(line)
				}
			}
		})
	}
}

// TestFTPInterrupted: an upload does not look whole to the server when its client is interrupted.
func TestFTPInterrupted(t *testing.T) {
	t.Parallel()
	s := Vsftpd(t, "delete_failed_uploads=YES")
	tu := tunnelTo(t, s, "ftp", "0")
	for name, interrupt := range map[string]func(control, data *net.TCPConn){
		"data connection reset": func(_, data *net.TCPConn) { data.SetLinger(0) },
		"both ended":            func(control, _ *net.TCPConn) { control.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialTCP(t, tu.addr)
			control := &session{t: t, conn: conn, r: bufio.NewReader(conn)}
			control.expect("220 ")
			control.ask("USER anonymous", "331 ")
			control.ask("PASS guest@example.org", "230 ")
			var port int
			if _, err := fmt.Sscanf(control.ask("EPSV", "229 "), "229 Entering Extended Passive Mode (|||%d|)", &port); err != nil {
				t.Fatal(err)
			}
			data := dialTCP(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			control.ask("STOR pub/half", "150 ")
			if _, err := data.Write([]byte("half a file")); err != nil {
				t.Fatal(err)
			}
			half := s.path("empty/pub/half")
			await(t, "the file has come", func() bool { info, err := os.Stat(half); return err == nil && info.Size() > 0 })
			interrupt(conn, data)
			data.Close()
			await(t, "the file is deleted", func() bool { _, err := os.Stat(half); return err != nil })
		})
	}
}

// await waits until something is true.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not seen: %s", what)
		}
	}
}

func dialTCP(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(limit))
	return conn.(*net.TCPConn)
}
