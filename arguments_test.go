package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"tlsup/negotiate"
)

func TestSortArguments(t *testing.T) {
	for _, c := range []struct {
		args    string // separated by blanks
		sorted  string
		command string // "none" for nil
	}{
		{"", "--", "none"},
		{"host", "-- host", "none"},
		{"host 25", "-- host 25", "none"},
		{"-v host 25", "-v -- host 25", "none"},
		{"host -v 25", "-v -- host 25", "none"},
		{"host 25 -v", "-v -- host 25", "none"},
		{"host --port 25 -v", "--port=25 -v -- host", "none"},
		{"host --port=25", "--port=25 -- host", "none"},
		{"host --port=", "--port= -- host", "none"},
		{"host -p 25", "-p=25 -- host", "none"},
		{"host -p25", "-p=25 -- host", "none"},
		{"host -p=25", "-p=25 -- host", "none"},
		{"host -p -v", "-p=-v -- host", "none"},
		{"host --port --verbose", "--port=--verbose -- host", "none"},
		{"-sv4p25 host", "-s -v -4 -p=25 -- host", "none"},
		{"-sv4p 25 host", "-s -v -4 -p=25 -- host", "none"},
		{"--x509cafile a --x509cafile b host", "--x509cafile=a --x509cafile=b -- host", "none"},
		{"-", "-- -", "none"},
		{"-- host 25", "-- host 25", "none"},
		{"-v -- host -v", "-v -- host -v", "none"},
		{"-v -- -v", "-v -- -v", "none"},
		{"-- host -v -- true -x", "-- host -v", "true -x"},
		{"-- -- true", "--", "true"},
		{"host -- true", "-- host", "true"},
		{"host -v -- sh -c -v", "-v -- host", "sh -c -v"},
		{"host -- true -- x", "-- host", "true -- x"},
		{"host 25 -- --", "-- host 25", "--"},
		{"explain", "explain --", "none"},
		{"explain smtp", "explain -- smtp", "none"},
		{"demo --help", "demo --help --", "none"},
		{"demo -h smtp", "demo -h -- smtp", "none"},
		{"host explain", "-- host explain", "none"},
		{"-- explain", "-- explain", "none"},
		{"tunnel 0 host", "tunnel -- 0 host", "none"},
		{"tunnel - host", "tunnel -- - host", "none"},
		{"tunnel 0 host -v -- true -v", "tunnel -v -- 0 host", "true -v"},
		{"tunnel -- 0 host -- true", "tunnel -- 0 host", "true"},
	} {
		sorted, command, err := sortArguments(new(program).app(nil), strings.Fields(c.args))
		got := strings.Join(command, " ")
		if command == nil {
			got = "none"
		}
		if err != nil || strings.Join(sorted, " ") != c.sorted || got != c.command {
			t.Errorf("%q: %q, command %q, %v; want %q, command %q", c.args, sorted, got, err, c.sorted, c.command)
		}
	}
}

// planOf returns what a command line asks for.
func planOf(args ...string) (*plan, error) {
	p := new(program)
	app := p.app(nil)
	var pl *plan
	app.Action = func(c *cli.Context) (err error) {
		pl, err = p.plan(c)
		return err
	}
	sorted, _, err := sortArguments(app, args)
	if err != nil {
		return nil, err
	}
	return pl, runSorted(context.Background(), app, sorted)
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		args     string
		protocol string
		address  string
	}{
		{"host", "tls", "host:443"},
		{"host:25", "tls", "host:25"},
		{"host 25", "tls", "host:25"},
		{"host --port 25", "tls", "host:25"},
		{"-p25 host", "tls", "host:25"},
		{"host smtp", "tls", "host:25"},
		{"host imaps", "tls", "host:993"},
		{"host:pop3", "tls", "host:110"},
		{"smtp://host", "smtp", "host:25"},
		{"SMTP://host/", "smtp", "host:25"},
		{"smtp://host:2525", "smtp", "host:2525"},
		{"smtp://host 2525", "smtp", "host:2525"},
		{"smtp://host -p submission", "smtp", "host:587"},
		{"submissions://host", "smtps", "host:465"},
		{"host --starttls-proto imap", "imap", "host:143"},
		{"host --starttls-proto=IMAP 1143", "imap", "host:1143"},
		{"-s host 25", "tls", "host:25"},
		{"--starttls-after x host 25", "tls", "host:25"},
		{"[::1]", "tls", "[::1]:443"},
		{"[::1]:25", "tls", "[::1]:25"},
		{"::1", "tls", "[::1]:443"},
		{"::1 25", "tls", "[::1]:25"},
		{"imap://::1", "imap", "[::1]:143"},
		{"imap://[::1]:1143", "imap", "[::1]:1143"},
		{"[fe80::1%lo]:25", "tls", "[fe80::1%lo]:25"},
		{"127.0.0.1:25", "tls", "127.0.0.1:25"},
		{"host. 25", "tls", "host.:25"},
		{"unix:/run/socket", "tls", "/run/socket"},
		{"smtp://unix:socket --starttls-name me", "smtp", "socket"},
		{"-- host 25", "tls", "host:25"},
	} {
		pl, err := planOf(strings.Fields(c.args)...)
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		if got := pl.target.Protocol; got != negotiate.Find(c.protocol) || pl.target.Address() != c.address {
			t.Errorf("%s: %s by %s, want %s by %s", c.args, pl.target.Address(), got.Name, c.address, c.protocol)
		}
	}
}

// FuzzArguments: no arguments make sorting panic; each operand and each word of the command
// comes through once and in order, and nothing that was an operand becomes an option.
func FuzzArguments(f *testing.F) {
	for _, seed := range []string{
		"host\n25", "-v\nhost", "host\n-p\n25\n--\nsh\n-c\nx", "--\n-v\n--\n-v", "-sv4p25\nhost", "--port=25", "-p\n--", "explain\nsmtp", "demo\n--help",
		"--x509cafile\na\n--x509cafile=b\nhost", "-\n--=\n---\n-=", "-vé\n\xff", "--port\n\nhost", "host\n--", "-q\n-1\nhost",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Split(text, "\n")
		given := slices.Clone(args)
		app := new(program).app(nil)
		sorted, command, err := sortArguments(app, args)
		if !slices.Equal(args, given) {
			t.Fatalf("%q was changed", given)
		}
		if err != nil {
			if !errors.As(err, new(usageError)) {
				t.Fatalf("%T, not a usageError", err)
			}
			return
		}
		at := slices.Index(sorted, "--")
		if at < 0 {
			t.Fatalf("%q: no -- in %q", args, sorted)
		}
		for i, option := range sorted[:at] {
			if !strings.HasPrefix(option, "-") && (i > 0 || app.Command(option) == nil) {
				t.Fatalf("%q: %q stands where options do", args, option)
			}
		}
		rest := args
		for _, word := range slices.Concat(sorted[at+1:], command) {
			i := slices.Index(rest, word)
			if i < 0 {
				t.Fatalf("%q: %q is not where it was, in %q and %q", args, word, sorted, command)
			}
			rest = rest[i+1:]
		}
		if command != nil && !slices.Equal(command, args[len(args)-len(command):]) {
			t.Fatalf("%q: the command is %q", args, command)
		}
	})
}
