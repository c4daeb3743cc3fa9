package realserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"mellium.im/sasl"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
)

// Clients of lines, their TLS switched off, through the tunnel to the real servers.

// mailbox is where Dovecot keeps the message that deliver delivered.
const mailbox = "hello"

// TestMailClients reads, sends and filters mail.
func TestMailClients(t *testing.T) {
	t.Parallel()
	s := Dovecot(t)
	deliver(t, open(t, s, "lmtp", Host))
	for _, scheme := range []string{"imap", "imaps", "pop3", "pop3s"} {
		t.Run("curl "+scheme, func(t *testing.T) {
			tu := tunnelTo(t, s, scheme, "0")
			plain := strings.TrimSuffix(scheme, "s")
			path := map[string]string{"imap": "/INBOX;UID=1", "pop3": "/1"}[plain]
			got := client(t, nil, "", "", "curl", "--silent", "--show-error", "--user", User+":"+Password, plain+"://"+tu.addr+path)
			got.must(t, 0, mailbox)
			tu.await("closed", 1)
		})
	}
	t.Run("mbsync", func(t *testing.T) {
		tu := tunnelTo(t, s, "imap", "0")
		mbsync(t, "Host 127.0.0.1\nPort "+tu.port()+"\nSSLType None\n")
	})
	t.Run("mbsync on stdio", func(t *testing.T) {
		mbsync(t, fmt.Sprintf("Tunnel %q\n", stdioTunnel(t, s, "imap")))
	})
	t.Run("mutt on stdio", func(t *testing.T) { muttOnStdio(t, s) })
	t.Run("fetchmail", func(t *testing.T) {
		for _, scheme := range []string{"imap", "pop3"} {
			tu := tunnelTo(t, s, scheme, "0")
			rc := filepath.Join(t.TempDir(), "rc")
			text := fmt.Sprintf("poll 127.0.0.1 service %s protocol %s user %q password %q sslproto '' keep fetchall mda cat\n", tu.port(), scheme, User, Password)
			if err := os.WriteFile(rc, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			got := client(t, nil, "", "", "fetchmail", "--fetchmailrc", rc, "--nosyslog")
			if got.status != 0 || !strings.Contains(got.stdout, mailbox) {
				t.Errorf("%+v", got)
			}
		}
	})
	t.Run("inetd", func(t *testing.T) { inetd(t, s) })
	t.Run("msmtp lmtp", func(t *testing.T) {
		tu := tunnelTo(t, s, "lmtp", "0")
		const message = "Subject: from msmtp\n\nhello again\n"
		got := client(t, nil, message, "", "msmtp", "--protocol=lmtp", "--host=127.0.0.1", "--port="+tu.port(), "--tls=off", "--from=sender@example.com", User)
		got.must(t, 0, "")
	})
}

// TestMailSenders sends mail.
func TestMailSenders(t *testing.T) {
	t.Parallel()
	s := Postfix(t)
	const message = "Subject: test\n\nhello\n"
	for _, scheme := range []string{"smtp", "submission", "smtps"} {
		tu := tunnelTo(t, s, scheme, "0")
		t.Run("msmtp "+scheme, func(t *testing.T) {
			got := client(t, nil, message, "", "msmtp", "--host=127.0.0.1", "--port="+tu.port(), "--tls=off", "--from=sender@example.com", User)
			got.must(t, 0, "")
		})
		t.Run("curl "+scheme, func(t *testing.T) {
			got := client(t, nil, message, "", "curl", "--silent", "--show-error", "--mail-from", "sender@example.com", "--mail-rcpt", User, "--upload-file", "-", "smtp://"+tu.addr+"/client.example.org")
			got.must(t, 0, "")
		})
	}
	t.Run("git send-email", func(t *testing.T) { gitSendEmail(t, s) })
}

// gitSendEmail runs the manual's line, in which only names are replaced.
func gitSendEmail(t *testing.T, s *Server) {
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("../../man/tlsup.1")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^\$ (tlsup tunnel .* -- git send-email (?s:.*?))\n\.Ed$`).FindSubmatch(manual)
	if line == nil {
		t.Fatal("the manual has no line for git send-email")
	}
	port, err := freePort(s.Ports)
	if err != nil {
		t.Fatal(err)
	}
	command := strings.NewReplacer(
		`\e`, `\`,
		"tlsup tunnel", strings.Join([]string{binary, "tunnel", "--timeout", limit.String(), "--x509cafile", s.CAFile()}, " "),
		"1025", strconv.Itoa(port),
		"submission://mail.example.org", s.target("submission"),
	).Replace(string(line[1]))
	if strings.Count(command, strconv.Itoa(port)) != 2 || !strings.Contains(command, s.target("submission")) {
		t.Fatalf("the line has other names than expected: %s", line[1])
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "1.patch"), []byte("From: sender@example.com\nSubject: test\n\nhello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// What a person has in the configuration, or is asked for.
	config := []string{"user.name=Sender", "user.email=sender@example.com", "sendemail.from=sender@example.com", "sendemail.to=" + User, "sendemail.confirm=never", "sendemail.suppresscc=all"}
	env := []string{fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(config))}
	for i, setting := range config {
		key, value, _ := strings.Cut(setting, "=")
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, value))
	}
	Tool(t, "git")
	client(t, env, "", "", "sh", "-c", "cd "+dir+" && "+command).must(t, 0, "Result: 250")
}

// stdioTunnel is the command line of a tunnel on stdin and stdout.
func stdioTunnel(t *testing.T, s *Server, scheme string) string {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join([]string{binary, "tunnel", "--timeout", limit.String(), "--x509cafile", s.CAFile(), "-", s.target(scheme)}, " ")
}

// mbsync fetches the mailbox from an account.
func mbsync(t *testing.T, account string) {
	t.Helper()
	dir := t.TempDir()
	rc := fmt.Sprintf(`IMAPAccount a
%sUser %s
Pass %s
AuthMechs LOGIN

IMAPStore far
Account a

MaildirStore near
Inbox %s/inbox

Channel c
Far :far:
Near :near:
Sync Pull
Create Near
`, account, User, Password, dir)
	file := filepath.Join(dir, "rc")
	if err := os.WriteFile(file, []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	got := client(t, nil, "", "", "mbsync", "--config", file, "--all")
	found, err := filepath.Glob(dir + "/inbox/*/*")
	if got.status != 0 || err != nil || len(found) == 0 {
		t.Fatalf("%+v; %q, %v", got, found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil || !strings.Contains(string(text), mailbox) {
		t.Errorf("%q, %v", text, err)
	}
}

// muttOnStdio copies the first message to a file, as a person would.
func muttOnStdio(t *testing.T, s *Server) {
	dir := t.TempDir()
	copied := filepath.Join(dir, "copied")
	rc := fmt.Sprintf("set tunnel=%q\nset imap_pass=%q imap_authenticators=login\nset folder=%q copy=no move=no confirmappend=no confirmcreate=no quit=yes\npush \"<copy-message>%s<enter><quit>\"\n",
		stdioTunnel(t, s, "imap"), Password, dir, copied)
	file := filepath.Join(dir, "rc")
	if err := os.WriteFile(file, []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), Tool(t, "mutt"), "-n", "-F", file, "-f", "imap://"+strings.ReplaceAll(User, "@", "%40")+"@"+Host+"/INBOX")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + dir, "TERM=vt100"}
	screen, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	shown := make(chan string)
	go func() {
		text, _ := io.ReadAll(screen)
		shown <- string(text)
	}()
	stop := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	defer stop.Stop()
	err = cmd.Wait()
	text, readErr := os.ReadFile(copied)
	if err != nil || readErr != nil || !strings.Contains(string(text), mailbox) {
		t.Errorf("%v; %v, %q; the screen: %q", err, readErr, text, <-shown)
	}
}

// inetd runs the tunnel for each connection.
func inetd(t *testing.T, s *Server) {
	port, err := freePort(s.Ports)
	if err != nil {
		t.Fatal(err)
	}
	command := strings.Fields(stdioTunnel(t, s, "imap"))
	conf := filepath.Join(t.TempDir(), "inetd.conf")
	line := fmt.Sprintf("127.0.0.1:%d stream tcp nowait root %s tlsup %s\n", port, command[0], strings.Join(command[1:], " "))
	if err := os.WriteFile(conf, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(Tool(t, "inetd"), "-i", conf) // in the foreground
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	client(t, nil, "", "", "curl", "--silent", "--show-error", "--user", User+":"+Password, "imap://"+addr+"/INBOX;UID=1").must(t, 0, mailbox)
}

func TestLDAPClient(t *testing.T) {
	t.Parallel()
	s := Slapd(t, "security simple_bind=128")
	tu := tunnelTo(t, s, "ldap", "0")
	got := client(t, nil, "", "", "ldapwhoami", "-x", "-H", "ldap://"+tu.addr, "-D", SlapdAdmin, "-w", Password)
	got.must(t, 0, "dn:"+SlapdAdmin)
	got = client(t, nil, "", "", "ldapsearch", "-x", "-LLL", "-H", "ldap://"+tu.addr, "-b", "", "-s", "base", "supportedExtension")
	got.must(t, 0, "supportedExtension: 1.3.6.1.4.1.1466.20037")
	client(t, nil, "", "", "curl", "--silent", "--show-error", "ldap://"+tu.addr+"/?supportedLDAPVersion?base").must(t, 0, "supportedLDAPVersion: 3")
}

func TestUPSClient(t *testing.T) {
	t.Parallel()
	s := Upsd(t)
	tu := tunnelTo(t, s, "nut", "0")
	client(t, nil, "", "", "upsc", "-L", tu.addr).must(t, 0, UPSName+": "+UPSTitle, "")
	// The server answers that it has no driver for it.
	client(t, nil, "", "", "upsc", UPSName+"@"+tu.addr, "ups.status").must(t, 1, "", "Driver not connected")
}

func TestSieveClient(t *testing.T) {
	t.Parallel()
	s := Pigeonhole(t)
	tu := tunnelTo(t, s, "sieve", "0")
	script := filepath.Join(t.TempDir(), "test.sieve")
	if err := os.WriteFile(script, []byte("keep;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--server", "127.0.0.1", "--port", tu.port(), "--notlsverify", "--user", User, "--passwordfd", "0"}
	got := client(t, nil, Password+"\n", "", "sieve-connect", append(args, "--upload", "--localsieve", script, "--remotesieve", "test")...)
	if got.status != 0 {
		t.Errorf("%+v", got)
	}
	client(t, nil, Password+"\n", "", "sieve-connect", append(args, "--list")...).must(t, 0, "test")
}

// newsReader asks a server for its groups.
const newsReader = `
my $c = News::NNTPClient->new("127.0.0.1", $ARGV[0]) or die;
print $c->list("active");
print join(" ", $c->group($ARGV[1])), "\n";
print $c->message;
$c->quit;
`

func TestNewsClient(t *testing.T) {
	t.Parallel()
	s := INN(t)
	tu := tunnelTo(t, s, "nntp", "0")
	client(t, nil, newsReader, "", "perl", "-MNews::NNTPClient", "-", tu.port(), INNGroup).must(t, 0, INNGroup+" ")
}

// TestIRCClient registers with sic, which shows what the server says.
func TestIRCClient(t *testing.T) {
	t.Parallel()
	s := InspIRCd(t)
	tu := tunnelTo(t, s, "irc", "0")
	cmd := exec.CommandContext(t.Context(), Tool(t, "sic"), "-h", "127.0.0.1", "-p", tu.port(), "-n", "sicuser")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	defer stop.Stop()
	for b := make([]byte, 1); !strings.Contains(shown.String(), "Welcome"); {
		if _, err := out.Read(b); err != nil {
			t.Fatalf("%v behind %q", err, shown.String())
		}
		shown.Write(b)
	}
	stdin.Close()
	cmd.Wait()
}

// TestXMPPClient logs in and out.
func TestXMPPClient(t *testing.T) {
	t.Parallel()
	s := Prosody(t, `storage = "internal"`)
	for _, scheme := range []string{"xmpp", "xmpps"} {
		tu := tunnelTo(t, s, scheme, "0", "--starttls-name", Domain)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		conn, err := net.Dial("tcp", tu.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		user := jid.MustParse(User)
		features := []xmpp.StreamFeature{xmpp.SASL("", Password, sasl.ScramSha256), xmpp.BindResource()}
		// The library logs in only where it is told that the connection is secure.
		session, err := xmpp.NewSession(ctx, user.Domain(), user, conn, xmpp.Secure, xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
			return xmpp.StreamConfig{Features: features}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if got := session.LocalAddr(); !got.Bare().Equal(user) || got.Resourcepart() == "" {
			t.Errorf("logged in as %v", got)
		}
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRaw leads other TLS tools past the cleartext part.
func TestRaw(t *testing.T) {
	t.Parallel()
	servers := map[string]*Server{"smtp": Postfix(t), "imap": Dovecot(t), "xmpp": Prosody(t), "postgres": PostgreSQL(t)}
	for scheme, s := range servers {
		options := []string{"--raw"}
		if scheme == "xmpp" {
			options = append(options, "--starttls-name", Domain)
		}
		tu := tunnelTo(t, s, scheme, "0", options...)
		t.Run("openssl "+scheme, func(t *testing.T) {
			got := client(t, nil, "Q\n", "", "openssl", "s_client", "-connect", tu.addr, "-verify_return_error", "-CAfile", s.CAFile(), "-verify_ip", "127.0.0.1")
			if got.status != 0 || !strings.Contains(got.stdout, "Verify return code: 0 (ok)") {
				t.Errorf("%+v", got)
			}
		})
		t.Run("gnutls-cli "+scheme, func(t *testing.T) {
			got := client(t, nil, "", "", "gnutls-cli", "--x509cafile", s.CAFile(), "--verify-hostname", "127.0.0.1", "--port", tu.port(), "127.0.0.1")
			if !strings.Contains(got.stdout, "- Status: The certificate is trusted.") || !strings.Contains(got.stdout, "- Handshake was completed") {
				t.Errorf("%+v", got)
			}
		})
		t.Run("sslscan "+scheme, func(t *testing.T) {
			got := client(t, nil, "", "", "sslscan", "--no-colour", "--no-heartbleed", "--no-renegotiation", "--no-groups", "--show-certificate", tu.addr)
			if got.status != 0 || !strings.Contains(got.stdout, "TLSv1.3   enabled") || !strings.Contains(got.stdout, "Preferred TLSv1.3") || !strings.Contains(got.stdout, Host) {
				t.Errorf("%+v", got)
			}
		})
		if n := tu.count("failed"); n > 0 {
			t.Errorf("%d connections failed: %v", n, tu.await("failed", 1))
		}
	}
	t.Run("pipe", func(t *testing.T) { rawPipe(t, servers["imap"]) })
}

// rawPipe is another program's TLS through the pipe: here crypto/tls on the program's stdin and stdout.
func rawPipe(t *testing.T, s *Server) {
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "--raw", "--timeout", limit.String(), s.target("imap"))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(processConn{Reader: stdout, WriteCloser: stdin}, &tls.Config{ServerName: Host, RootCAs: s.CA.Pool()})
	if _, err := io.WriteString(conn, "a LOGOUT\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), "a OK ") {
		t.Errorf("%q, %v", answer, err)
	}
	conn.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// processConn is what a process reads and writes, as a connection.
type processConn struct {
	net.Conn // nil: what TLS does not need
	io.Reader
	io.WriteCloser
}

func (c processConn) Read(p []byte) (int, error)       { return c.Reader.Read(p) }
func (c processConn) Write(p []byte) (int, error)      { return c.WriteCloser.Write(p) }
func (c processConn) Close() error                     { return c.WriteCloser.Close() }
func (c processConn) SetDeadline(time.Time) error      { return nil }
func (c processConn) SetWriteDeadline(time.Time) error { return nil }
