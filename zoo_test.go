package main

import (
	"crypto/tls"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tlsup/internal/connect"
	"tlsup/internal/jsontest"
	"tlsup/internal/report"
	"tlsup/internal/testserver"
	"tlsup/internal/zoo"
)

// A visit is a specimen that a server has, and how to speak to it.
type visit struct {
	*zoo.Specimen
	t      *testing.T
	status int
	args   []string
	server string
	schema *jsontest.Schema
}

// present starts a server that has a certificate of the zoo, and writes the authorities to trust to a file.
func present(t *testing.T, s *zoo.Specimen, protocol string) (server *testserver.Server, roots string) {
	t.Helper()
	cert, authorities := s.Build(t)
	server, err := testserver.Start(protocol, func(c *tls.Config) { c.Certificates = []tls.Certificate{cert} })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	roots = filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, authorities, 0o600); err != nil {
		t.Fatal(err)
	}
	return server, roots
}

// TestZoo shows each certificate of the zoo to the pipe and to check: what they end with, and what
// they say of it, and that --insecure says the same and goes on.
func TestZoo(t *testing.T) {
	schema := jsontest.Compile(t, report.Schema)
	for _, specimen := range zoo.Specimens {
		t.Run(specimen.Name, func(t *testing.T) {
			server, file := present(t, &specimen, "imap")
			v := &visit{Specimen: &specimen, t: t, status: connect.StatusNotTrusted, server: server.Addr.String(), schema: schema}
			switch {
			case specimen.Unread:
				v.status = connect.StatusHandshake
			case specimen.Words == nil:
				v.status = connect.StatusOK
			}
			v.args = []string{"--x509cafile", file, "--verify-hostname", specimen.Wanted(), "imap://" + v.server}
			v.pipe()
			v.check()
		})
	}
}

// run runs the program, and holds its status, and each line of what it says, to what can be shown.
func (v *visit) run(status int, args ...string) (stdout, stderr string) {
	v.t.Helper()
	stdout, stderr, got := inside(v.t, append(args, v.args...)...)
	if got != status {
		v.t.Errorf("tlsup %q ends with status %d, not %d: %s", args, got, status, stderr)
	}
	for line := range strings.Lines(stdout + stderr) {
		zoo.CheckText(v.t, strings.TrimRight(line, "\r\n"))
	}
	return stdout, stderr
}

func (v *visit) pipe() {
	v.t.Helper()
	stdout, stderr := v.run(v.status, "--half-close")
	step := "verify"
	switch {
	case v.status == connect.StatusOK:
		if stderr != "" {
			v.t.Errorf("trusted, but %s", stderr)
		}
		return
	case v.Unread:
		step = "handshake"
	}
	wrong, hint, _ := strings.Cut(stderr, "\ntlsup: hint: ")
	text, ok := strings.CutPrefix(wrong, "tlsup: "+v.server+": "+step+": ")
	if !ok || stdout != "" {
		v.t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
	zoo.CheckText(v.t, text, v.Words...)
	zoo.CheckText(v.t, strings.TrimSuffix(hint, "\n"), v.Hint...)

	_, stderr = v.run(v.lax(), "--half-close", "--insecure")
	if text, ok = strings.CutPrefix(stderr, "tlsup: "+v.server+": warning: "); ok == v.Unread {
		v.t.Errorf("--insecure says %q", stderr)
	}
	if ok {
		zoo.CheckText(v.t, strings.TrimSuffix(text, "\n"), v.Words...)
	}
}

// check holds the JSON of a report to the specimen, and to it the text of one with --insecure.
func (v *visit) check() {
	v.t.Helper()
	stdout, stderr := v.run(v.status, "check", "--json")
	v.schema.Lines(v.t, stdout, 1)
	var r report.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || r.Status != v.status || stderr != "" {
		v.t.Fatalf("%v; stderr %q; the report is\n%s", err, stderr, stdout)
	}
	v.reasons(&r)
	if v.status == connect.StatusOK {
		return
	}
	word := "NOT TRUSTED, let pass by --insecure"
	if v.Unread {
		word = "FAILED"
	}
	text, stderr := v.run(v.lax(), "check", "--insecure")
	v.text(&r, word, text, stderr)
}

// lax is the status with --insecure.
func (v *visit) lax() int {
	if v.Unread {
		return v.status
	}
	return connect.StatusOK
}

// reasons holds a report's reasons to the words.
func (v *visit) reasons(r *report.Report) {
	v.t.Helper()
	switch {
	case r.Error != nil:
		zoo.CheckText(v.t, r.Error.Reason, v.Words...)
		zoo.CheckText(v.t, *r.Error.Hint, v.Hint...)
		if v.Unread {
			return
		}
	case v.status == connect.StatusOK:
		if !r.Verification.Trusted || r.Verification.Reasons == nil || len(r.Verification.Reasons) > 0 {
			v.t.Errorf("%+v", r.Verification)
		}
		return
	}
	if r.Verification.Trusted || len(r.Verification.Reasons) == 0 {
		v.t.Fatalf("%+v", r.Verification)
	}
}

// clocks are what differs between two runs: minutes.
var clocks = regexp.MustCompile(`\d\d:\d\d UTC|\d+ (minute|hour)s?`)

// text asserts that a report for a person has the reasons that are in the JSON.
func (v *visit) text(r *report.Report, word, text, stderr string) {
	v.t.Helper()
	if !strings.HasPrefix(text, "imap://"+v.server+": "+word+"\n") {
		v.t.Errorf("the report is\n%s", text)
	}
	if v.Unread {
		zoo.CheckText(v.t, strings.ReplaceAll(stderr, "\n", " "), append(v.Words, v.Hint...)...)
		return
	}
	if stderr != "" {
		v.t.Errorf("beside the report is said %q", stderr)
	}
	text = clocks.ReplaceAllString(text, "?")
	for _, reason := range r.Verification.Reasons {
		says := clocks.ReplaceAllString(reason.Text, "?")
		i := strings.Index(text, " "+says+"\n")
		line := text[strings.LastIndex(text[:max(i, 0)], "\n")+1 : max(i, 0)]
		if !strings.HasPrefix(line, "problem      certificate ") && !strings.HasPrefix(line, "problem      trust anchor ") {
			v.t.Errorf("no problem %q in\n%s", says, text)
		}
		if reason.Hint != nil && !strings.Contains(text, "\n  hint       "+clocks.ReplaceAllString(*reason.Hint, "?")+"\n") {
			v.t.Errorf("no hint %q in\n%s", *reason.Hint, text)
		}
	}
}
