package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tlsup/internal/gnutls"
)

// TestMain lets the test binary be the program: scripts and terminals start it by the
// name tlsup, or gnutls-cli. plain is a client that knows nothing of TLS.
func TestMain(m *testing.M) {
	testscript.Main(hearing{m}, map[string]func(){"tlsup": main, gnutls.Name: main, "plain": plain})
}

// hearing runs the tests with no signal ignored, or the programs that they start would
// ignore it too: a test run under nohup, or in the background of a script.
type hearing struct{ m *testing.M }

func (h hearing) Run() int {
	for _, sig := range endingSignals {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	return h.m.Run()
}

// TestScript runs testdata/script, one file a subject. The commands beyond testscript's
// own are described at scriptCommands.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		Cmds:                scriptCommands,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(name string) (bool, error) {
			switch name {
			case "root":
				return os.Getuid() == 0, nil
			case "ipv6":
				l, err := net.Listen("tcp", "[::1]:0")
				if err == nil {
					l.Close()
				}
				return err == nil, nil
			}
			return false, fmt.Errorf("no such condition: %s", name)
		},
		Setup: func(env *testscript.Env) error {
			if err := writeScriptFiles(env.WorkDir); err != nil {
				return err
			}
			env.Setenv("CA", "--x509cafile=ca.pem")
			env.Setenv("GORACE", gorace)
			env.Setenv("CRLF", "a\r\nb") // no name
			env.Values[scriptKey{}] = &script{env: env}
			return nil
		},
	})
}

// gorace keeps the race detector from waiting a second at each exit.
const gorace = "atexit_sleep_ms=0"
