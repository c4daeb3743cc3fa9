package trust

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"
)

// sessionFile keeps TLS sessions for later runs. Whoever can read it can read the sessions that are
// resumed from it, and whoever can write it can be the server in them.
type sessionFile struct {
	path string
	key  string // of one server under one set of settings
	warn func(format string, args ...any)
}

const (
	maxSessions = 64             // that a file keeps
	sessionLife = 24 * time.Hour // from the handshake in which the server proved who it is (RFC 5246, F.1.4; RFC 8446, 4.6.1)
)

// endingSessions is a cache of sessions for one connection. They are resumed no longer than the stapled
// OCSP response is good that came with the server's certificate, and sessionLife. Both count from the
// handshake in which it came: one that resumes a session does not prolong it.
type endingSessions struct {
	tls.ClientSessionCache
	handling *handling
}

// endMark begins what a session has in its Extra on when it ends.
const endMark = "tlsup end "

// Get returns a session that has not ended.
func (e *endingSessions) Get(key string) (*tls.ClientSessionState, bool) {
	session, ok := e.ClientSessionCache.Get(key)
	if !ok {
		return nil, false
	}
	e.handling.resumable = sessionEnd(session)
	if !time.Now().Before(e.handling.resumable) {
		return nil, false
	}
	return session, true
}

// Put keeps a session, with its end.
func (e *endingSessions) Put(key string, session *tls.ClientSessionState) {
	if _, state, err := session.ResumptionState(); err == nil && state != nil {
		state.Extra = append(state.Extra, []byte(endMark+e.handling.until.UTC().Format(time.RFC3339)))
	}
	e.ClientSessionCache.Put(key, session)
}

// sessionEnd is when a session ends that Put kept; long ago for others.
func sessionEnd(session *tls.ClientSessionState) (end time.Time) {
	_, state, err := session.ResumptionState()
	if err != nil || state == nil {
		return end
	}
	for _, extra := range state.Extra {
		if text, ok := strings.CutPrefix(string(extra), endMark); ok {
			end, _ = time.Parse(time.RFC3339, text)
		}
	}
	return end
}

// sessionStore is what the file holds, as JSON.
type sessionStore struct {
	Format   int                     `json:"format"`
	Sessions map[string]savedSession `json:"sessions"`
}

type savedSession struct {
	Saved  time.Time `json:"saved"`
	Ticket []byte    `json:"ticket"`
	State  []byte    `json:"state"` // as crypto/tls encodes it
}

func (c *Config) loadSessions(s *Settings) error {
	if s.SessionFile == "" {
		return nil
	}
	c.sessions = s.SessionFile
	if err := checkSessionFile(s.SessionFile); err != nil {
		return fmt.Errorf("--session %s: %w", pathText(s.SessionFile), err)
	}
	return nil
}

// checkSessionFile reports whether a file can hold sessions, and is its owner's alone.
func checkSessionFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return withoutPath(err)
	case !info.Mode().IsRegular():
		return errors.New("this is no file")
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("its mode is %04o, so that others have the keys in it: chmod 600", info.Mode().Perm())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return withoutPath(err)
	}
	_, err = parseSessions(data)
	return err
}

func parseSessions(data []byte) (*sessionStore, error) {
	store := &sessionStore{Format: 1, Sessions: map[string]savedSession{}}
	if len(data) == 0 {
		return store, nil
	}
	if err := json.Unmarshal(data, store); err != nil || store.Format != 1 || store.Sessions == nil {
		return nil, errors.New("it holds something else than sessions")
	}
	return store, nil
}

// sessionCache returns the cache for sessions with these settings, which config was made of; nil for
// none.
func (c *Config) sessionCache(config *tls.Config) tls.ClientSessionCache {
	if c.sessions == "" || c.server.Sessions != nil {
		return c.server.Sessions
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %v %q ", c.server.Address, c.server.Protocol, config.ServerName, c.verifyName, c.insecure, config.NextProtos)
	fmt.Fprintf(h, "%d %d %d %d %v %v ", config.MinVersion, config.MaxVersion, config.CipherSuites, config.CurvePreferences, c.pins, c.known != nil)
	if offered, _ := c.OfferedECH(); offered {
		fmt.Fprint(h, "ECH ")
	}
	for _, a := range c.anchors {
		fmt.Fprintf(h, "%x ", sha256.Sum256(a.cert.Raw))
	}
	if c.shared.GetClientCertificate != nil {
		own, _ := c.shared.GetClientCertificate(nil)
		fmt.Fprintf(h, "own %x", sha256.Sum256(own.Certificate[0]))
	}
	return &sessionFile{path: c.sessions, key: hex.EncodeToString(h.Sum(nil)), warn: c.notice}
}

// Get returns the session that was kept last. One that cannot be used is as good as none.
func (f *sessionFile) Get(string) (*tls.ClientSessionState, bool) {
	if err := checkSessionFile(f.path); err != nil {
		f.warn("sessions can't be read from %s: %v", pathText(f.path), err)
		return nil, false
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, false
	}
	store, err := parseSessions(data)
	if err != nil {
		return nil, false
	}
	saved, ok := store.Sessions[f.key]
	if !ok {
		return nil, false
	}
	state, err := tls.ParseSessionState(saved.State)
	if err != nil {
		return nil, false
	}
	session, err := tls.NewResumptionState(saved.Ticket, state)
	return session, err == nil
}

// Put keeps a session, or forgets it: nil says that the server did not take it.
func (f *sessionFile) Put(_ string, session *tls.ClientSessionState) {
	if err := f.put(session); err != nil {
		f.warn("the session can't be kept in %s: %v", pathText(f.path), withoutPath(err))
	}
}

func (f *sessionFile) put(session *tls.ClientSessionState) error {
	var saved savedSession
	if session != nil {
		ticket, state, err := session.ResumptionState()
		if err != nil || ticket == nil {
			return err
		}
		encoded, err := state.Bytes()
		if err != nil {
			return err
		}
		saved = savedSession{time.Now().UTC().Truncate(time.Second), ticket, encoded}
	}
	return rewrite(f.path, func(old []byte) ([]byte, error) {
		store, err := parseSessions(old)
		if err != nil {
			return nil, err
		}
		delete(store.Sessions, f.key)
		if session != nil {
			store.Sessions[f.key] = saved
		}
		store.tidy()
		data, err := json.MarshalIndent(store, "", "\t")
		return append(data, '\n'), err
	})
}

// tidy drops the sessions that are too old, and the oldest if there are too many.
func (s *sessionStore) tidy() {
	for key, saved := range s.Sessions {
		if time.Since(saved.Saved) > sessionLife {
			delete(s.Sessions, key)
		}
	}
	for len(s.Sessions) > maxSessions {
		oldest := ""
		for key, saved := range s.Sessions {
			if oldest == "" || saved.Saved.Before(s.Sessions[oldest].Saved) {
				oldest = key
			}
		}
		delete(s.Sessions, oldest)
	}
}
