//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
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
	d := &driven{handed(t, []*os.File{orderRead, eventsWrite}, args...), orderWrite, bufio.NewScanner(eventsRead)}
	orderRead.Close()
	eventsWrite.Close()
	t.Cleanup(func() {
		orderWrite.Close()
		eventsRead.Close()
	})
	return d
}

// handed starts the program with descriptors from 3 on.
func handed(t *testing.T, files []*os.File, args ...string) *gnutlsClient {
	t.Helper()
	cmd := exec.Command("tlsup", args...)
	cmd.Dir = t.TempDir()
	if err := writeScriptFiles(cmd.Dir); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "GORACE="+gorace)
	cmd.ExtraFiles = files
	return &gnutlsClient{t: t, process: started(t, cmd)}
}

// newPipe is closed with the test.
func newPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
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

const smtpUpgrade = "S: 220 hello\nC: EHLO .*\nS: 250-hello\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n"

func TestStatusEvents(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, dialogue string
		changes, args  []string
		events         string
		status         int
		step           string
	}{
		{"an upgrade", smtpUpgrade + "TLS\nend", nil, nil, "connected upgraded handshake closed", 0, ""},
		{"insecure", smtpUpgrade + "TLS\nend", []string{"expired"}, []string{"--insecure"}, "connected upgraded handshake closed", 0, ""},
		{"not trusted", smtpUpgrade + "TLS fails", []string{"expired"}, nil, "connected upgraded failed", 6, "verify"},
		{"not offered", "S: 220 hello\nC: EHLO .*\nS: 250 hello\nstall", nil, nil, "connected failed", 4, "capabilities"},
		{"cut", smtpUpgrade + "TLS\ncut", nil, nil, "connected upgraded handshake failed", 1, "session"},
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

// TestFailedEvents: the step is named wherever there was one.
func TestFailedEvents(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	for _, test := range []struct {
		name, target string // "": of the dialogue
		dialogue     string
		args         []string
		events       string // before the last
		signal       bool
		status       int
		step         any
		reason       string
	}{
		{name: "resolve", target: "smtp://mail..example.org:25", status: 3, step: "resolve", reason: "no such host"},
		{name: "connect", target: "smtp://" + nobody.Addr().String(), status: 3, step: "connect", reason: "connection refused"},
		{name: "handshake", dialogue: smtpUpgrade + "C?\ncut", events: "connected upgraded", status: 5, step: "handshake", reason: "server closed the connection in the handshake"},
		{name: "a signal in the upgrade", dialogue: "stall", events: "connected", signal: true, status: 143, step: nil, reason: "ended by signal: terminated"},
		{name: "a signal in the session", dialogue: smtpUpgrade + "TLS\nstall", events: "connected upgraded handshake", signal: true, status: 143, step: nil, reason: "ended by signal: terminated"},
		{name: "a command that fails", dialogue: smtpUpgrade + "TLS\nend", args: []string{"--", "sh", "-c", "exit 7"}, events: "connected upgraded handshake", status: 7},
		{name: "a command whose session fails", dialogue: smtpUpgrade + "TLS\ncut", args: []string{"--", "sh", "-c", "cat"}, events: "connected upgraded handshake", status: 1, step: "session", reason: "peer cut the TLS stream without close_notify"},
		{name: "no command", target: "127.0.0.1:1", args: []string{"--", "./none"}, status: 2, step: nil, reason: `command "./none": no such file or directory`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target := test.target
			if test.dialogue != "" {
				_, address := playing(t, test.dialogue)
				target = "smtp://" + address
			}
			d := drive(t, append([]string{"--status-fd=4", ca, target}, test.args...)...)
			for _, kind := range strings.Fields(test.events) {
				d.next(kind)
			}
			if test.signal {
				d.cmd.Process.Signal(syscall.SIGTERM)
			}
			kind := "failed"
			if test.reason == "" {
				kind = "closed"
			}
			got := d.next(kind)
			reason, _ := got["reason"].(string)
			if got["status"] != float64(test.status) || got["step"] != test.step || reason != test.reason {
				t.Errorf("%v", got)
			}
			d.over(test.status)
		})
	}
}

// TestNobodyReadsEvents: neither the session nor its end waits for a reader for long.
func TestNobodyReadsEvents(t *testing.T) {
	t.Parallel()
	_, w := newPipe(t)
	raw, err := w.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Write(func(fd uintptr) bool {
		for err == nil {
			_, err = syscall.Write(int(fd), make([]byte, 512)) // a pipe takes all or nothing of so little
		}
		return true
	})
	server, address := playing(t, smtpUpgrade+"TLS\nend")
	c := handed(t, []*os.File{w}, "--status-fd=3", ca, "smtp://"+address)
	c.ends()
	const want = "tlsup: option --status-fd: nobody has read for 1s: there will be no more events\n"
	if got := c.wait(); got.status != 0 || got.err != want {
		t.Errorf("status %d\n%s", got.status, got.err)
	}
	server.heard(t)
}

// TestDescriptorsAreChecked: a descriptor that is none is found before anything is opened. The program's
// own, which may have 3 and 4, are none.
func TestDescriptorsAreChecked(t *testing.T) {
	t.Parallel()
	r, w := newPipe(t)
	both := []*os.File{r, w}
	for _, test := range []struct {
		args, want string
		files      []*os.File
	}{
		{"--status-fd=2", `"2" is not the number of a descriptor from 3 on`, both},
		{"--status-fd=x", `"x" is not the number of a descriptor from 3 on`, both},
		{"--status-fd=999", "option --status-fd: no descriptor 999 was handed over", both},
		{"--status-fd=3", "option --status-fd: no descriptor 3 was handed over", nil},
		{"--status-fd=4", "option --status-fd: no descriptor 4 was handed over", nil},
		{"--starttls --starttls-fd=3", "option --starttls-fd: no descriptor 3 was handed over", nil},
		{"--starttls --starttls-fd=4", "option --starttls-fd: no descriptor 4 was handed over", nil},
		{"--status-fd=3", "option --status-fd: descriptor 3 is not open for writing", both},
		{"--starttls --starttls-fd=4", "option --starttls-fd: descriptor 4 is not open for reading", both},
		{"--starttls --starttls-fd=3 --status-fd=3", `options --starttls-fd and --status-fd: "3" can't be both`, both},
		{"--starttls-fd=3", "option --starttls-fd needs --starttls", both},
	} {
		c := handed(t, test.files, append(strings.Fields(test.args), "127.0.0.1:1")...)
		if got := c.wait(); got.status != 2 || !strings.Contains(got.err, test.want) {
			t.Errorf("%s: status %d\n%s", test.args, got.status, got.err)
		}
	}
}
