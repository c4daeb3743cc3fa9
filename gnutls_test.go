//go:build unix

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tlsup/internal/gnutls"
	"tlsup/internal/testca"
	"tlsup/internal/testserver"
	"tlsup/internal/zoo"
)

// These tests run the same sessions through gnutls-cli itself and through tlsup under its name,
// against the same servers, and compare what both say.

// programs are both, by what they are called in messages.
func gnutlsPrograms(t *testing.T) map[string]string {
	t.Helper()
	own, err := exec.LookPath(gnutls.Name)
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string]string{"tlsup": own}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, gnutls.Name)
		if _, err := os.Stat(path); err == nil && path != own {
			programs["gnutls-cli"] = path
			return programs
		}
	}
	if os.Getenv("CI") == "true" && runtime.GOOS == "linux" {
		t.Fatal("gnutls-cli is not installed")
	}
	t.Skip("gnutls-cli is not installed")
	return nil
}

// A gnutlsClient drives the program over pipes.
type gnutlsClient struct {
	t *testing.T
	*process
}

// sees waits for a match of the output, behind the last one.
func (c *gnutlsClient) sees(re string) { c.waits(c.out, re) }

// complains waits for a match of standard error.
func (c *gnutlsClient) complains(re string) { c.waits(c.err, re) }

func (c *gnutlsClient) waits(o *output, re string) {
	c.t.Helper()
	if err := o.expect(regexp.MustCompile("(?m)" + re)); err != nil {
		c.t.Fatalf("%v\n[stdout]\n%s\n[stderr]\n%s", err, c.out.text(), c.err.text())
	}
}

func (c *gnutlsClient) sends(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.stdin, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *gnutlsClient) ends() { c.stdin.Close() }

func (c *gnutlsClient) alarms() {
	c.t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGALRM); err != nil {
		c.t.Fatal(err)
	}
}

// alarmed sends SIGALRM where it means nothing any more.
func alarmed(c *gnutlsClient) {
	c.sees(`^- Simple Client Mode:\n\n`)
	c.alarms()
	c.sees(`^hello`)
	c.alarms()
	c.sends("hi\n")
	c.sees(`^you said hi`)
	c.ends()
	c.alarms()
	c.sees(`^bye`)
}

// said is what is compared: all that a program said, and how it ended.
type said struct {
	status   int
	out, err string
	files    map[string]string
}

// wait waits for the end.
func (c *gnutlsClient) wait() said {
	c.t.Helper()
	killer := time.AfterFunc(patience, func() { c.cmd.Process.Kill() })
	defer killer.Stop()
	<-c.out.ended
	<-c.err.ended
	c.cmd.Wait()
	status := c.cmd.ProcessState.ExitCode()
	if ws, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		status = 128 + int(ws.Signal())
	}
	return said{status: status, out: c.out.text(), err: c.err.text()}
}

// startGnutls starts a program in a directory with the files of scripts.
func startGnutls(t *testing.T, program string, args ...string) *gnutlsClient {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = t.TempDir()
	if err := writeScriptFiles(cmd.Dir); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "GORACE="+gorace)
	return &gnutlsClient{t: t, process: started(t, cmd)}
}

// started starts a program that ends with the test at the latest.
func started(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return p
}

// gnutlsMasks are the parts that may differ: what another library or another session agrees on.
var gnutlsMasks = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`(?m)^- Compression: NULL\n`), ""}, // for clients of older versions
	{regexp.MustCompile(`(?m)^\|<.*\n`), ""},
	{regexp.MustCompile(`(?m)^\S*/gnutls-cli: `), "gnutls-cli: "},
	{regexp.MustCompile(`Processed \d+ CA`), "Processed N CA"},
	{regexp.MustCompile(`(?m)^(- Description: \(TLS1\.\d-X\.509\)).*$`), "$1..."},
	{regexp.MustCompile(`(?m)^(- Session ID:).*$`), "$1..."},
	{regexp.MustCompile(`(?m)^(- Options:).*$`), "$1..."},
	{regexp.MustCompile(`(?m)^( - Using curve:| - Curve size:|- Server Signature:|- Cipher:| - 'tls-unique':| - 'tls-exporter':).*$`), "$1..."},
	{regexp.MustCompile(`(?m)^- Key material: [0-9a-f]{20}$`), "- Key material: ten bytes"},
}

func maskGnutls(text string) string {
	for _, m := range gnutlsMasks {
		text = m.re.ReplaceAllString(text, m.by)
	}
	return text
}

// gnutlsSessions are the sessions. ADDRESS and PORT in args are the server's.
var gnutlsSessions = []struct {
	name     string
	dialogue string
	changes  []string
	args     []string
	drive    func(*gnutlsClient) // nil: the input ends at once
	status   int
	differs  string // "err": standard error does; "out": that and the output
	files    []string
}{
	{name: "success", dialogue: `
		TLS
		S: hello
		C- hi\n
		S: you said hi
		end`,
		args:  []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"},
		drive: func(c *gnutlsClient) { c.sees(`^hello`); c.sends("hi\n"); c.sees(`^you said hi`); c.ends() }},
	{name: "success in TLS 1.2, with all that is said", changes: []string{"tls1.2"}, dialogue: `
		TLS
		C- hi\n
		S: hello
		end`,
		args:  []string{"-V", "--x509cafile=ca.pem", "localhost", "-p", "PORT"},
		drive: func(c *gnutlsClient) { c.sees(`Simple Client Mode:\n\n`); c.sends("hi\n"); c.sees(`hello`); c.ends() }},
	{name: "an address for a name", dialogue: "TLS\nend", args: []string{"127.0.0.1:PORT", "-p", "1", "--x509cafile", "ca.pem", "surplus"}},
	{name: "all of a certificate", dialogue: "TLS\nend", args: []string{"-Vp", "PORT", "localhost", "--x509cafile=ca.pem", "--alpn=a", "--alpn=b"}},
	{name: "certificates kept", dialogue: "TLS\nend", files: []string{"kept.pem"},
		args: []string{"--print-cert", "--save-cert=kept.pem", "localhost", "-p", "PORT", "--x509cafile=ca.pem", "--keymatexport=x", "--keymatexportsize=10"}},
	{name: "with a client's certificate", changes: []string{"client-cert"}, dialogue: "TLS\nend",
		args: []string{"--x509certfile=client.pem", "--x509keyfile=client.key", "localhost", "-p", "PORT", "--x509cafile=ca.pem"}},
	{name: "with a client's certificate in TLS 1.2", changes: []string{"client-cert", "tls1.2"}, dialogue: "TLS\nend",
		args: []string{"--x509certfile=client.pem", "--x509keyfile=client.key", "localhost", "-p", "PORT", "--x509cafile=ca.pem"}},
	{name: "expired", changes: []string{"expired"}, dialogue: "TLS fails", args: []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "unknown authority", changes: []string{"unknown-ca"}, dialogue: "TLS fails", args: []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "wrong name", changes: []string{"wrong-name"}, dialogue: "TLS fails", args: []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "expired, and a wrong name", changes: []string{"expired"}, dialogue: "TLS fails",
		args: []string{"--x509cafile=ca.pem", "--verify-hostname=x.example", "localhost", "-p", "PORT"}, status: 1},
	{name: "another name is right", changes: []string{"wrong-name"}, dialogue: "TLS\nend",
		args: []string{"--x509cafile=ca.pem", "--verify-hostname=other.example.net", "--sni-hostname=x", "localhost", "-p", "PORT"}},
	{name: "insecure", changes: []string{"unknown-ca"}, dialogue: "TLS\nend", args: []string{"--insecure", "localhost", "-p", "PORT"}},
	{name: "insecure, with authorities", changes: []string{"expired"}, dialogue: "TLS\nend", args: []string{"--insecure", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "no verification", changes: []string{"unknown-ca"}, dialogue: "TLS\nend", args: []string{"--no-ca-verification", "--disable-sni", "localhost", "-p", "PORT"}},
	{name: "an alert", changes: []string{"tls1.1"}, dialogue: "TLS fails",
		args: []string{"--x509cafile=ca.pem", "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3", "localhost", "-p", "PORT"}, status: 1},
	{name: "an old server", changes: []string{"tls1.1"}, dialogue: "TLS\nend", args: []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "no TLS", dialogue: "S: 220 hello\nC?\ncut", args: []string{"localhost", "-p", "PORT"}, status: 1},
	{name: "closed in the handshake", dialogue: "C?\ncut", args: []string{"localhost", "-p", "PORT"}, status: 1},
	{name: "the server closes", dialogue: "TLS\nS: bye", args: []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"},
		drive: func(c *gnutlsClient) { c.sees(`^bye`); c.sees(`^- Peer has closed`) }},
	{name: "the server cuts", dialogue: "TLS\nS: bye\ncut", args: []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"},
		drive: func(c *gnutlsClient) { c.sees(`^bye`) }, status: 1},
	{name: "the server cuts behind our end", dialogue: "TLS\nend\nS: bye\ncut", args: []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "a log file", dialogue: "TLS\nS: hello\nend", files: []string{"log"}, args: []string{"--logfile", "log", "--x509cafile=ca.pem", "localhost", "-p", "PORT"},
		drive: func(c *gnutlsClient) { c.sees(`^hello`); c.ends() }},
	{name: "manual, by the end of the input", dialogue: `
		S: 220 hello
		C: STARTTLS
		S: 220 go
		TLS
		S: inside
		end`,
		args:  []string{"-s", "--x509cafile=ca.pem", "localhost", "-p", "PORT"},
		drive: func(c *gnutlsClient) { c.sees(`^220 hello`); c.sends("STARTTLS\r\n"); c.sees(`^220 go`); c.ends() }},
	{name: "manual, by SIGALRM", dialogue: `
		S: 220 hello
		C: STARTTLS
		S: 220 go
		TLS
		C: EHLO me
		S: 250 inside
		end`,
		args: []string{"--starttls", "--x509cafile=ca.pem", "localhost", "--port", "PORT"},
		drive: func(c *gnutlsClient) {
			c.sees(`^220 hello`)
			c.sends("STARTTLS\r\n")
			c.sees(`^220 go`)
			c.alarms()
			c.sees(`^- Options:`)
			c.sends("EHLO me\r\n")
			c.sees(`^250 inside`)
			c.alarms()
			c.ends()
		}},
	{name: "manual, with all that is said", dialogue: `
		S: 220 hello
		C: STARTTLS
		S: 220 go
		TLS
		C: EHLO me
		S: 250 inside
		end`,
		args: []string{"-sV", "--x509cafile=ca.pem", "localhost", "--port", "PORT"},
		drive: func(c *gnutlsClient) {
			c.sees(`^- Received\[11\]: 220 hello`)
			c.sends("STARTTLS\r\n")
			c.sees(`220 go`)
			c.alarms()
			c.sees(`^- Options:`)
			c.sends("EHLO me\r\n")
			c.sees(`^- Received\[12\]: 250 inside`)
			c.ends()
		}},
	{name: "manual, STARTTLS is refused", dialogue: `
		S: 220 hello
		C: STARTTLS
		S: 454 no
		C?
		S: 500 what`,
		args:   []string{"-s", "--x509cafile=ca.pem", "localhost", "-p", "PORT"},
		drive:  func(c *gnutlsClient) { c.sees(`^220 hello`); c.sends("STARTTLS\r\n"); c.sees(`^454 no`); c.ends() },
		status: 1},
	{name: "manual, an expired certificate", changes: []string{"expired"}, dialogue: "S: 220 hello\nTLS fails",
		args:  []string{"-s", "--x509cafile=ca.pem", "localhost", "-p", "PORT"},
		drive: func(c *gnutlsClient) { c.sees(`^220 hello`); c.alarms() }, status: 1},
	{name: "manual, the server closes in the clear", dialogue: "S: 421 bye", args: []string{"-s", "localhost", "-p", "PORT"},
		drive: func(c *gnutlsClient) { c.sees(`^421 bye`); c.sees(`^- Peer has closed`) }},
	{name: "an upgrade", dialogue: `
		S: 220 hello
		C: EHLO localhost
		S: 250-hello
		S: 250 STARTTLS
		C: STARTTLS
		S: 220 go
		TLS
		end`,
		args: []string{"--starttls-proto", "smtp", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "SIGALRM in TLS, and behind the end of the input", dialogue: `
		TLS
		S: hello
		C- hi\n
		S: you said hi
		end
		S: bye`,
		args:  []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"},
		drive: alarmed},
	{name: "SIGALRM behind an upgrade", dialogue: `
		S: 220 hello
		C: EHLO localhost
		S: 250-hello
		S: 250 STARTTLS
		C: STARTTLS
		S: 220 go
		TLS
		S: hello
		C- hi\n
		S: you said hi
		end
		S: bye`,
		args:  []string{"--starttls-proto=smtp", "--x509cafile=ca.pem", "localhost", "-p", "PORT"},
		drive: alarmed},
	{name: "an upgrade, and an expired certificate", changes: []string{"expired"}, dialogue: `
		S: 220 hello
		C: EHLO localhost
		S: 250-hello
		S: 250 STARTTLS
		C: STARTTLS
		S: 220 go
		TLS fails`,
		args: []string{"--starttls-proto", "SUBMISSION", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "an upgrade is refused", dialogue: `
		S: 220 hello
		C: EHLO .*
		S: 250-hello
		S: 250 STARTTLS
		C: STARTTLS
		S: 454 no
		stall`,
		args: []string{"--app-proto=SMTP", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 2, differs: "err"},
	{name: "resumed", dialogue: "TLS\nS: hello\nend", args: []string{"-r", "--waitresumption", "--x509cafile=ca.pem", "localhost", "-p", "PORT"},
		drive: func(c *gnutlsClient) { c.sees(`^- Simple Client Mode:`); c.sees(`^hello`); c.ends() }},
	{name: "resumed by a command", dialogue: "TLS\nS: hello\nC- hi\\n\nS: you said hi\nend",
		args: []string{"--inline-commands", "--waitresumption", "--x509cafile=ca.pem", "localhost", "-p", "PORT"},
		drive: func(c *gnutlsClient) {
			c.sees(`^hello`)
			c.sends("hi\n")
			c.sees(`^you said hi`)
			c.sends("^resume^\n")
			c.sees(`^\*\*\* This is a resumed session\n`)
			c.sees(`^hello`)
			c.sends("hi\n")
			c.sees(`^you said hi`)
			c.ends()
		}},
	{name: "revoked, by a list", changes: []string{"revoked"}, dialogue: "TLS fails",
		args: []string{"--x509crlfile=crl.pem", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "revoked, by a list in DER", changes: []string{"revoked"}, dialogue: "TLS fails",
		args: []string{"--x509fmtder", "--x509crlfile=crl.der", "--x509cafile=ca.der", "localhost", "-p", "PORT"}, status: 1},
	{name: "revoked, by a list, and insecure", changes: []string{"revoked"}, dialogue: "TLS\nend",
		args: []string{"--insecure", "--x509crlfile=crl.pem", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "not on the list", dialogue: "TLS\nend", args: []string{"--x509crlfile=crl.pem", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "revoked, by a list that is not asked", changes: []string{"revoked"}, dialogue: "TLS\nend",
		args: []string{"--priority=NORMAL:%VERIFY_DISABLE_CRL_CHECKS", "--x509crlfile=crl.pem", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "revoked, says a staple that is not asked", changes: []string{"stapled", "revoked"}, dialogue: "TLS\nend",
		args: []string{"--priority=NORMAL:%VERIFY_DISABLE_CRL_CHECKS", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "good, says the responder", changes: []string{"responder"}, dialogue: "TLS\nend",
		args: []string{"--ocsp", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "revoked, says the responder", changes: []string{"responder", "revoked"}, dialogue: "TLS fails",
		args: []string{"--ocsp", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "revoked, says the responder, and insecure", changes: []string{"responder", "revoked"}, dialogue: "TLS\nend",
		args: []string{"--ocsp", "--insecure", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "the responder is not asked", changes: []string{"responder", "revoked"}, dialogue: "TLS\nend",
		args: []string{"--ocsp", "--no-ocsp", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "no responder", dialogue: "TLS fails", args: []string{"--ocsp", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "a responder, and an unknown authority", changes: []string{"responder", "unknown-ca"}, dialogue: "TLS fails",
		args: []string{"--ocsp", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "good, says the staple", changes: []string{"stapled"}, dialogue: "TLS\nend", args: []string{"--ocsp", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "revoked, says the staple", changes: []string{"stapled", "revoked"}, dialogue: "TLS fails",
		args: []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "a staple that is out of date", changes: []string{"stapled-old"}, dialogue: "TLS fails",
		args: []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "a staple for another certificate", changes: []string{"stapled-other"}, dialogue: "TLS fails",
		args: []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "an issuer is missing", changes: []string{"incomplete"}, dialogue: "TLS fails", args: []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "an issuer is missing, and fetched", changes: []string{"incomplete"}, dialogue: "TLS\nend",
		args: []string{"--ca-auto-retrieve", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "signed with SHA-1", changes: []string{"sha1"}, dialogue: "TLS fails", args: []string{"--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "signed with SHA-1, which is allowed", changes: []string{"sha1"}, dialogue: "TLS\nend",
		args: []string{"--verify-allow-broken", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "signed with SHA-1, and insecure", changes: []string{"sha1"}, dialogue: "TLS\nend",
		args: []string{"--insecure", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "signed with SHA-1, which is allowed, and a wrong name", changes: []string{"sha1", "wrong-name"}, dialogue: "TLS fails",
		args: []string{"--verify-allow-broken", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1},
	{name: "nobody listens", args: []string{"127.0.0.1", "-p", "1"}, status: 1},
	{name: "no such name", args: []string{"name.invalid", "-p", "1"}, status: 1},
	{name: "a service behind the host", args: []string{"-p", "1", "name.invalid:smtp"}, status: 1},
	{name: "fast open", dialogue: "TLS\nend", args: []string{"--fastopen", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}},
	{name: "what can't be saved", dialogue: "TLS fails", args: []string{"--save-cert=no/such/file", "--x509cafile=ca.pem", "localhost", "-p", "PORT"}, status: 1, differs: "err"},
	{name: "no host", status: 1},
	{name: "an option that there is not", args: []string{"--bogus", "localhost"}, status: 1, differs: "err"},
	{name: "a conflict", args: []string{"-s", "--starttls-proto=smtp", "localhost"}, status: 1},
	{name: "a value that is needed", args: []string{"localhost", "--port"}, status: 1, differs: "err"},
	{name: "one out of range", args: []string{"localhost", "--recordsize=4097"}, status: 1, differs: "err"},
	{name: "a log file that can't be", args: []string{"localhost", "--logfile=no/such/file"}, status: 1},
}

func TestGnutlsSessions(t *testing.T) {
	t.Parallel()
	programs := gnutlsPrograms(t)
	for _, test := range gnutlsSessions {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var server *player
			port := ""
			if test.dialogue != "" {
				var address string
				server, address = playing(t, test.dialogue, test.changes...)
				port = address[strings.LastIndex(address, ":")+1:]
			}
			saids := map[string]said{}
			for name, program := range programs {
				var args []string
				for _, arg := range test.args {
					args = append(args, strings.ReplaceAll(arg, "PORT", port))
				}
				c := startGnutls(t, program, args...)
				if test.drive != nil {
					test.drive(c)
				} else {
					c.ends()
				}
				s := c.wait()
				s.out, s.err = maskGnutls(s.out), maskGnutls(s.err)
				s.files = map[string]string{}
				for _, file := range test.files {
					text, err := os.ReadFile(filepath.Join(c.cmd.Dir, file))
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					s.files[file] = maskGnutls(string(text))
				}
				if s.status != test.status {
					t.Errorf("%s: status %d, want %d\n%s%s", name, s.status, test.status, s.out, s.err)
				}
				if server != nil {
					if err := server.wait(); err != nil {
						t.Errorf("%s: the server: %v", name, err)
					}
				}
				saids[name] = s
			}
			compareSaid(t, "standard output", saids["gnutls-cli"].out, saids["tlsup"].out)
			if test.differs == "" {
				compareSaid(t, "standard error", saids["gnutls-cli"].err, saids["tlsup"].err)
			} else if saids["tlsup"].err == "" {
				t.Error("nothing on standard error")
			}
			for _, file := range test.files {
				compareSaid(t, file, saids["gnutls-cli"].files[file], saids["tlsup"].files[file])
			}
		})
	}
}

func compareSaid(t *testing.T, what, theirs, ours string) {
	t.Helper()
	if theirs == ours {
		return
	}
	a, b := strings.Split(ours, "\n"), strings.Split(theirs, "\n")
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	t.Errorf("%s differs in line %d: %q, gnutls-cli's is %q\n%s\ngnutls-cli's\n%s", what, at+1, a[at:min(at+1, len(a))], b[at:min(at+1, len(b))], ours, theirs)
}

// TestGnutlsEarlyAlarm: before it is waited for, SIGALRM has its usual meaning.
func TestGnutlsEarlyAlarm(t *testing.T) {
	t.Parallel()
	_, address := playing(t, "C?\nstall")
	c := startGnutls(t, gnutls.Name, address)
	c.sees(`^Connecting to`)
	c.alarms()
	if s := c.wait(); s.status != 142 || s.err != "" {
		t.Errorf("status %d\n%s", s.status, s.err)
	}
}

// An oldClient is a program that drives gnutls-cli as Emacs does: it knows its words.
type oldClient struct {
	t     *testing.T
	out   *output
	write func(string)
	start func() // the order to start TLS
}

// session is a whole SMTP session.
func (c *oldClient) session(success string) {
	c.t.Helper()
	c.waits("- Simple Client Mode:\r*\n\r*\n")
	c.waits("220 .*\n")
	c.write("EHLO me\n")
	c.waits("250 STARTTLS\r*\n")
	c.write("STARTTLS\n")
	c.waits("220 go\r*\n")
	c.start()
	c.waits(success)
	c.write("EHLO me\n")
	c.waits("250 inside\r*\n")
	c.write("QUIT\n")
	c.waits("221 bye\r*\n")
	c.waits("- Peer has closed the GnuTLS connection\r*\n")
}

func (c *oldClient) waits(re string) {
	c.t.Helper()
	if err := c.out.expect(regexp.MustCompile("(?m)" + re)); err != nil {
		c.t.Fatalf("%v\n%q", err, c.out.text())
	}
}

const oldServer = `
	S: 220 hello
	C- EHLO me\n
	S: 250 STARTTLS
	C- STARTTLS\n
	S: 220 go
	TLS
	C- EHLO me\n
	S: 250 inside
	C- QUIT\n
	S: 221 bye`

// TestGnutlsTerminal: on a terminal, too, both say the same. Whole lines are waited for, or what is
// typed would be echoed into them.
func TestGnutlsTerminal(t *testing.T) {
	t.Parallel()
	const upgrade = "S: 220 hello\nC- STARTTLS\\n\nS: 220 go\n"
	start := func(s *screen) {
		s.sees("220 hello\r\r\n")
		s.types("STARTTLS\n")
		s.sees("220 go\r\r\n")
		s.types(ctrlD)
	}
	for _, test := range []struct {
		name     string
		dialogue string
		changes  []string
		args     []string
		drive    func(*screen)
		status   int
	}{
		{"success", upgrade + "TLS\nC- hi\\n\nS: you said hi\nend", nil, []string{"-s"}, func(s *screen) {
			start(s)
			s.sees("- Options:\r\n")
			s.types("hi\n")
			s.sees("you said hi\r\r\n")
			s.types(ctrlD)
		}, 0},
		{"TLS from the first byte", "TLS\nC- hi\\n\nS: you said hi\nend", nil, nil, func(s *screen) {
			s.sees("- Simple Client Mode:\r\n\r\n")
			s.types("hi\n")
			s.sees("you said hi\r\r\n")
			s.types(ctrlD)
		}, 0},
		{"an expired certificate", upgrade + "TLS fails", []string{"expired"}, []string{"-s"}, start, 1},
		{"a refusal", "S: 220 hello\nC- STARTTLS\\n\nS: 454 no\nC?\nS: 500 what", nil, []string{"-s"}, func(s *screen) {
			s.sees("220 hello\r\r\n")
			s.types("STARTTLS\n")
			s.sees("454 no\r\r\n")
			s.types(ctrlD)
		}, 1},
		{"the server closes", upgrade + "TLS\nS: bye", nil, []string{"-s"}, start, 0},
		{"the server closes in the clear", "S: 421 bye", nil, []string{"-s"}, func(s *screen) { s.sees("421 bye") }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, address := playing(t, test.dialogue, test.changes...)
			shown := map[string]string{}
			for name, program := range gnutlsPrograms(t) {
				args := append([]string{ca, "localhost", "-p", address[strings.LastIndex(address, ":")+1:]}, test.args...)
				s := onTerminal(t, nil, program, args...)
				test.drive(s)
				s.ends(test.status)
				server.heard(t)
				shown[name] = maskGnutls(strings.ReplaceAll(s.text(), "\r\n", "\n"))
			}
			compareSaid(t, "the screen", shown["gnutls-cli"], shown["tlsup"])
		})
	}
}

// TestGnutlsDriven: a client that drives gnutls-cli works with both, over pipes and on a
// terminal.
func TestGnutlsDriven(t *testing.T) {
	t.Parallel()
	const success = `^- Options:.*\n`
	for name, program := range gnutlsPrograms(t) {
		server, address := playing(t, oldServer)
		args := []string{"--starttls", "--x509cafile", "ca.pem", "127.0.0.1", "-p", address[strings.LastIndex(address, ":")+1:]}
		t.Run(name+" over pipes", func(t *testing.T) {
			c := startGnutls(t, program, args...)
			(&oldClient{t, c.out, c.sends, c.alarms}).session(success)
			if s := c.wait(); s.status != 0 {
				t.Errorf("status %d", s.status)
			}
			server.heard(t)
		})
		t.Run(name+" on a terminal", func(t *testing.T) {
			s := onTerminal(t, nil, program, args...)
			(&oldClient{t, s.output, s.types, func() { s.types(ctrlD) }}).session(success)
			s.ends(0)
			server.heard(t)
		})
		t.Run(name+" on a terminal, by SIGALRM", func(t *testing.T) {
			s := onTerminal(t, nil, program, args...)
			alarm := func() { s.cmd.Process.Signal(syscall.SIGALRM) }
			(&oldClient{t, s.output, s.types, alarm}).session(success)
			s.ends(0)
			server.heard(t)
		})
	}
	t.Run("a client of older versions", func(t *testing.T) {
		server, address := playing(t, oldServer)
		c := startGnutls(t, gnutls.Name, "-s", "--x509cafile=ca.pem", address)
		(&oldClient{t, c.out, c.sends, c.alarms}).session(`^- Compression: NULL\n- Options:.*\n`)
		c.wait()
		server.heard(t)
	})
}

// TestGnutlsFailureIsSeen: a client that waits for either word sees the second one.
func TestGnutlsFailureIsSeen(t *testing.T) {
	t.Parallel()
	for name, program := range gnutlsPrograms(t) {
		t.Run(name, func(t *testing.T) {
			_, address := playing(t, "S: 220 hello\nTLS fails", "unknown-ca")
			c := startGnutls(t, program, "-s", "--x509cafile=ca.pem", "localhost", "-p", address[strings.LastIndex(address, ":")+1:])
			c.sees(`^220 hello`)
			c.alarms()
			c.complains(`^\*\*\* Starting TLS handshake\n`)
			c.complains(`^\*\*\* Handshake has failed\n`)
			if s := c.wait(); s.status != 1 {
				t.Errorf("status %d", s.status)
			}
		})
	}
}

// TestGnutlsFaults: what gnutls-cli does wrong is not done here.
func TestGnutlsFaults(t *testing.T) {
	t.Parallel()
	t.Run("CRLF", func(t *testing.T) {
		t.Parallel()
		server, address := playing(t, "C: EHLO a\nC: NOOP\nC: STARTTLS\nS: bye")
		c := startGnutls(t, gnutls.Name, "-s", "--crlf", address)
		c.sends("EHLO a\nNOOP\r\nSTARTTLS\n")
		c.sees(`^bye`)
		c.wait()
		server.heard(t)
	})
	t.Run("a refusal", func(t *testing.T) {
		t.Parallel()
		_, address := playing(t, "S: 220 hello\nC: EHLO .*\nS: 250 hello\nstall")
		began := time.Now()
		c := startGnutls(t, gnutls.Name, "--starttls-proto=smtp", address)
		c.complains(`does not offer STARTTLS`)
		if s := c.wait(); s.status != 2 || time.Since(began) > gnutlsUpgrade {
			t.Errorf("status %d", s.status)
		}
	})
}

// A halfPipe is one end of a connection in memory, as a session.
type halfPipe struct{ net.Conn }

func (halfPipe) CloseWrite() error { return nil }

// TestGnutlsLateAnswer: behind the end of the input an answer that comes late is not lost, and a
// server that stays silent is not waited for without end.
func TestGnutlsLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		defer client.Close()
		line, err := gnutls.Parse(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := &gnutlsConn{Conn: halfPipe{client}, run: &gnutlsRun{line: line}}
		c.CloseWrite()
		go func() {
			for range 2 {
				time.Sleep(gnutlsSilence - time.Second)
				io.WriteString(server, "late")
			}
		}()
		b := make([]byte, 10)
		for range 2 {
			if n, err := c.Read(b); string(b[:n]) != "late" {
				t.Fatalf("read %q, %v", b[:n], err)
			}
		}
		began := time.Now()
		if n, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != gnutlsSilence {
			t.Errorf("read %q, %v after %v", b[:n], err, time.Since(began))
		}
		if c.run.peerDone.Load() {
			t.Error("the peer has not ended")
		}
	})
}

// TestGnutlsRefuses: what can't be done ends with status 2, and names the option or the word.
func TestGnutlsRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, want string }{
		{"--rawpkfile=x", "gnutls-cli: option --rawpkfile is not supported: "},
		{"--udp", "gnutls-cli: option --udp is not supported: crypto/tls has no DTLS\n"},
		{"-e", "gnutls-cli: option --rehandshake is not supported: "},
		{"--dane --no-local-dns", "gnutls-cli: option --no-local-dns is not supported with --dane: "},
		{"--priority=SECURE256", "gnutls-cli: --priority: SECURE256 can't be done here: "},
		{"--priority=NORMAL:+PSK", "gnutls-cli: --priority: +PSK can't be done here: "},
	} {
		c := startGnutls(t, "tlsup", append([]string{"--as", gnutls.Name, "localhost"}, strings.Fields(test.args)...)...)
		s := c.wait()
		if s.status != 2 || s.out != "" || !strings.HasPrefix(s.err, test.want) {
			t.Errorf("%s: status %d\n%s%s", test.args, s.status, s.out, s.err)
		}
	}
}

// TestGnutlsTime: certificates are judged for the time that is asked for.
func TestGnutlsTime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, at, status string
		code             int
		changes          []string
	}{
		{"in force now", "now", `- Status: The certificate is trusted\. $`, 0, nil},
		{"in force then", "+12 hours", `- Status: The certificate is trusted\. $`, 0, []string{"not-yet"}},
		{"not in force then", "+2 hours", `- Status: .* uses not yet valid certificate\. $`, 1, []string{"not-yet"}},
		{"expired then", "+2 days", `- Status: .* uses expired certificate\. $`, 1, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dialogue := map[int]string{0: "TLS\nend", 1: "TLS fails"}[test.code]
			server, address := playing(t, dialogue, test.changes...)
			c := startGnutls(t, gnutls.Name, ca, "--attime", test.at, address)
			c.ends()
			c.sees(test.status)
			if s := c.wait(); s.status != test.code {
				t.Errorf("status %d\n%s%s", s.status, s.out, s.err)
			}
			server.heard(t)
		})
	}
}

// TestGnutlsValues: values that mean nothing end with status 1.
func TestGnutlsValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ arg, want string }{
		{"--recordsize=511", "Cannot set the maximum record size to 511.\nPossible values: 512 to 4096, and 0 for none.\n"},
		{"--port=", "gnutls-cli: option --port is empty: it takes a number, or the name of a service\n"},
		{"--attime=soon", "attime option value soon is not a valid time\n"},
		{"--inline-commands-prefix=xx", "inline-commands-prefix value is a single US-ASCII character (octets 0 - 127)\n"},
		{"--inline-commands-prefix=\u00e9", "inline-commands-prefix value is a single US-ASCII character (octets 0 - 127)\n"},
		{"--x509crlfile=nonesuch", "gnutls-cli: x509crlfile option: file \"nonesuch\" does not exist\n"},
		{"--x509crlfile=client.key", "gnutls-cli: --x509crlfile client.key: it holds no list of revoked certificates: its PEM blocks are \"PRIVATE KEY\"\n"},
	} {
		c := startGnutls(t, gnutls.Name, "localhost", test.arg)
		if s := c.wait(); s.status != 1 || s.out != "" || s.err != test.want {
			t.Errorf("%s: status %d\n%s%s", test.arg, s.status, s.out, s.err)
		}
	}
}

// TestGnutlsCommands: what can't be done is said, and the session goes on.
func TestGnutlsCommands(t *testing.T) {
	t.Parallel()
	t.Run("in TLS", func(t *testing.T) {
		t.Parallel()
		server, address := playing(t, "TLS\nC- one\\ntwo\\n@resu\nend")
		c := startGnutls(t, gnutls.Name, "--inline-commands", "--inline-commands-prefix=@", ca, address)
		c.sends("one\n@renegotiate@\n@rekey@\r\n@rekey1@\ntwo\n@resu")
		c.ends()
		if s := c.wait(); s.status != 0 || strings.Count(s.err, "has failed: crypto/tls begins no") != 3 {
			t.Errorf("status %d\n%s%s", s.status, s.out, s.err)
		}
		server.heard(t)
	})
	t.Run("by hand", func(t *testing.T) {
		t.Parallel()
		server, address := playing(t, "C- STARTTLS\\n\nS: go\nTLS\nC- inside\\n\nend")
		c := startGnutls(t, gnutls.Name, "-s", "--inline-commands", ca, address)
		c.sends("^resume^\nSTARTTLS\n")
		c.sees(`^go`)
		c.alarms()
		c.sees(`^- Options:`)
		c.sends("^resume^\ninside\n")
		c.ends()
		if s := c.wait(); s.status != 0 || strings.Count(s.err, "*** Resuming has failed: ") != 2 {
			t.Errorf("status %d\n%s%s", s.status, s.out, s.err)
		}
		server.heard(t)
	})
	t.Run("a server that has gone", func(t *testing.T) {
		t.Parallel()
		server, address := playing(t, "TLS\nC- hi\\n\nS: hello\nend")
		c := startGnutls(t, gnutls.Name, "--inline-commands", ca, address)
		c.sends("hi\n")
		c.sees(`^hello`)
		server.listener.Close()
		c.sends("^resume^\n")
		c.complains(`^Could not connect to .*: Connection refused$`)
		if s := c.wait(); s.status != 1 {
			t.Errorf("status %d\n%s%s", s.status, s.out, s.err)
		}
	})
}

// TestGnutlsTofu: a server that no authority vouches for is trusted by its key, once a person on the
// terminal has said so.
func TestGnutlsTofu(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	inState := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+state) }
	server, address := playing(t, "TLS\nS: bye", "unknown-ca")
	failing, failed := playing(t, "TLS fails", "unknown-ca")

	s := onTerminal(t, inState, gnutls.Name, "--strict-tofu", ca, failed)
	s.sees("has never been contacted before.")
	s.sees("*** Fatal error: Error in the certificate.")
	s.ends(1)
	failing.heard(t)

	s = onTerminal(t, inState, gnutls.Name, "--tofu", ca, failed)
	s.sees("Are you sure you want to trust it? (y/N): ")
	s.types("n\r")
	s.ends(1)
	failing.heard(t)

	s = onTerminal(t, inState, gnutls.Name, "--tofu", ca, address)
	s.sees("Are you sure you want to trust it? (y/N): ")
	s.types("y\r")
	s.sees("- Handshake was completed")
	s.ends(0)
	server.heard(t)

	s = onTerminal(t, inState, gnutls.Name, "--strict-tofu", ca, address)
	s.sees("The certificate is NOT trusted. The certificate issuer is unknown. ")
	s.sees("- Handshake was completed")
	s.ends(0)
	server.heard(t)
}

// TestGnutlsQuestion: both ask the same, behind what there is to know of the certificate.
func TestGnutlsQuestion(t *testing.T) {
	t.Parallel()
	service := regexp.MustCompile(`(?m)^Warning: getservbyport\(\d+\) failed.*\n`)
	for _, test := range []struct {
		name, dialogue string
		args, changes  []string
		answer         string
		status         int
	}{
		{"yes", "TLS\nS: bye", []string{"--tofu"}, []string{"unknown-ca"}, "y\r", 0},
		{"yes in TLS 1.2", "TLS\nS: bye", []string{"--tofu"}, []string{"unknown-ca", "tls1.2"}, "y\r", 0},
		{"no", "TLS fails", []string{"--tofu"}, []string{"unknown-ca"}, "n\r", 1},
		{"no, of one that is trusted", "TLS fails", []string{"--tofu"}, nil, "n\r", 1},
		{"it is not asked", "TLS fails", []string{"--strict-tofu"}, []string{"unknown-ca"}, "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, address := playing(t, test.dialogue, test.changes...)
			shown := map[string]string{}
			for name, program := range gnutlsPrograms(t) {
				home := t.TempDir()
				atHome := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "HOME="+home, "XDG_STATE_HOME=") }
				args := append([]string{ca, "localhost", "-p", address[strings.LastIndex(address, ":")+1:]}, test.args...)
				s := onTerminal(t, atHome, program, args...)
				if test.answer != "" {
					s.sees("Are you sure you want to trust it? (y/N): ")
					s.types(test.answer)
				}
				s.ends(test.status)
				server.heard(t)
				shown[name] = service.ReplaceAllString(maskGnutls(strings.ReplaceAll(s.text(), "\r\n", "\n")), "")
			}
			compareSaid(t, "the screen", shown["gnutls-cli"], shown["tlsup"])
		})
	}
	t.Run("nobody is there", func(t *testing.T) {
		t.Parallel()
		server, address := playing(t, "TLS fails", "wrong-name")
		cmd := exec.Command(gnutls.Name, "--tofu", address)
		cmd.Env = append(os.Environ(), "GORACE="+gorace, "HOME="+t.TempDir(), "XDG_STATE_HOME=")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // without a terminal
		out, _ := cmd.CombinedOutput()
		_, behind, _ := strings.Cut(string(out), "has never been contacted before.\n")
		const want = "--tofu: the question can't be asked: there is no terminal to ask on\n*** Fatal error: Error in the certificate.\n"
		if behind != want || cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("status %d\n%s", cmd.ProcessState.ExitCode(), out)
		}
		server.heard(t)
	})
}

// TestGnutlsKnown: what was answered to gnutls-cli is known here.
func TestGnutlsKnown(t *testing.T) {
	t.Parallel()
	programs := gnutlsPrograms(t)
	home := t.TempDir()
	atHome := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "HOME="+home, "XDG_STATE_HOME=") }
	server, address := playing(t, "TLS\nS: bye", "unknown-ca")
	args := []string{"--strict-tofu", ca, "localhost", "-p", address[strings.LastIndex(address, ":")+1:]}

	s := onTerminal(t, atHome, programs["gnutls-cli"], append([]string{"--tofu"}, args[1:]...)...)
	s.sees("Are you sure you want to trust it? (y/N): ")
	s.types("y\n")
	s.ends(0)
	server.heard(t)

	s = onTerminal(t, atHome, programs["tlsup"], args...)
	s.sees("- Handshake was completed")
	s.ends(0)
	server.heard(t)
}

// TestGnutlsFiles: DER is read, and what is to be saved is saved.
func TestGnutlsFiles(t *testing.T) {
	t.Parallel()
	server, address := playing(t, "TLS\nC- hi\nend")
	c := startGnutls(t, gnutls.Name, "--save-client-trace=client", "--save-server-trace=server", "--sslkeylogfile=keys", "--x509cafile=ca.pem", "--recordsize=512", address)
	c.sends("hi")
	c.ends()
	if s := c.wait(); s.status != 0 {
		t.Fatalf("status %d\n%s%s", s.status, s.out, s.err)
	}
	server.heard(t)
	for file, begins := range map[string]string{"client": "\x16\x03\x01", "server": "\x16\x03\x03", "keys": "CLIENT_HANDSHAKE_TRAFFIC_SECRET "} {
		text, err := os.ReadFile(filepath.Join(c.cmd.Dir, file))
		if err != nil || !strings.HasPrefix(string(text), begins) {
			t.Errorf("%s: %.40q, %v", file, text, err)
		}
	}
}

// TestGnutlsName: both ways to ask for it.
func TestGnutlsName(t *testing.T) {
	for _, test := range []struct {
		args []string
		rest string
		ok   bool
	}{
		{[]string{"/usr/bin/gnutls-cli", "-s", "x"}, "-s x", true},
		{[]string{"gnutls-cli.exe", "x"}, "x", true},
		{[]string{"GNUTLS-CLI", "x"}, "", false},
		{[]string{"tlsup", "--as", "gnutls-cli", "--as", "x"}, "--as x", true},
		{[]string{"tlsup", "--as=gnutls-cli"}, "", true},
		{[]string{"tlsup", "x", "--as", "gnutls-cli"}, "", false},
		{[]string{"tlsup", "--as"}, "", false},
		{[]string{"tlsup"}, "", false},
		{nil, "", false},
	} {
		rest, ok := asGnutls(test.args)
		if ok != test.ok || strings.Join(rest, " ") != test.rest {
			t.Errorf("%q: %q, %v", test.args, rest, ok)
		}
	}
}

// TestGnutlsWindowsName: in Windows the case of letters means nothing.
func TestGnutlsWindowsName(t *testing.T) {
	for program, windows := range map[string]bool{"GNUTLS-CLI.EXE": true, "Gnutls-Cli": true, "gnutls-cli.exe": false, "gnutls-cli": true} {
		if !isGnutls(program, windows) {
			t.Errorf("%s is not taken for it", program)
		}
	}
	if isGnutls("GNUTLS-CLI.EXE", false) {
		t.Error("elsewhere it means something")
	}
}

// TestGnutlsProtocols: both upgrade with each protocol that gnutls-cli has, and both take the same port
// if none is named.
func TestGnutlsProtocols(t *testing.T) {
	t.Parallel()
	if _, err := scriptFiles(); err != nil { // they have the servers' authority
		t.Fatal(err)
	}
	for name, kind := range map[string]string{
		"imap": "imap", "imap2": "imap", "pop3": "pop3", "ldap": "ldap", "postgres": "postgres", "postgresql": "postgres", "xmpp": "xmpp",
		"sieve": "sieve", "nntp": "nntp", "ftp": "ftp", "ftps": "ftp", "smtp": "smtp", "submission": "submission", "lmtp": "lmtp", "https": "imaps",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := testserver.Start(kind, func(c *tls.Config) {
				if err := change(c, nil); err != nil {
					t.Error(err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			args := []string{"--starttls-proto", name, ca, "localhost", "-p", strconv.Itoa(server.Addr.Port)}
			programs := gnutlsPrograms(t)
			switch name {
			case "xmpp": // its server has another name, which gnutls-cli 3.7 can't send
				args = append(args, "--starttls-name="+testserver.Host)
				delete(programs, "gnutls-cli")
			case "nntp": // it allows no posting, which gnutls-cli waits for
				delete(programs, "gnutls-cli")
			}
			outs, ports := map[string]string{}, map[string]string{}
			for program, path := range programs {
				c := startGnutls(t, path, args...)
				c.ends()
				s := c.wait()
				if s.status != 0 || s.err != "" {
					t.Errorf("%s: status %d\n%s%s", program, s.status, s.out, s.err)
				}
				outs[program], _, _ = strings.Cut(maskGnutls(s.out), "- Simple Client Mode:\n")
			}
			if len(programs) == 2 {
				compareSaid(t, "standard output", outs["gnutls-cli"], outs["tlsup"])
			}
			if name == "xmpp" || name == "lmtp" { // 5269 and 443 there
				return
			}
			for program, path := range gnutlsPrograms(t) {
				c := startGnutls(t, path, "--starttls-proto", name, ca, "name.invalid")
				c.ends()
				ports[program] = c.wait().err
			}
			compareSaid(t, "the port", ports["gnutls-cli"], ports["tlsup"])
		})
	}
}

// TestGnutlsRefusals: a server that refuses ends the run, which does not wait for another answer.
func TestGnutlsRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, dialogue, want string }{
		{"ldap", `S- 0\x0c\x02\x01\x01x\x07\n\x01\x02\x04\x00\x04\x00`, `server refuses: "protocolError \(2\)"`},
		{"postgres", "S- N", `server refuses: "N"`},
		{"postgresql", "S- N", `server refuses: "N"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, address := playing(t, "C?\n"+test.dialogue+"\nstall")
			began := time.Now()
			c := startGnutls(t, gnutls.Name, "--starttls-proto", test.name, ca, address)
			c.complains(test.want)
			if s := c.wait(); s.status != 2 || time.Since(began) > gnutlsUpgrade {
				t.Errorf("status %d\n%s%s", s.status, s.out, s.err)
			}
		})
	}
}

// zooDiffers are the certificates of the zoo that gnutls-cli judges otherwise, and why.
var zooDiffers = map[string]string{
	"address in brackets with a zone":                  "it takes them for a part of the name",
	"common name only":                                 "it takes the common name",
	"self-signed, another of the same name is trusted": "it has two other words for that",
	"root made for clients":                            "it takes any trust anchor",
	"endless chain":                                    "it says nothing of the certificate",
	"names without end":                                "it says no end",
}

var gnutlsVerdicts = regexp.MustCompile(`(?m)^- Status: .*$|^\*\*\* (?:PKI|Fatal).*$`)

// gnutlsVerdict is what a program says of a server's certificate, and its status.
func gnutlsVerdict(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "GORACE="+gorace)
	out, _ := cmd.CombinedOutput() // in another order, over pipes
	lines := gnutlsVerdicts.FindAllString(string(out), -1)
	slices.Sort(lines)
	return fmt.Sprintf("%s\nstatus %d", strings.Join(lines, "\n"), cmd.ProcessState.ExitCode())
}

// TestGnutlsStrength: sets and profiles of priority strings demand the same of certificates' keys and
// signatures.
func TestGnutlsStrength(t *testing.T) {
	t.Parallel()
	programs := gnutlsPrograms(t)
	words := []string{
		"NORMAL", "PFS", "PERFORMANCE", "SECURE128", "LEGACY", "LEGACY:NORMAL", "NORMAL:%PROFILE_VERY_WEAK", "NORMAL:%PROFILE_LOW", "NORMAL:%PROFILE_LEGACY",
		"NORMAL:%PROFILE_MEDIUM", "NORMAL:%PROFILE_HIGH", "NORMAL:%PROFILE_ULTRA", "NORMAL:%PROFILE_FUTURE", "NORMAL:%PROFILE_HIGH:NORMAL",
	}
	rsaKey := func(bits int) func() (crypto.Signer, error) {
		return func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) }
	}
	authority, other := root(t), root(t)
	for _, test := range []struct {
		name  string
		key   func() (crypto.Signer, error)
		words []string
		args  []string
		roots *testca.CA
	}{
		{"RSA with 1024 bits", rsaKey(1024), words, nil, authority},
		{"RSA with 2048 bits", rsaKey(2048), words, nil, authority},
		{"P-256", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }, words[9:], nil, authority},
		{"a wrong name besides", rsaKey(1024), []string{"NORMAL:%PROFILE_HIGH"}, []string{"--verify-hostname=x.example"}, authority},
		{"an unknown authority besides", rsaKey(1024), []string{"NORMAL:%PROFILE_HIGH"}, nil, other},
		{"insecure", rsaKey(1024), []string{"NORMAL:%PROFILE_HIGH"}, []string{"--insecure"}, authority},
		{"broken allowed", rsaKey(1024), []string{"NORMAL:%PROFILE_HIGH"}, []string{"--verify-allow-broken"}, authority},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key, err := test.key()
			if err != nil {
				t.Fatal(err)
			}
			cert, err := authority.IssueFor(key, []string{"localhost"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			server, err := testserver.Start("imaps", func(c *tls.Config) { c.Certificates = []tls.Certificate{cert} })
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			file := filepath.Join(t.TempDir(), "roots.pem")
			if err := os.WriteFile(file, test.roots.PEM(), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, word := range test.words {
				args := append([]string{"--x509cafile", file, "--priority", word, "-p", strconv.Itoa(server.Addr.Port), "localhost"}, test.args...)
				ours, theirs := gnutlsVerdict(t, programs["tlsup"], args...), gnutlsVerdict(t, programs["gnutls-cli"], args...)
				if ours != theirs || !strings.Contains(ours, "- Status: ") {
					t.Errorf("%s: it says\n%s\ngnutls-cli says\n%s", word, ours, theirs)
				}
			}
		})
	}
}

func root(t *testing.T) *testca.CA {
	t.Helper()
	ca, err := testca.New("test root")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// TestGnutlsZoo: both judge certificates alike.
func TestGnutlsZoo(t *testing.T) {
	programs := gnutlsPrograms(t)
	for _, s := range zoo.Specimens {
		if s.Unread {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			server, file := present(t, &s, "imaps")
			said := map[string]string{}
			for name, path := range programs {
				said[name] = gnutlsVerdict(t, path, "--x509cafile", file, "--verify-hostname", s.Wanted(), "--port", strconv.Itoa(server.Addr.Port), "127.0.0.1")
			}
			if _, differs := zooDiffers[s.Name]; differs != (said["tlsup"] != said["gnutls-cli"]) {
				t.Errorf("it says\n%s\ngnutls-cli says\n%s", said["tlsup"], said["gnutls-cli"])
			}
		})
	}
}
