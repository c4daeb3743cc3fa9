package connect

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"tlsup/internal/trust"
	"tlsup/negotiate"
)

// startServer starts a server inside the process, and returns the target that it is and
// options that trust it.
func startServer(t *testing.T, scheme string) (Target, *Options) {
	t.Helper()
	target, o := startWith(t, scheme, nil, trust.Settings{})
	o.Name = "client.example.org"
	return target, o
}

// httpProxy starts a proxy that knows CONNECT, and returns its address. It answers others
// than the user "me" with the password "secret" with 407, and counts the hosts it was asked for.
func httpProxy(t *testing.T, asked *[]string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.Host)
		if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("me:secret")) {
			http.Error(w, "who are you?", http.StatusProxyAuthRequired)
			return
		}
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		from, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(from, "HTTP/1.1 200 Connection established\r\nX-Padding: x\r\n\r\n")
		go io.Copy(to, buffered)
		io.Copy(from, to)
		from.Close()
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

func secret() (string, error) { return "secret", nil }

func TestHTTPProxy(t *testing.T) {
	target, o := startServer(t, "smtp")
	var asked []string
	address := httpProxy(t, &asked)
	var err error
	if o.Proxy, err = ParseProxy("http://me@"+address, secret); err != nil {
		t.Fatal(err)
	}
	checkSession(t, target, o)
	if want := "CONNECT " + target.Address(); len(asked) != 1 || asked[0] != want {
		t.Errorf("the proxy was asked %q, want %q", asked, want)
	}

	o.Proxy, _ = ParseProxy("http://"+address, nil)
	checkFailure(t, target, o, `proxy `+address+`: it refuses: "HTTP/1.1 407 Proxy Authentication Required"`)
	o.Proxy, _ = ParseProxy("http://me@"+address, secret)
	closed := target
	closed.Port = closedPort(t)
	checkFailure(t, closed, o, `it refuses: "HTTP/1.1 502 Bad Gateway"`)
}

// TestHTTPProxyAnswers plays answers of proxies that are not right.
func TestHTTPProxyAnswers(t *testing.T) {
	target, o := startServer(t, "smtp")
	for answer, want := range map[string]string{
		"":                            "no answer to CONNECT",
		"HTTP/1.1 200":                "no answer to CONNECT",
		"220 mail ESMTP\r\n\r\n":      `unexpected answer: "220 mail ESMTP"`,
		"HTTP/1.1 99 x\r\n\r\n":       "unexpected answer",
		"HTTP/1.1 403 \x1b[2J\n\n":    `it refuses: "HTTP/1.1 403 \x1b[2J"`,
		strings.Repeat("x", 1<<20):    "over 16384 bytes",
		"HTTP/1.1 200 OK\r\n\r\nrest": `"rest220 mail.example.org`, // is the server's first word then
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			var request strings.Builder
			for b := make([]byte, 1); !strings.HasSuffix(request.String(), "\r\n\r\n"); {
				if _, err := conn.Read(b); err != nil {
					return
				}
				request.Write(b)
			}
			io.WriteString(conn, answer)
			if strings.HasSuffix(answer, "rest") {
				io.WriteString(conn, "220 mail.example.org\r\n")
			}
		}()
		o.Proxy, _ = ParseProxy("http://"+l.Addr().String(), nil)
		_, err = Open(context.Background(), target, o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("answer %.40q: error %v, want %q", answer, err, want)
		}
	}
}

// FuzzProxyAnswer: whatever a proxy answers, no more than its bound is read, and nothing of
// what stands behind the answer; only a 2xx of HTTP/1 is a yes.
func FuzzProxyAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n220 mail"))
	f.Add([]byte("HTTP/1.0 407 no\n\n"))
	f.Add([]byte("220 mail ESMTP\r\n\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		conn := &answering{rest: answer}
		p := &Proxy{url: &url.URL{Scheme: "http", Host: "proxy:3128"}}
		err := p.connectHTTP(conn, "mail.example.org:25")
		read := answer[:len(answer)-len(conn.rest)]
		if len(read) > maxProxyAnswer {
			t.Errorf("read %d bytes", len(read))
		}
		if err != nil {
			return
		}
		if !strings.HasPrefix(string(read), "HTTP/1.") || !strings.Contains(string(read), " 2") {
			t.Errorf("%q is taken for a yes", read)
		}
		if i := strings.Index(string(read), "\n\r\n"); i >= 0 && i+3 != len(read) {
			t.Errorf("%q was read, which goes on behind the answer", read)
		}
	})
}

// answering is a connection to a proxy that answers.
type answering struct {
	net.Conn
	rest []byte
}

func (c *answering) Write(p []byte) (int, error) { return len(p), nil }

func (c *answering) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// socksProxy starts a SOCKS 5 proxy (RFC 1928) that wants the user "me" with the password
// "secret" (RFC 1929), and returns its address.
func socksProxy(t *testing.T, asked *[]string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if err := serveSOCKS(conn, asked); err != nil {
				conn.Close()
			}
		}
	}()
	return l.Addr().String()
}

func serveSOCKS(conn net.Conn, asked *[]string) error {
	read := func(n int) []byte {
		b := make([]byte, n)
		io.ReadFull(conn, b)
		return b
	}
	read(int(read(2)[1])) // version, number of methods, methods
	conn.Write([]byte{5, 2})
	user := read(int(read(2)[1]))
	password := read(int(read(1)[0]))
	if string(user) != "me" || string(password) != "secret" {
		conn.Write([]byte{1, 1})
		return errors.New("refused")
	}
	conn.Write([]byte{1, 0})
	var host string
	switch kind := read(4)[3]; kind {
	case 1:
		host = net.IP(read(4)).String()
	case 3:
		host = string(read(int(read(1)[0])))
	}
	port := read(2)
	address := net.JoinHostPort(host, fmt.Sprint(int(port[0])<<8|int(port[1])))
	*asked = append(*asked, address)
	to, err := net.Dial("tcp", address)
	if err != nil {
		conn.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return err
	}
	conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go io.Copy(to, conn)
	go func() {
		io.Copy(conn, to)
		conn.Close()
	}()
	return nil
}

func TestSOCKSProxy(t *testing.T) {
	target, o := startServer(t, "smtp")
	var asked []string
	address := socksProxy(t, &asked)
	for scheme, host := range map[string]string{"socks5": "127.0.0.1", "socks5h": "localhost"} {
		asked = nil
		var err error
		if o.Proxy, err = ParseProxy(scheme+"://me@"+address, secret); err != nil {
			t.Fatal(err)
		}
		checkSession(t, target, o)
		if want := net.JoinHostPort(host, fmt.Sprint(target.Port)); len(asked) != 1 || asked[0] != want {
			t.Errorf("%s: the proxy was asked for %q, want %q", scheme, asked, want)
		}
		closed := target
		closed.Port = closedPort(t)
		checkFailure(t, closed, o, "proxy "+address)
	}
	o.Proxy, _ = ParseProxy("socks5h://me@"+address, func() (string, error) { return "wrong", nil })
	checkFailure(t, target, o, "proxy "+address)
}

func TestProxyFromEnvironment(t *testing.T) {
	target, o := startServer(t, "smtp")
	target.Host = "127.0.0.1" // names and addresses of this machine are never asked of a proxy
	var asked []string
	address := httpProxy(t, &asked)
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"} {
		t.Setenv(name, "")
	}
	o.Proxy, _ = ParseProxy("env", nil)
	checkSession(t, target, o)
	if len(asked) > 0 {
		t.Errorf("the proxy was asked for %q", asked)
	}
	for _, name := range []string{"https_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://me:secret@"+address)
		p, err := o.Proxy.forTarget("mail.example.org:25")
		if err != nil || p == nil || p.url.Host != address || p.password != "secret" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		t.Setenv(name, "")
	}
	t.Setenv("ALL_PROXY", "socks4://"+address)
	if _, err := o.Proxy.forTarget("mail.example.org:25"); err == nil {
		t.Error("a kind of proxy that is not known was accepted")
	}
	t.Setenv("NO_PROXY", ".example.org")
	if p, err := o.Proxy.forTarget("mail.example.org:25"); p != nil || err != nil {
		t.Errorf("%v, %v in spite of NO_PROXY", p, err)
	}
}

func TestParseProxy(t *testing.T) {
	for text, want := range map[string]string{
		"localhost:3128":               "no kind of proxy",
		"https://localhost:3128":       "no kind of proxy",
		"http://localhost":             "a host and a port",
		"http://:3128":                 "a host and a port",
		"http://localhost:0":           "not between 1 and 65535",
		"http://localhost:70000":       "not between 1 and 65535",
		"http://localhost:1/path":      "nothing may follow",
		"http://me:secret@localhost:1": "TLSUP_PROXY_PASSWORD",
		"socks5://\x00":                "no URL",
	} {
		_, err := ParseProxy(text, secret)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestProxyHeader(t *testing.T) {
	for _, version := range []byte{1, 2} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		got := make(chan string, 1)
		go func() {
			conn, err := (&proxyproto.Listener{Listener: l, ReadHeaderTimeout: 10 * time.Second}).Accept()
			if err != nil {
				got <- err.Error()
				return
			}
			defer conn.Close()
			b := make([]byte, 4)
			io.ReadFull(conn, b)
			header := conn.(*proxyproto.Conn).ProxyHeader()
			got <- fmt.Sprint(header.Version, header.SourceAddr, header.DestinationAddr, string(b))
		}()
		port := l.Addr().(*net.TCPAddr).Port
		conn, _, err := Connect(context.Background(), Target{Protocol: negotiate.TLS(), Host: "127.0.0.1", Port: port}, &Options{Network: "tcp", ProxyHeader: version})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "next")
		if want := fmt.Sprint(version, conn.LocalAddr(), conn.RemoteAddr(), "next"); <-got != want {
			t.Errorf("version %d: the server did not get %s", version, want)
		}
		conn.Close()
	}
}

// checkSession opens a session and expects the server's answer in it.
func checkSession(t *testing.T, target Target, o *Options) {
	t.Helper()
	s, err := Open(context.Background(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	io.WriteString(s, "QUIT\r\n")
	if answer, err := io.ReadAll(struct{ io.Reader }{s}); err != nil || string(answer) != "221 2.0.0 Bye\r\n" {
		t.Errorf("answer %q, %v", answer, err)
	}
}

// checkFailure expects that there is no connection, and why.
func checkFailure(t *testing.T, target Target, o *Options, want string) {
	t.Helper()
	_, err := Open(context.Background(), target, o)
	var failed *Error
	if !errors.As(err, &failed) || failed.Status() != StatusNoConnection || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want no connection and %q", err, want)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("a password in %q", err)
	}
}

// closedPort returns a port on which nobody listens.
func closedPort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
