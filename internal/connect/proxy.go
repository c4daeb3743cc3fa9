package connect

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"

	"tlsup/internal/quote"
)

// maxProxyAnswer bounds a proxy's answer to CONNECT, in bytes.
const maxProxyAnswer = 16 << 10

// A Proxy is a server on the way, that the connection is asked of.
type Proxy struct {
	fromEnv  bool     // look into the environment for each target
	url      *url.URL // http, socks5 or socks5h, with host and port
	password string
}

// ParseProxy reads http://[USER@]HOST:PORT, socks5://... (names are resolved here),
// socks5h://... (names are resolved by the proxy), or env for what the usual environment
// variables say. password is asked for when there is a user. Errors are faults of the command line.
func ParseProxy(text string, password func() (string, error)) (*Proxy, error) {
	if text == "env" {
		return &Proxy{fromEnv: true}, nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("it is no URL: http://HOST:PORT, socks5://HOST:PORT, socks5h://HOST:PORT or env")
	case u.Scheme != "http" && u.Scheme != "socks5" && u.Scheme != "socks5h":
		return nil, fmt.Errorf("%s is no kind of proxy that is known: http, socks5, socks5h", quote.Short(u.Scheme))
	case u.Hostname() == "" || u.Port() == "":
		return nil, errors.New("it needs a host and a port")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("nothing may follow the port")
	}
	if _, err := parsePort(u.Port()); err != nil {
		return nil, err
	}
	p := &Proxy{url: u}
	if u.User == nil {
		return p, nil
	}
	if _, ok := u.User.Password(); ok {
		return nil, errors.New("a password on the command line is seen by everybody on the machine: " +
			"put it into a file (--proxy-password-file) or into TLSUP_PROXY_PASSWORD")
	}
	p.password, err = password()
	return p, err
}

// forTarget returns the proxy that leads to an address: the one that was named, or the one
// that the environment has for it, or nil for none.
func (p *Proxy) forTarget(address string) (*Proxy, error) {
	if !p.fromEnv {
		return p, nil
	}
	config := httpproxy.FromEnvironment()
	if config.HTTPSProxy == "" {
		config.HTTPSProxy = firstEnv("ALL_PROXY", "all_proxy")
	}
	u, err := config.ProxyFunc()(&url.URL{Scheme: "https", Host: address})
	switch {
	case err != nil:
		return nil, errors.New("the proxy in the environment is no URL")
	case u == nil:
		return nil, nil
	case u.Scheme != "http" && u.Scheme != "socks5" && u.Scheme != "socks5h":
		return nil, fmt.Errorf("the proxy in the environment is of a kind that is not known: %s", quote.Short(u.Scheme))
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "socks5": "1080", "socks5h": "1080"}[u.Scheme])
	}
	password, _ := u.User.Password()
	return &Proxy{url: u, password: password}, nil
}

func firstEnv(names ...string) string {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// dial asks the proxy, reached by d, for a connection to address.
func (p *Proxy) dial(ctx context.Context, d *net.Dialer, network, address string) (net.Conn, error) {
	var conn net.Conn
	var err error
	switch p.url.Scheme {
	case "http":
		conn, err = p.dialHTTP(ctx, d, network, address)
	case "socks5h":
		conn, err = p.dialSOCKS(ctx, d, network, address)
	default:
		conn, err = p.dialResolved(ctx, d, network, address)
	}
	if err != nil {
		return nil, &proxyError{p.url.Host, err}
	}
	return conn, nil
}

// A proxyError is a failure of a proxy, or one that it reports.
type proxyError struct {
	host string
	error
}

func (e *proxyError) Error() string { return "proxy " + quote.Escape(e.host) + ": " + e.error.Error() }
func (e *proxyError) Unwrap() error { return e.error }

// dialResolved resolves the name here and asks for its addresses in turn.
func (p *Proxy) dialResolved(ctx context.Context, d *net.Dialer, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ips, err := d.Resolver.LookupNetIP(ctx, strings.Replace(network, "tcp", "ip", 1), host)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, ip := range ips {
		conn, err := p.dialSOCKS(ctx, d, network, net.JoinHostPort(ip.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// dialSOCKS speaks SOCKS 5 (RFC 1928, RFC 1929). An address goes to the proxy as it is, a
// name as a name.
func (p *Proxy) dialSOCKS(ctx context.Context, d *net.Dialer, network, address string) (net.Conn, error) {
	var auth *proxy.Auth
	if p.url.User != nil {
		auth = &proxy.Auth{User: p.url.User.Username(), Password: p.password}
	}
	socks, err := proxy.SOCKS5(network, p.url.Host, auth, d)
	if err != nil {
		return nil, err
	}
	conn, err := socks.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
	var op *net.OpError
	if errors.As(err, &op) {
		// The library calls the proxy's replies (RFC 1928, 6) unknown errors, with the target's address.
		if reply, ok := strings.CutPrefix(op.Err.Error(), "unknown error "); ok {
			err = fmt.Errorf("it refuses: %s", reply)
		}
	}
	return conn, err
}

// dialHTTP asks an HTTP proxy for a tunnel (RFC 9110, 9.3.6).
func (p *Proxy) dialHTTP(ctx context.Context, d *net.Dialer, network, address string) (net.Conn, error) {
	conn, err := d.DialContext(ctx, network, p.url.Host)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err = p.connectHTTP(conn, address)
	if !stop() {
		err = errors.New("no answer to CONNECT in time")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (p *Proxy) connectHTTP(conn net.Conn, address string) error {
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if p.url.User != nil {
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(p.url.User.Username()+":"+p.password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return err
	}
	// Byte by byte: what follows the empty line is the server's.
	var answer []byte
	for b := make([]byte, 1); !strings.HasSuffix(string(answer), "\r\n\r\n") && !strings.HasSuffix(string(answer), "\n\n"); {
		if len(answer) == maxProxyAnswer {
			return fmt.Errorf("its answer has over %d bytes", maxProxyAnswer)
		}
		if _, err := io.ReadFull(conn, b); err != nil {
			return fmt.Errorf("no answer to CONNECT: %w", err)
		}
		answer = append(answer, b[0])
	}
	status, _, _ := strings.Cut(string(answer), "\n")
	version, rest, _ := strings.Cut(strings.TrimRight(status, "\r"), " ")
	code, _, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(code)
	switch {
	case !strings.HasPrefix(version, "HTTP/1.") || err != nil || len(code) != 3:
		return fmt.Errorf("unexpected answer: %s", quote.Short(status))
	case n/100 != 2:
		return fmt.Errorf("it refuses: %s", quote.Short(status))
	}
	return nil
}
