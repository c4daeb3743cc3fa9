package realserver

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// viewer runs TigerVNC's viewer on the desktop of a server of its own, and waits until its log has a
// text.
func viewer(t *testing.T, desktop *Server, passwordFile, addr, until string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, Tool(t, "xtigervncviewer"), "-Log", "*:stderr:100", "-AlertOnFatalError=0",
		"-SecurityTypes", "None,VncAuth", "-passwd", passwordFile, host+"::"+port)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + t.TempDir(), "DISPLAY=:" + strconv.Itoa(desktop.Ports["vnc"])}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(stderr); !strings.Contains(said.String(), until) && lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
	}
	if !strings.Contains(said.String(), until) {
		t.Errorf("the viewer does not say %q:\n%s", until, said.String())
	}
	cancel()
	io.Copy(io.Discard, stderr)
	cmd.Wait()
}

// TestVNCViewer has TigerVNC's viewer show a desktop, with its TLS switched off.
func TestVNCViewer(t *testing.T) {
	t.Parallel()
	Tool(t, "xtigervncviewer")
	desktop := VNC(t, "None", "-ac")
	const shown = "Enabling continuous updates"
	for _, types := range []string{"X509None,X509Vnc", "X509Vnc"} {
		t.Run(types, func(t *testing.T) {
			s := VNC(t, types)
			tu := tunnelTo(t, s, "vnc", "0")
			viewer(t, desktop, s.path("password"), tu.addr, shown)
			if types != "X509Vnc" {
				return
			}
			wrong, err := vncEncrypt(vncFileKey, "mistaken")
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
				t.Fatal(err)
			}
			viewer(t, desktop, file, tu.addr, "Authentication failure")
		})
	}
}

// TestVNCTunnel holds sessions in each version of RFB that viewers know.
func TestVNCTunnel(t *testing.T) {
	t.Parallel()
	for types, kind := range map[string]string{"X509None": "\x01", "X509Vnc": "\x02"} {
		s := VNC(t, types)
		tu := tunnelTo(t, s, "vnc", "0")
		for _, version := range []string{"RFB 003.003\n", "RFB 003.007\n", "RFB 003.008\n"} {
			t.Run(types+" "+version[:11], func(t *testing.T) {
				vnc := throughTunnel(t, tu)
				vnc.hear("RFB 003.008\n")
				vnc.say(version)
				if version == "RFB 003.003\n" {
					vnc.hear("\x00\x00\x00" + kind)
				} else {
					vnc.hear("\x01" + kind)
					vnc.say(kind)
				}
				if types == "X509Vnc" {
					if result := vncLogin(t, vnc, Password); result != vncOK {
						t.Fatalf("the result is %q", result)
					}
				} else if version == "RFB 003.008\n" {
					vnc.hear(vncOK)
				}
				vnc.say("\x01")
				vnc.hear(vncInit)
			})
		}
	}
}

// TestVNCPlain logs in in a viewer's place.
func TestVNCPlain(t *testing.T) {
	t.Parallel()
	permitted := tigerVNC
	permitted.root = true // PAM's service for runuser lets nobody else in
	s := start(t, permitted, []string{"X509Plain", "-PlainUsers", "root", "-PAMService", "runuser"})
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("login", func(t *testing.T) {
		tu := tunnelTo(t, s, "vnc", "0", "--user", "root", "--password-file", password)
		vnc := throughTunnel(t, tu)
		vnc.hear("RFB 003.008\n")
		vnc.say("RFB 003.003\n")
		vnc.hear("\x00\x00\x00\x01")
		vnc.say("\x01")
		vnc.hear(vncInit)
	})
	t.Run("refused", func(t *testing.T) {
		tu := tunnelTo(t, s, "vnc", "0", "--user", "nobody", "--password-file", password)
		vnc := throughTunnel(t, tu)
		vnc.hear("RFB 003.008\n")
		vnc.say("RFB 003.003\n")
		vnc.hear("\x00\x00\x00\x00\x00\x00\x00")
		if line := tu.await("failed", 1); !strings.Contains(line["error"].(string), "server refuses") {
			t.Errorf("%v", line)
		}
	})
	t.Run("no login", func(t *testing.T) {
		tu := tunnelTo(t, s, "vnc", "0")
		vnc := throughTunnel(t, tu)
		vnc.hear("RFB 003.008\n")
		vnc.say("RFB 003.008\n")
		vnc.hear("which the tunnel has not been given.")
		if line := tu.await("failed", 1); !strings.Contains(line["error"].(string), "--user NAME") {
			t.Errorf("%v", line)
		}
	})
}
