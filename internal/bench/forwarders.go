package main

import (
	"context"
	"os"
	"strconv"
	"strings"
)

// A forwarder is a program that takes connections in the clear and leads them to a server.
// In Command, Config and Ways $LISTEN and $PORT stand for its own port and the server's, $CA
// for the file with the server's authority, $CONFIG for the file with Config, and $WAY for
// one of Ways.
type forwarder struct {
	Name    string
	Version string `json:",omitempty"`
	Command string
	Config  string `json:",omitempty"`
	// Ways are by what goes before the session: tls for nothing, or the protocol that upgrades;
	// raw is for none at all.
	Ways map[string]string

	versionArg string
	// forks: there is a process for each connection, whose memory can't be told from the others'
	// and which has no session to resume.
	forks bool
}

// All verify the server's certificate and its name. Each logs what it logs by default.
var forwarders = []forwarder{
	{
		Name:    subject,
		Command: "tlsup tunnel --max-connections 10000 $WAY",
		Ways: map[string]string{
			"tls":      "--x509cafile $CA 127.0.0.1:$LISTEN tls://127.0.0.1:$PORT",
			"smtp":     "--x509cafile $CA 127.0.0.1:$LISTEN smtp://127.0.0.1:$PORT",
			"imap":     "--x509cafile $CA 127.0.0.1:$LISTEN imap://127.0.0.1:$PORT",
			"postgres": "--x509cafile $CA 127.0.0.1:$LISTEN postgres://127.0.0.1:$PORT",
			"raw":      "--raw 127.0.0.1:$LISTEN tls://127.0.0.1:$PORT",
		},
	},
	{
		Name:    "stunnel4",
		Command: "stunnel4 $CONFIG",
		Config: `foreground = yes
pid =
[bench]
client = yes
accept = 127.0.0.1:$LISTEN
connect = 127.0.0.1:$PORT
CAfile = $CA
verifyChain = yes
checkHost = localhost
$WAY
`,
		Ways: map[string]string{
			"tls":      "",
			"smtp":     "protocol = smtp",
			"imap":     "protocol = imap",
			"postgres": "protocol = pgsql",
		},
		versionArg: "-version",
	},
	{
		Name:    "haproxy",
		Command: "haproxy -db -f $CONFIG",
		Config: `global
	maxconn 6000
defaults
	mode tcp
	maxconn 6000
	timeout connect 1m
	timeout client 10m
	timeout server 10m
listen bench
	bind 127.0.0.1:$LISTEN
	server bench 127.0.0.1:$PORT $WAY
`,
		Ways:       map[string]string{"tls": `ssl verify required ca-file "$CA" verifyhost localhost`},
		versionArg: "-v",
	},
	{
		Name:    "socat",
		Command: "socat -b 131072 TCP-LISTEN:$LISTEN,bind=127.0.0.1,reuseaddr,backlog=128,fork $WAY",
		Ways: map[string]string{
			"tls": "OPENSSL:127.0.0.1:$PORT,cafile=$CA,verify=1,commonname=localhost",
			"raw": "TCP:127.0.0.1:$PORT",
		},
		versionArg: "-V",
		forks:      true,
	},
}

// lines returns the command and the configuration with one of the ways in its place.
func (f forwarder) lines(way string) (command, config string) {
	fill := strings.NewReplacer("$WAY", f.Ways[way])
	return fill.Replace(f.Command), fill.Replace(f.Config)
}

// call returns the arguments and the configuration with all places filled.
func (f forwarder) call(way string, places map[string]string) (argv []string, config string) {
	expand := func(s string) string { return os.Expand(s, func(name string) string { return places[name] }) }
	command, config := f.lines(way)
	for _, word := range strings.Fields(command) {
		argv = append(argv, expand(word))
	}
	return argv, expand(config)
}

// places are what stands for the names in a forwarder's command.
func places(ca, config string, listen, port int) map[string]string {
	return map[string]string{"CA": ca, "CONFIG": config, "LISTEN": strconv.Itoa(listen), "PORT": strconv.Itoa(port)}
}

// installedForwarders tells which forwarders there are, with their versions, and which are missing.
func installedForwarders(ctx context.Context) (there []forwarder, missing []string) {
	for _, f := range forwarders {
		if f.Name != subject {
			var ok bool
			if f.Version, ok = version(ctx, f.Name, f.versionArg); !ok {
				missing = append(missing, f.Name)
				continue
			}
		}
		there = append(there, f)
	}
	return there, missing
}
