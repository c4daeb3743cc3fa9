package trust

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"tlsup/internal/testca"
	"tlsup/internal/zoo"
)

// knowing are settings with a file of known hosts, for the server that tests speak to. answer is
// what a person says; "" for nobody to ask.
func knowing(t *testing.T, file, answer string) *Config {
	t.Helper()
	s := Settings{KnownHosts: file, NoRoots: true}
	if answer != "" {
		s.Ask = func(string) (bool, error) { return answer == "yes", nil }
	}
	return load(t, s).For(Server{Address: "Mail.example.org:143", Protocol: "imap"})
}

func TestTofu(t *testing.T) {
	server, _ := newServer(t)
	pin := Pin(server.Certificates[0].Leaf)
	file := filepath.Join(t.TempDir(), "state", "tlsup", "known_hosts")
	try := func(c *Config) error {
		return handshake(t, server, c.Client(context.Background(), host, nil)).clientErr
	}

	refused := func(err error, words ...string) *Error {
		t.Helper()
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("error is %v, want a refusal", err)
		}
		checkText(t, e.Error(), words...)
		checkText(t, e.Hint(), "!--insecure")
		return e
	}
	// nobody to ask, and an answer of no, keep nothing
	e := refused(try(knowing(t, file, "")), "certificate CN=mail.example.org is of a server that is not known: its key is "+pin)
	checkText(t, e.Hint(), "tlsup --tofu")
	refused(try(knowing(t, file, "no")), "; the answer was no")
	if _, err := os.Stat(filepath.Dir(file)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was kept: %v", err)
	}

	// yes is kept
	if err := try(knowing(t, file, "yes")); err != nil {
		t.Fatal(err)
	}
	want := "mail.example.org:143 imap " + pin + " " + zoo.Day(0) + " " + zoo.Day(0) + " CN=mail.example.org\n"
	if got := string(must[[]byte](t)(os.ReadFile(file))); got != want {
		t.Errorf("the file is\n%s, want\n%s", got, want)
	}
	if mode := must[fs.FileInfo](t)(os.Stat(file)).Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the file's mode is %o", mode)
	}

	// then nobody is asked, and the day is noted
	earlier := "# mine\nnonsense\n" + strings.Replace(want, zoo.Day(0)+" "+zoo.Day(0), "2020-01-02 2020-02-03", 1)
	os.WriteFile(file, []byte(earlier), 0o644)
	c := knowing(t, file, "")
	o := handshake(t, server, c.Client(context.Background(), host, nil))
	if o.clientErr != nil {
		t.Fatal(o.clientErr)
	}
	checkText(t, c.Describe(o.client, host), "; verified by the known hosts in "+file)
	if got, want := string(must[[]byte](t)(os.ReadFile(file))), strings.Replace(earlier, "2020-02-03", zoo.Day(0), 1); got != want {
		t.Errorf("the file is\n%s, want\n%s", got, want)
	}

	// another port or protocol is another server
	for _, other := range []Server{{Address: "mail.example.org:993", Protocol: "imap"}, {Address: "mail.example.org:143", Protocol: "smtp"}} {
		refused(try(knowing(t, file, "").For(other)), "not known")
	}

	// a change is shown, and not asked about
	changed, _ := newServer(t)
	before := must[[]byte](t)(os.ReadFile(file))
	c = knowing(t, file, "yes")
	e = refused(handshake(t, changed, c.Client(context.Background(), host, nil)).clientErr, "has another key than the server had before: known is "+pin)
	checkText(t, e.Hint(), "take line 3 out of "+file)
	detail := strings.Join(e.Detail(), "|")
	checkText(t, detail, "known", "now", pin[:20], Pin(changed.Certificates[0].Leaf)[:20], "seen 2020-01-02 to "+zoo.Day(0), "valid "+zoo.Day(0), "CN=mail.example.org")
	for _, line := range e.Detail() {
		if len("tlsup: "+line) > 80 {
			t.Errorf("%q does not fit a terminal", line)
		}
	}
	if got := must[[]byte](t)(os.ReadFile(file)); string(got) != string(before) {
		t.Errorf("the file was changed to\n%s", got)
	}
}

// A pin that does not match is no question.
func TestTofuAndPin(t *testing.T) {
	server, _ := newServer(t)
	other, _ := newServer(t)
	asked := false
	s := Settings{
		KnownHosts: filepath.Join(t.TempDir(), "known"), Pins: []string{Pin(other.Certificates[0].Leaf)},
		Ask: func(string) (bool, error) { asked = true; return true, nil },
	}
	c := load(t, s).For(Server{Address: "x:1", Protocol: "imap"})
	if err := handshake(t, server, c.Client(context.Background(), host, nil)).clientErr; err == nil || asked {
		t.Errorf("asked: %v, error %v", asked, err)
	}
}

// The question shows what there is to compare, and nothing that a terminal would obey.
func TestTofuQuestion(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Evil\x1b[2J\nRoot"))
	cert := must[tls.Certificate](t)(ca.Issue([]string{host}, nil))
	var question string
	s := Settings{KnownHosts: filepath.Join(t.TempDir(), "known"), NoRoots: true, Ask: func(q string) (bool, error) {
		question = q
		return false, errors.New("there is no terminal to ask on")
	}}
	c := load(t, s).For(Server{Address: "mail.example.org:143", Protocol: "imap"})
	err := handshake(t, &tls.Config{Certificates: []tls.Certificate{cert}}, c.Client(context.Background(), host, nil)).clientErr
	if err == nil {
		t.Fatal("accepted without an answer")
	}
	checkText(t, err.Error(), "; asking about it failed: there is no terminal to ask on")
	lines := strings.Split(question, "\n")
	checkText(t, strings.Join(lines, "|"), "mail.example.org:143 (imap) is not known yet.", Pin(cert.Leaf), certPin(cert.Leaf), "not trusted: certificate", "|Trust this key from now on?")
}

// Many at once lose nothing.
func TestKnownHostsLock(t *testing.T) {
	server, _ := newServer(t)
	k := &known{file: filepath.Join(t.TempDir(), "known")}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			s := Server{Address: "host" + strings.Repeat("x", i) + ":1", Protocol: "imap"}
			if err := k.note(s.seen(server.Certificates[0].Leaf)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := strings.Count(string(must[[]byte](t)(os.ReadFile(k.file))), "\n"); n != 20 {
		t.Errorf("%d lines were kept of 20", n)
	}
	left := must[[]string](t)(filepath.Glob(k.file + ".*"))
	if len(left) != 1 {
		t.Errorf("files are left behind: %v", left)
	}
}
