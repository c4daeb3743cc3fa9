package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tlsup/internal/connect"
	"tlsup/internal/wire"
	"tlsup/negotiate"
)

// page is a file in memory.
type page struct{ bytes.Buffer }

func (*page) Close() error { return nil }

func begin() (*Trace, *page) {
	p := new(page)
	return newTrace(p), p
}

func TestSecretsAreMasked(t *testing.T) {
	tr, p := begin()
	var o connect.Options
	tr.Watch(&o)
	o.Trace(negotiate.Line{Text: "EHLO client.example.org"})
	o.Trace(negotiate.Line{Server: true, Text: "Set-Cookie: id=sesame; path=/"})
	o.Trace(negotiate.Line{Text: "GET / HTTP/1.1\r\nProxy-Authorization: Basic sesame\r\nHost: a"})
	o.Trace(negotiate.Line{Server: true, Text: "X-Api-Key:\tsesame"})
	o.Done(connect.Handshake)
	o.Trace(negotiate.Line{TLS: true})
	o.Trace(negotiate.Line{Text: "name and sesame"})
	o.Trace(negotiate.Line{Server: true, Text: "welcome"})
	text := p.String()
	if strings.Contains(text, "sesame") || strings.Contains(text, "welcome") {
		t.Errorf("the trace is\n%s", text)
	}
	for _, want := range []string{
		" C: EHLO client.example.org\n", " S: Set-Cookie: (17 bytes)\n",
		` C: GET / HTTP/1.1\r\nProxy-Authorization: (12 bytes)\r\nHost: a` + "\n", " S: X-Api-Key: (6 bytes)\n",
		" C: (inside TLS, 15 bytes)\n", " S: (inside TLS, 7 bytes)\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the trace is\n%s\nwithout %q", text, want)
		}
	}
}

// Errors quote what was said.
func TestErrorsAreMasked(t *testing.T) {
	cleartext := &connect.Error{Step: connect.Upgrade, Err: &negotiate.CleartextError{Text: []byte("sesame"), Upgraded: true}}
	answer := &connect.Error{Step: connect.Upgrade, Err: negotiate.Refused("sesame")}
	cut := &connect.Error{Step: connect.Transfer, Err: errors.New("cut")}
	for _, test := range []struct {
		manual, inside bool
		err            error
		want           string
	}{
		{false, false, answer, `upgrade: server refuses: "sesame"`},
		{false, true, answer, "upgrade: server refuses"},
		{true, false, cleartext, "upgrade: cleartext where TLS is due, 6 bytes"},
		{false, true, cut, "session: cut"},
		{false, true, &connect.Error{Step: connect.Upgrade, Err: errors.New("sesame")}, "upgrade: the rest of the upgrade, inside TLS"},
	} {
		tr, p := begin()
		tr.manual, tr.inside = test.manual, test.inside
		tr.Failure(test.err)
		if got := p.String(); !strings.HasSuffix(got, " -- failed: "+test.want+"\n") {
			t.Errorf("%q, wanted %q", got, test.want)
		}
	}
}

// Records that follow each other are one line, and a long session's lines are few.
func TestRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, p := begin()
		tr.shaken = true
		o := observer{tr}
		data := wire.Record{Type: wire.ApplicationData, Version: 0x303, Length: 100}
		for range 5 {
			o.Record(wire.Client, data)
			time.Sleep(time.Millisecond)
		}
		o.Record(wire.Server, wire.Record{Type: wire.ApplicationData, Version: 0x303, Length: alertBytes})
		o.Failed(wire.Server, io.EOF)
		const want = "     0.000 C> 5 times record application_data, TLS 1.2: 500 bytes, to 4.000\n" +
			"     5.000 S> record application_data, TLS 1.2: 19 bytes, the last as long as an alert\n" +
			"     5.000 S> end of the connection (FIN)\n"
		if p.String() != want {
			t.Errorf("the trace is\n%swanted\n%s", p, want)
		}

		p.Reset()
		for range 100_000 {
			o.Record(wire.Client, data)
			o.Record(wire.Server, data)
		}
		time.Sleep(2 * time.Second)
		o.Record(wire.Client, data)
		o.Closed()
		lines := strings.Split(p.String(), "\n")
		if len(lines) > many+5 {
			t.Errorf("%d lines", len(lines))
		}
		total := 0
		for _, line := range lines {
			for _, m := range regexp.MustCompile(`: (\d+) bytes`).FindAllStringSubmatch(line, -1) {
				n := 0
				fmt.Sscan(m[1], &n)
				total += n
			}
		}
		if total != 200_001*100 {
			t.Errorf("%d bytes", total)
		}
	})
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace")
	if err := os.WriteFile(path, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	tr, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	tr.Failure(&connect.Error{Target: "a:1", Step: connect.Dial, Err: errors.New("refused")})
	if err := tr.End(3); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`\A +\d+\.\d{3} -- failed: connect: refused\n +\d+\.\d{3} -- status 3\n\z`).Match(data) {
		t.Errorf("the trace is\n%s", data)
	}
	if info, err := os.Stat(path); runtime.GOOS != "windows" && (err != nil || info.Mode().Perm() != 0o600) {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
	if _, err := Create(t.TempDir()); err == nil {
		t.Error("a directory was written to")
	}
	var none *Trace
	none.Note("x")
	if conn := none.ByHand(nil); conn != nil || none.End(0) != nil {
		t.Error("a trace that is none does something")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }
func (full) Close() error              { return nil }

func TestFullDisk(t *testing.T) {
	tr := newTrace(full{})
	tr.Note("x")
	if err := tr.End(0); err == nil || err.Error() != "no space left" {
		t.Errorf("error is %v", err)
	}
}

// FuzzTap: whatever a server sends, the lines can be shown.
func FuzzTap(f *testing.F) {
	f.Add([]byte("\x16\x03\x03\x00\x07\x02\x00\x00\x03abc\x15\x03\x03\x00\x02\x02\x28"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr, p := begin()
		near, far := net.Pipe()
		go func() {
			far.Write(data)
			far.Close()
		}()
		var o connect.Options
		tr.Watch(&o)
		conn := o.Under(near)
		io.Copy(io.Discard, conn)
		conn.Close()
		for line := range strings.Lines(p.String()) {
			if !regexp.MustCompile(`\A +\d+\.\d{3} [-CS][->] [[:print:]]+\n\z`).MatchString(line) {
				t.Errorf("line %q", line)
			}
		}
	})
}
