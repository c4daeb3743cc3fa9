package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
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
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"tlsup/internal/testca"
)

func TestSessionFile(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server, roots := newServer(t)
		server.MaxVersion = version
		server.SetSessionTicketKeys([][32]byte{{1}})
		file := filepath.Join(t.TempDir(), "sessions")
		// Each is loaded anew, as in another run.
		try := func(s Settings, with Server) outcome {
			t.Helper()
			s.SessionFile = file
			if s.CAFiles == nil {
				s.CAFiles = []string{roots}
			}
			return handshake(t, server, load(t, s).For(with).Client(context.Background(), host, nil))
		}
		with := Server{Address: "mail.example.org:143", Protocol: "imap"}
		other := Settings{CAFiles: []string{}, NoRoots: true}
		for _, test := range []struct {
			what    string
			s       Settings
			with    Server
			resumed bool
		}{
			{"the first", Settings{}, with, false},
			{"the second", Settings{}, with, true},
			{"another port", Settings{}, Server{Address: "mail.example.org:993", Protocol: "imap"}, false},
			{"another protocol", Settings{}, Server{Address: "mail.example.org:143", Protocol: "smtp"}, false},
			{"another offer", Settings{ALPN: []string{"imap"}}, with, false},
			{"insecure", Settings{Insecure: true}, with, false},
			{"again", Settings{}, with, true},
		} {
			o := try(test.s, test.with)
			if o.clientErr != nil || o.client.DidResume != test.resumed {
				t.Errorf("%x, %s: resumed is %v, error %v", version, test.what, o.client.DidResume, o.clientErr)
			}
		}
		// a session is no way round the verification
		if o := try(other, with); o.clientErr == nil {
			t.Errorf("%x: a server is trusted for an old session", version)
		}
		if mode := must[fs.FileInfo](t)(os.Stat(file)).Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("the file's mode is %o", mode)
		}
		// tickets that the server does not know any more
		server.SetSessionTicketKeys([][32]byte{{2}})
		if o := try(Settings{}, with); o.clientErr != nil || o.client.DidResume {
			t.Errorf("%x, other keys: resumed is %v, error %v", version, o.client.DidResume, o.clientErr)
		}
		if o := try(Settings{}, with); !o.client.DidResume {
			t.Errorf("%x: the new session is not kept", version)
		}
	}
}

// A session is verified like a new one: what was pinned since is looked at.
func TestSessionOfAnother(t *testing.T) {
	server, roots := newServer(t)
	file := filepath.Join(t.TempDir(), "sessions")
	c := load(t, Settings{CAFiles: []string{roots}, SessionFile: file})
	if o := handshake(t, server, c.Client(context.Background(), host, nil)); o.clientErr != nil {
		t.Fatal(o.clientErr)
	}
	// the same key in the file, though the settings differ
	var store sessionStore
	if err := json.Unmarshal(must[[]byte](t)(os.ReadFile(file)), &store); err != nil {
		t.Fatal(err)
	}
	strict := load(t, Settings{CAFiles: []string{roots}, SessionFile: file, Pins: []string{"sha256//" + strings.Repeat("A", 43) + "="}})
	config := strict.Client(context.Background(), host, nil)
	key := config.ClientSessionCache.(*endingSessions).ClientSessionCache.(*sessionFile).key
	for _, saved := range store.Sessions {
		store.Sessions[key] = saved
	}
	os.WriteFile(file, must[[]byte](t)(json.Marshal(store)), 0o600)
	if o := handshake(t, server, config); o.clientErr == nil {
		t.Error("a resumed session is not verified")
	} else {
		checkText(t, o.clientErr.Error(), "does not match the pin")
	}
}

func TestSessionFileRefused(t *testing.T) {
	for _, test := range []struct {
		content string
		mode    fs.FileMode
		want    string
	}{
		{"", 0o600, ""},
		{"x", 0o600, "it holds something else than sessions"},
		{`{"format":2,"sessions":{}}`, 0o600, "it holds something else than sessions"},
		{"", 0o640, "its mode is 0640, so that others have the keys in it: chmod 600"},
	} {
		if test.mode != 0o600 && runtime.GOOS == "windows" {
			continue
		}
		file := write(t, "sessions", []byte(test.content))
		os.Chmod(file, test.mode)
		_, err := Load(Settings{SessionFile: file})
		if got := fmt.Sprint(err); got != "--session "+file+": "+test.want && test.want != "" || test.want == "" && err != nil {
			t.Errorf("%q, %o: error is %v, want %s", test.content, test.mode, err, test.want)
		}
	}
}

// The file does not grow for ever.
func TestSessionFileTidy(t *testing.T) {
	now := time.Now()
	store := &sessionStore{Sessions: map[string]savedSession{"old": {Saved: now.Add(-8 * 24 * time.Hour)}}}
	for i := range maxSessions + 5 {
		store.Sessions[fmt.Sprint(i)] = savedSession{Saved: now.Add(-time.Duration(i) * time.Minute)}
	}
	store.tidy()
	if _, ok := store.Sessions["0"]; len(store.Sessions) != maxSessions || !ok {
		t.Errorf("%d are left", len(store.Sessions))
	}
}

// pipedHandshake is a client's handshake on a net.Pipe, for synctest, and whether it resumed a session.
func pipedHandshake(server, client *tls.Config) (resumed bool, err error) {
	near, far := net.Pipe()
	near.SetDeadline(time.Now().Add(time.Second)) // for an alert, while the server writes too
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		s := tls.Server(far, server)
		if s.Handshake() == nil {
			s.Close()
		}
	}()
	c := tls.Client(near, client)
	if err = c.Handshake(); err == nil {
		_, err = io.Copy(io.Discard, c) // with the tickets of TLS 1.3
	}
	near.Close()
	<-done
	return c.ConnectionState().DidResume, err
}

// TestSessionEnd: a session is resumed no longer than the staple is good that it was made with, and than
// a day, however often it is resumed meanwhile.
func TestSessionEnd(t *testing.T) {
	type try struct {
		at      time.Duration
		staple  time.Duration // how long it is good for, from the start; 0: none
		resumed bool
		err     error
	}
	const h = time.Hour
	stapled := []try{
		{0, h, false, nil}, {h / 2, h, true, nil}, {h - time.Minute, 3 * h, true, nil},
		{h, 3 * h, false, nil}, {2 * h, 3 * h, true, nil},
	}
	for _, test := range []struct {
		name  string
		tries []try
		must  bool // must-staple
		s     Settings
	}{
		{"must-staple", append(stapled, try{3 * h, 3*h - time.Minute, false, ErrNoStaple}), true, Settings{}},
		{"must-staple without", append(stapled, try{3 * h, 0, false, ErrNoStaple}), true, Settings{}},
		{"staple", append(stapled, try{3 * h, 0, false, nil}), false, Settings{}},
		{"no staple", []try{{0, 0, false, nil}, {10 * h, 0, true, nil}, {20 * h, 0, true, nil}, {24 * h, 0, false, nil}, {25 * h, 0, true, nil}}, false, Settings{Insecure: true}},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, kept := range []string{"file", "memory"} {
				t.Run(fmt.Sprintf("%s, %x, in a %s", test.name, version, kept), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						began := time.Now()
						ca := must[*testca.CA](t)(testca.New("Root"))
						cert := must[tls.Certificate](t)(ca.Issue([]string{host}, func(c *x509.Certificate) {
							if c.NotAfter = began.Add(48 * h); test.must {
								mustStaple(c)
							}
						}))
						s, with := test.s, Server{Address: "x:1", Protocol: "imap"}
						s.CAFiles = []string{write(t, "root.pem", ca.PEM())}
						if kept == "file" {
							s.SessionFile = filepath.Join(t.TempDir(), "sessions")
						} else {
							with.Sessions = tls.NewLRUClientSessionCache(1)
						}
						c := load(t, s).For(with)
						server := &tls.Config{MaxVersion: version}
						server.SetSessionTicketKeys([][32]byte{{1}})
						for _, try := range test.tries {
							time.Sleep(try.at - time.Since(began))
							if cert.OCSPStaple = nil; try.staple != 0 {
								cert.OCSPStaple = respond(t, ca, x509.ExtKeyUsageOCSPSigning, cert.Leaf,
									ocsp.Response{Status: ocsp.Good, ThisUpdate: began, NextUpdate: began.Add(try.staple)})
							}
							server.Certificates = []tls.Certificate{cert}
							resumed, err := pipedHandshake(server, c.Client(context.Background(), host, nil))
							if resumed != try.resumed || !errors.Is(err, try.err) {
								t.Errorf("after %v: resumed is %v, want %v, error %v", try.at, resumed, try.resumed, err)
							}
						}
					})
				})
			}
		}
	}
}
