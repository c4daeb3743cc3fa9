package trust

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
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
			return handshake(t, server, load(t, s).For(with).Client(host, nil))
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
	if o := handshake(t, server, c.Client(host, nil)); o.clientErr != nil {
		t.Fatal(o.clientErr)
	}
	// the same key in the file, though the settings differ
	var store sessionStore
	if err := json.Unmarshal(must[[]byte](t)(os.ReadFile(file)), &store); err != nil {
		t.Fatal(err)
	}
	strict := load(t, Settings{CAFiles: []string{roots}, SessionFile: file, Pins: []string{"sha256//" + strings.Repeat("A", 43) + "="}})
	config := strict.Client(host, nil)
	key := config.ClientSessionCache.(*sessionFile).key
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
