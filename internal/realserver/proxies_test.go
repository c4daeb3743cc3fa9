package realserver

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tlsup/internal/testserver"
)

// proxied is what proxies lead to: servers in the process.
type proxied struct {
	imap, pop3 string // addresses, of localhost
	ports      struct{ imap, pop3 int }
	trusting   []string // options that trust both
	password   []string // options that give the proxy's password
	wrong      []string // and a wrong one
}

func newProxied(t *testing.T) *proxied {
	t.Helper()
	p, dir := &proxied{}, t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	serve := func(scheme string) int {
		s, err := testserver.Start(scheme, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		p.trusting = append(p.trusting, "--x509cafile", file(scheme+".pem", s.CA.PEM()))
		return s.Addr.Port
	}
	p.ports.imap, p.ports.pop3 = serve("imap"), serve("pop3")
	p.imap, p.pop3 = "localhost:"+strconv.Itoa(p.ports.imap), "localhost:"+strconv.Itoa(p.ports.pop3)
	p.password = []string{"--proxy-password-file", file("password", []byte(Password+"\n"))}
	p.wrong = []string{"--proxy-password-file", file("wrong", []byte("wrong\n"))}
	return p
}

// run runs the program through a proxy to the IMAP server, with more options and a variable of the
// environment, if it is not empty.
func (p *proxied) run(t *testing.T, proxy, env, target string, options ...string) result {
	t.Helper()
	return tlsupWith(t, []string{env}, "a LOGOUT\r\n", append(append([]string{"--proxy", proxy, target}, p.trusting...), options...)...)
}

// testPassword uses a proxy that wants ProxyUser's password, and says this without.
func (p *proxied) testPassword(t *testing.T, s *Server, scheme, says string) {
	t.Helper()
	with, without := scheme+"://"+ProxyUser+"@"+s.Addr(proxy), scheme+"://"+s.Addr(proxy)
	refused := []string{p.imap + ": connect: proxy " + s.Addr(proxy) + ": ", says}
	p.run(t, with, "", "imap://"+p.imap, p.password...).must(t, 0, "a OK done\r\n")
	p.run(t, with, "TLSUP_PROXY_PASSWORD="+Password, "imap://"+p.imap).must(t, 0, "a OK done\r\n")
	p.run(t, with, "", "imap://"+p.imap, p.wrong...).must(t, 3, "", refused...)
	p.run(t, without, "", "imap://"+p.imap).must(t, 3, "", refused...)
}

// TestSquid: the proxy resolves names, among them one that only it knows.
func TestSquid(t *testing.T) {
	t.Parallel()
	p := newProxied(t)
	s := Squid(t, p.ports.pop3)
	p.testPassword(t, s, "http", `it refuses: "HTTP/1.1 407 Proxy Authentication Required`)
	with := "http://" + ProxyUser + "@" + s.Addr(proxy)
	p.run(t, with, "", "pop3://"+p.pop3, p.password...).must(t, 3, "", p.pop3+": connect: proxy "+s.Addr(proxy)+": it refuses: ", "HTTP/1.1 403 Forbidden")
	named := Host + ":" + strconv.Itoa(p.ports.imap)
	p.run(t, with, "", "imap://"+named, p.password...).must(t, 0, "a OK done\r\n")
	p.run(t, "env", "https_proxy=http://"+ProxyUser+":"+Password+"@"+s.Addr(proxy), "imap://"+named).must(t, 0, "a OK done\r\n")
	p.run(t, "env", "https_proxy=http://"+ProxyUser+":wrong@"+s.Addr(proxy), "imap://"+named).must(t, 3, "", named+": connect: proxy "+s.Addr(proxy)+": it refuses: ")
	port, err := freePort(s.Ports)
	if err != nil {
		t.Fatal(err)
	}
	nobody := "localhost:" + strconv.Itoa(port)
	p.run(t, with, "", "imap://"+nobody, p.password...).must(t, 3, "", nobody+": connect: proxy "+s.Addr(proxy)+": it refuses: ", "HTTP/1.1 503 Service Unavailable")
}

// TestTinyproxy leads to one port only.
func TestTinyproxy(t *testing.T) {
	t.Parallel()
	p := newProxied(t)
	s := Tinyproxy(t, p.ports.imap)
	p.testPassword(t, s, "http", `it refuses: "HTTP/1.`)
	p.run(t, "http://"+ProxyUser+"@"+s.Addr(proxy), "", "pop3://"+p.pop3, p.password...).must(t, 3, "", p.pop3+": connect: proxy "+s.Addr(proxy)+": it refuses: ", " 403 ")
}

// TestMicrosocks wants a user and a password; its log has what it was asked for, an address or a name.
func TestMicrosocks(t *testing.T) {
	t.Parallel()
	p := newProxied(t)
	for scheme, asked := range map[string]string{"socks5": "127.0.0.1", "socks5h": "localhost"} {
		s := Microsocks(t)
		p.testPassword(t, s, scheme, "auth")
		if want := "connected to " + asked + ":" + strconv.Itoa(p.ports.imap); !strings.Contains(s.Log(), want) {
			t.Errorf("%s: the proxy's log does not say %q", scheme, want)
		}
	}
}

// TestDante wants no password.
func TestDante(t *testing.T) {
	t.Parallel()
	p := newProxied(t)
	s := Dante(t, p.ports.pop3)
	for _, scheme := range []string{"socks5", "socks5h"} {
		p.run(t, scheme+"://"+s.Addr(proxy), "", "imap://"+p.imap).must(t, 0, "a OK done\r\n")
		p.run(t, scheme+"://"+s.Addr(proxy), "", "pop3://"+p.pop3).must(t, 3, "", p.pop3+": connect: proxy "+s.Addr(proxy)+": ", "ruleset")
	}
}

// headers are the options that choose the PROXY protocol's versions.
var headers = [][]string{{"--proxy-protocol", "v1"}, {"--proxy-protocol", "v2"}}

// TestHAProxy wants the PROXY protocol's header, and waits for it.
func TestHAProxy(t *testing.T) {
	t.Parallel()
	p := newProxied(t)
	s := HAProxy(t, p.ports.imap)
	target := append([]string{"imap://" + s.Addr(proxy)}, p.trusting...)
	for _, header := range headers {
		tlsup(t, "a LOGOUT\r\n", append(target, header...)...).must(t, 0, "a OK done\r\n")
	}
	tlsup(t, "", append(target, "--timeout", "1s")...).must(t, 4, "", s.Addr(proxy)+": greeting: no answer in time")
}

// TestProxyHeader: servers that want the header themselves, before the upgrade and before TLS from
// the first byte.
func TestProxyHeader(t *testing.T) {
	t.Parallel()
	t.Run("Dovecot", func(t *testing.T) {
		t.Parallel()
		s := Dovecot(t, "haproxy_trusted_networks = 127.0.0.0/8",
			"service imap-login {\ninet_listener imap {\nhaproxy = yes\n}\ninet_listener imaps {\nhaproxy = yes\n}\n}")
		for _, scheme := range []string{"imap", "imaps"} {
			for _, header := range headers {
				tlsupTurns(t, turnsOf(t, scheme), append(header, "--x509cafile", s.CAFile(), s.target(scheme))...).must(t, 0, "c OK ")
			}
		}
	})
	t.Run("Postfix", func(t *testing.T) {
		t.Parallel()
		s := Postfix(t, "smtpd_upstream_proxy_protocol = haproxy")
		for _, header := range headers {
			tlsupTurns(t, turnsOf(t, "smtp"), append(header, "--x509cafile", s.CAFile(), s.target("smtp"))...).must(t, 0, "221 2.0.0 Bye\r\n")
		}
	})
}
