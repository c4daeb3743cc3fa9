//go:build unix

package main

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"tlsup/internal/realserver"
)

// tunnelPlanOf reads a command line of the tunnel, without the program's name.
func tunnelPlanOf(args []string) (*tunnelPlan, error) {
	inProcess.Lock()
	defer inProcess.Unlock()
	p := &program{message: message{io.Discard}}
	app := p.app(nil)
	var pl *tunnelPlan
	app.Command("tunnel").Action = func(c *cli.Context) (err error) {
		if err := checkConflicts(c); err != nil {
			return err
		}
		pl, err = p.tunnelPlan(c)
		return err
	}
	sorted, _, err := sortArguments(app, args)
	if err != nil {
		return nil, err
	}
	return pl, runSorted(context.Background(), app, sorted)
}

// TestContribArguments: the program understands each command line under contrib.
func TestContribArguments(t *testing.T) {
	for file, pattern := range map[string]string{
		"systemd/tlsup@.service":          `(?m)^#\tTLSUP_ARGS=(.*)$`,
		"systemd/tlsup-imap.service":      `(?m)^ExecStart=/usr/bin/tlsup tunnel (.*)$`,
		"haproxy/haproxy.cfg":             `(?m)^#\ttlsup tunnel (.*)$`,
		"launchd/org.example.tlsup.plist": `(?s)<string>tunnel</string>\s*(.*?)</array>`,
		"kubernetes/sidecar.yaml":         `(?s)- tunnel\n(.*?)      ports:`,
	} {
		text := readDoc(t, filepath.Join("contrib", filepath.FromSlash(file)))
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1)
		if found == nil {
			t.Errorf("%s: no command line", file)
		}
		for _, line := range found {
			args := []string{"tunnel"}
			for _, arg := range strings.Fields(strings.ReplaceAll(line[1], `"`, "")) {
				arg = strings.TrimSuffix(strings.TrimPrefix(arg, "<string>"), "</string>")
				if arg != "-" {
					args = append(args, arg)
				}
			}
			if _, err := tunnelPlanOf(args); err != nil {
				t.Errorf("%s: %q: %v", file, args, err)
			}
		}
	}
}

// TestContribPlist: launchd's file is XML, with a value behind each key.
func TestContribPlist(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(readDoc(t, "contrib/launchd/org.example.tlsup.plist")))
	keys := 0
	for last := ""; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			if e.Name.Local == "key" {
				keys++
				if last == "key" {
					t.Error("a key has no value")
				}
			}
			last = e.Name.Local
		}
	}
	if keys == 0 {
		t.Error("there are no keys")
	}
}

// TestContribUnits: systemd finds no fault with the units.
func TestContribUnits(t *testing.T) {
	analyze := realserver.Tool(t, "systemd-analyze")
	program, err := exec.LookPath("tlsup")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var units []string
	for _, name := range []string{"tlsup@.service", "tlsup-imap.service", "tlsup-imap.socket"} {
		text := strings.ReplaceAll(readDoc(t, "contrib/systemd/"+name), "/usr/bin/tlsup", program)
		unit := filepath.Join(dir, strings.Replace(name, "@.", "@mail.", 1))
		if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		units = append(units, unit)
	}
	if out, err := exec.Command(analyze, append([]string{"verify", "--man=no"}, units...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestContribHAProxy: HAProxy takes its file, and with it leads clients to a tunnel, which is told who
// they are.
func TestContribHAProxy(t *testing.T) {
	haproxy := realserver.Tool(t, "haproxy")
	text := readDoc(t, "contrib/haproxy/haproxy.cfg")
	if out, err := exec.Command(haproxy, "-c", "-f", "contrib/haproxy/haproxy.cfg").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	imap, trusted := serverFor(t, "imap")
	tunnel, err := startProcess(exec.Command("tlsup", "tunnel", trusted, "--accept-proxy-protocol", "--metrics=0", "0", imap))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tunnel.cmd.Process.Kill()
		tunnel.cmd.Wait()
	})
	tunnel.sees(t, `msg="serving metrics"`)
	port := func(pattern string) string {
		return regexp.MustCompile(pattern).FindStringSubmatch(tunnel.err.text())[1]
	}
	text = strings.NewReplacer(
		"bind 127.0.0.1:143", "bind unix@"+filepath.Join(t.TempDir(), "s"),
		"192.0.2.11:1143", "127.0.0.1:"+port(`msg=listening listen=\S+:(\d+)`),
		"port 9100", "port "+port(`msg="serving metrics" listen=\S+:(\d+)`),
	).Replace(text)
	text = regexp.MustCompile(`(?m)^\tserver two .*$`).ReplaceAllString(text, "")
	path := regexp.MustCompile(`unix@(\S+)`).FindStringSubmatch(text)[1]
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	balancer, err := startProcess(exec.Command(haproxy, "-db", "-f", config))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		balancer.cmd.Process.Kill()
		balancer.cmd.Wait()
	})
	for deadline := time.Now().Add(patience); ; { // HAProxy does not say when it listens
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, balancer.err.text())
		}
		time.Sleep(10 * time.Millisecond)
	}
	greeted(t, &net.UnixAddr{Name: path, Net: "unix"}, "* OK ")
	tunnel.sees(t, `msg=opened .*client=`)
}
