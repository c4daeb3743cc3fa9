package realserver

import (
	"fmt"
	"os/exec"
	"strconv"
	"testing"
)

// A proxy's only port.
const proxy = "proxy"

var proxySchemes = []string{proxy}

// ProxyUser may use the proxies that want a password, with Password.
const ProxyUser = "proxyuser"

// Squid starts an HTTP proxy that lets in ProxyUser, leads to no port denied, and knows the
// address of Host.
func Squid(t testing.TB, denied int) *Server {
	t.Helper()
	return start(t, squid, []string{strconv.Itoa(denied)})
}

// Tinyproxy starts an HTTP proxy that lets in ProxyUser, and leads to port only.
func Tinyproxy(t testing.TB, port int) *Server {
	t.Helper()
	return start(t, tinyproxy, []string{strconv.Itoa(port)})
}

// Dante starts a SOCKS proxy that lets in everybody and leads to no port denied.
func Dante(t testing.TB, denied int) *Server {
	t.Helper()
	return start(t, dante, []string{strconv.Itoa(denied)})
}

// Microsocks starts a SOCKS proxy that lets in ProxyUser.
func Microsocks(t testing.TB) *Server {
	t.Helper()
	return start(t, microsocks, nil)
}

// HAProxy starts a proxy for servers, which wants the PROXY protocol's header and leads to port.
func HAProxy(t testing.TB, port int) *Server {
	t.Helper()
	return start(t, haproxy, []string{strconv.Itoa(port)})
}

var (
	squid      = program{name: "Squid", binary: "squid", schemes: proxySchemes, configure: configureSquid}
	tinyproxy  = program{name: "Tinyproxy", binary: "tinyproxy", schemes: proxySchemes, configure: configureTinyproxy}
	dante      = program{name: "Dante", binary: "danted", schemes: proxySchemes, configure: configureDante}
	microsocks = program{name: "microsocks", binary: "microsocks", schemes: proxySchemes, configure: configureMicrosocks}
	haproxy    = program{name: "HAProxy", binary: "haproxy", schemes: proxySchemes, configure: configureHAProxy}
)

const squidConf = `
http_port 127.0.0.1:%d
hosts_file %[2]s/hosts
coredump_dir %[2]s
pid_filename none
cache_log /dev/stderr
access_log stdio:/dev/stdout
cache deny all
pinger_enable off
shutdown_lifetime 0 seconds
auth_param basic program %[3]s %[2]s/passwords
acl users proxy_auth REQUIRED
acl denied port %[4]s
http_access deny denied
http_access allow users
http_access deny all
`

// squidPassword is Password, hashed for Apache's servers.
const squidPassword = "$apr1$tlsup$iHRp5wPwh/TecoPa1SSvr/"

func configureSquid(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	helper, err := lookPath("basic_ncsa_auth", "/usr/lib*/squid")
	if err != nil {
		return nil, err
	}
	for name, content := range map[string]string{
		"hosts":      "127.0.0.1 localhost " + Host + "\n",
		"passwords":  ProxyUser + ":" + squidPassword + "\n",
		"squid.conf": fmt.Sprintf(squidConf, s.Ports[proxy], s.dir, helper, settings[0]),
	} {
		if err := s.write(name, content); err != nil {
			return nil, err
		}
	}
	return exec.Command(binary, "-N", "-f", s.path("squid.conf")), nil
}

const tinyproxyConf = `
Listen 127.0.0.1
Port %d
BasicAuth %s %s
ConnectPort %s
`

func configureTinyproxy(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	err := s.write("tinyproxy.conf", fmt.Sprintf(tinyproxyConf, s.Ports[proxy], ProxyUser, Password, settings[0]))
	return exec.Command(binary, "-d", "-c", s.path("tinyproxy.conf")), err
}

const danteConf = `
logoutput: stdout
internal: 127.0.0.1 port = %d
external: 127.0.0.1
clientmethod: none
socksmethod: none
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks block { from: 0.0.0.0/0 to: 0.0.0.0/0 port = %s log: error }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 log: connect }
`

func configureDante(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	err := s.write("danted.conf", fmt.Sprintf(danteConf, s.Ports[proxy], settings[0]))
	return exec.Command(binary, "-f", s.path("danted.conf"), "-p", s.path("pid")), err
}

func configureMicrosocks(s *Server, binary string, _ []string) (*exec.Cmd, error) {
	return exec.Command(binary, "-i", "127.0.0.1", "-p", strconv.Itoa(s.Ports[proxy]), "-u", ProxyUser, "-P", Password), nil
}

const haproxyConf = `
global
  log stdout format raw local0
defaults
  mode tcp
  log global
  option tcplog
  timeout connect 10s
  timeout client 1m
  timeout server 1m
listen imap
  bind 127.0.0.1:%d accept-proxy
  server imap 127.0.0.1:%s
`

func configureHAProxy(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	err := s.write("haproxy.cfg", fmt.Sprintf(haproxyConf, s.Ports[proxy], settings[0]))
	return exec.Command(binary, "-db", "-f", s.path("haproxy.cfg")), err
}
