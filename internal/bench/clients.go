package main

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// A client is a program and how it is called. In a command CA stands for the file with
// the server's authority and PORT for the server's port.
type client struct {
	Name     string
	Version  string `json:",omitempty"`
	TLS      string // the command for TLS from the first byte
	STARTTLS string `json:",omitempty"` // the command that upgrades by SMTP, empty if there is none

	versionArg string
	// keepsInput: in downloads standard input stays open, in place of /dev/null.
	keepsInput bool
	// noDownload tells why downloads are not measured.
	noDownload string
}

// subject is the client that the others are peers of.
const subject = "tlsup"

// All verify the server's certificate and its name, print nothing but the session's bytes
// to standard output, and go on reading after the end of standard input.
var clients = []client{
	{
		Name:     subject,
		TLS:      "tlsup --x509cafile CA 127.0.0.1 PORT",
		STARTTLS: "tlsup --x509cafile CA smtp://127.0.0.1:PORT",
	},
	{
		Name:       "openssl",
		TLS:        "openssl s_client -quiet -CAfile CA -verify_return_error -verify_hostname localhost -connect 127.0.0.1:PORT",
		STARTTLS:   "openssl s_client -quiet -CAfile CA -verify_return_error -verify_hostname localhost -starttls smtp -connect 127.0.0.1:PORT",
		versionArg: "version",
		keepsInput: true, // with -quiet it spins at the end of its input
	},
	{
		Name:       "gnutls-cli",
		TLS:        "gnutls-cli --logfile " + os.DevNull + " --x509cafile CA --verify-hostname localhost --port PORT 127.0.0.1",
		STARTTLS:   "gnutls-cli --logfile " + os.DevNull + " --x509cafile CA --verify-hostname localhost --starttls-proto smtp --port PORT 127.0.0.1",
		versionArg: "--version",
		noDownload: "writes each byte by a system call of its own",
	},
	{
		Name:       "socat",
		TLS:        "socat -b 131072 - OPENSSL:127.0.0.1:PORT,cafile=CA,verify=1,commonname=localhost",
		versionArg: "-V",
	},
	{
		Name:       "ncat", // without --no-shutdown, with which it does not notice that the server has closed
		TLS:        "ncat --ssl --ssl-verify --ssl-trustfile CA --ssl-servername localhost 127.0.0.1 PORT",
		versionArg: "--version",
	},
}

// args returns the command with its places filled.
func args(command, program, ca string, port int) []string {
	fill := strings.NewReplacer("CA", ca, "PORT", strconv.Itoa(port))
	words := strings.Fields(command)
	for i, word := range words {
		if !strings.HasPrefix(word, "-") { // -CAfile is an option
			words[i] = fill.Replace(word)
		}
	}
	words[0] = program
	return words
}

// installed tells which clients there are, with their versions, and which are missing.
func installed(ctx context.Context) (there []client, missing []string) {
	for _, c := range clients {
		if c.Name == subject {
			there = append(there, c)
			continue
		}
		var ok bool
		if c.Version, ok = version(ctx, c.Name, c.versionArg); !ok {
			missing = append(missing, c.Name)
			continue
		}
		there = append(there, c)
	}
	return there, missing
}

// version returns what a program says about its version, and whether it is installed.
func version(ctx context.Context, name, arg string) (text string, ok bool) {
	if _, err := exec.LookPath(name); err != nil {
		return "", false
	}
	out, _ := exec.CommandContext(ctx, name, arg).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		// socat names its authors first.
		if strings.ContainsAny(line, "0123456789") {
			return strings.TrimSpace(line), true
		}
	}
	return "", true
}

// buildTags are the Makefile's.
const buildTags = "urfave_cli_no_docs,nethttpomithttp2"

// buildSubject builds tlsup from this module, as it is released: with what "make" sets.
func buildSubject(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", buildTags, "-o", path, "tlsup")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}
