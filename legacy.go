package main

import (
	"os"

	"github.com/urfave/cli/v2"
)

// useLegacy does the part of --legacy that is no setting of a session: crypto/tls accepts signatures
// with SHA-1 in TLS 1.2 for a process as a whole, by GODEBUG. What the user has set there goes before
// it, and a COMMAND gets what it would get without it.
func (p *program) useLegacy(c *cli.Context) error {
	if !c.Bool("legacy") {
		return nil
	}
	p.environ = os.Environ()
	settings := "tlssha1=1"
	if given := os.Getenv("GODEBUG"); given != "" {
		settings += "," + given // of two the later one counts
	}
	return os.Setenv("GODEBUG", settings)
}

// environment is a COMMAND's.
func (p *program) environment() []string {
	if p.environ != nil {
		return p.environ
	}
	return os.Environ()
}
