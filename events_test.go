//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A driven is a program with descriptors of its own: 3 takes the order to start TLS, 4 has the
// events.
type driven struct {
	*gnutlsClient
	order  *os.File
	events *bufio.Scanner
}

func drive(t *testing.T, args ...string) *driven {
	t.Helper()
	orderRead, orderWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	eventsRead, eventsWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tlsup", args...)
	cmd.Dir = t.TempDir()
	if err := writeScriptFiles(cmd.Dir); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "GORACE="+gorace)
	cmd.ExtraFiles = []*os.File{orderRead, eventsWrite}
	p, err := startProcess(cmd)
	orderRead.Close()
	eventsWrite.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		orderWrite.Close()
		eventsRead.Close()
	})
	return &driven{&gnutlsClient{t: t, process: p}, orderWrite, bufio.NewScanner(eventsRead)}
}

// next reads an event.
func (d *driven) next(kind string) map[string]any {
	d.t.Helper()
	if !d.events.Scan() {
		d.t.Fatalf("no event %s\n[stderr]\n%s", kind, d.err.text())
	}
	got := map[string]any{}
	if err := json.Unmarshal(d.events.Bytes(), &got); err != nil || got["event"] != kind {
		d.t.Fatalf("%s, wanted the event %s (%v)", d.events.Text(), kind, err)
	}
	return got
}

// over ends the input, and waits for the end of the events and of the program.
func (d *driven) over(status int) {
	d.t.Helper()
	d.ends()
	if s := d.wait(); s.status != status {
		d.t.Errorf("status %d, want %d\n%s", s.status, status, s.err)
	}
	if d.events.Scan() {
		d.t.Errorf("another event: %s", d.events.Text())
	}
}

func TestStartByDescriptor(t *testing.T) {
	t.Parallel()
	server, address := playing(t, `
		S: 220 hello
		C: STARTTLS
		S: 220 go
		TLS
		C- hi\n
		S: inside`)
	d := drive(t, "-s", "--starttls-fd", "3", "--status-fd=4", ca, address)
	if got := d.next("connected"); got["address"] != address || got["target"] != address {
		t.Errorf("%v", got)
	}
	d.sends("STARTTLS\r\n")
	d.sees(`^220 go`)
	if _, err := io.WriteString(d.order, "y"); err != nil {
		t.Fatal(err)
	}
	if got := d.next("upgraded"); got["protocol"] != nil {
		t.Errorf("%v", got)
	}
	got := d.next("handshake")
	if got["version"] != "TLS 1.3" || got["trusted"] != true || got["name"] != "127.0.0.1" || got["certificate"] != "CN=mail.example.org" {
		t.Errorf("%v", got)
	}
	d.sends("hi\n")
	d.sees(`^inside`)
	if got := d.next("closed"); got["status"] != 0.0 {
		t.Errorf("%v", got)
	}
	d.over(0)
	server.heard(t)
}

// TestStartDescriptorEnds: the end of the descriptor is no order, the end of the input still is.
func TestStartDescriptorEnds(t *testing.T) {
	t.Parallel()
	server, address := playing(t, "S: 220 hello\nC: STARTTLS\nS: 220 go\nTLS\nend")
	d := drive(t, "-s", "--starttls-fd=3", ca, address)
	d.order.Close()
	d.sends("STARTTLS\r\n")
	d.sees(`^220 go`)
	d.over(0)
	server.heard(t)
}

func TestStatusEvents(t *testing.T) {
	t.Parallel()
	const upgrade = "S: 220 hello\nC: EHLO .*\nS: 250-hello\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n"
	for _, test := range []struct {
		name, dialogue string
		changes, args  []string
		events         string
		status         int
		step           string
	}{
		{"an upgrade", upgrade + "TLS\nend", nil, nil, "connected upgraded handshake closed", 0, ""},
		{"insecure", upgrade + "TLS\nend", []string{"expired"}, []string{"--insecure"}, "connected upgraded handshake closed", 0, ""},
		{"not trusted", upgrade + "TLS fails", []string{"expired"}, nil, "connected upgraded failed", 6, "verify"},
		{"not offered", "S: 220 hello\nC: EHLO .*\nS: 250 hello\nstall", nil, nil, "connected failed", 4, "capabilities"},
		{"cut", upgrade + "TLS\ncut", nil, nil, "connected upgraded handshake failed", 1, "session"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, address := playing(t, test.dialogue, test.changes...)
			d := drive(t, append(test.args, "--status-fd=4", ca, "smtp://"+address)...)
			var got map[string]any
			for _, kind := range strings.Fields(test.events) {
				got = d.next(kind)
				switch kind {
				case "upgraded":
					if got["protocol"] != "smtp" {
						t.Errorf("%v", got)
					}
				case "handshake":
					if test.status != 1 {
						d.ends()
					}
					if got["trusted"] != (test.changes == nil) {
						t.Errorf("%v", got)
					}
				}
			}
			if got["status"] != float64(test.status) || test.step != "" && (got["step"] != test.step || got["reason"] == "") {
				t.Errorf("%v", got)
			}
			d.over(test.status)
		})
	}
}

// TestDescriptorsAreChecked: a descriptor that is none is found before anything is opened.
func TestDescriptorsAreChecked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ arg, want string }{
		{"--status-fd=2", `"2" is not the number of a descriptor from 3 on`},
		{"--status-fd=x", `"x" is not the number of a descriptor from 3 on`},
		{"--status-fd=999", "descriptor 999 is not open"},
		{"--starttls-fd=3", "option --starttls-fd needs --starttls"},
	} {
		d := drive(t, "127.0.0.1:1", test.arg)
		d.complains(test.want)
		d.over(2)
	}
}
