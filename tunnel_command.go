package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"tlsup/internal/quote"
	"tlsup/tunnel"
)

// tunnelCommand runs the command while the tunnel serves, and ends with its status. What its
// connections have sent is given --drain to arrive, as at any end of the tunnel.
func (p *program) tunnelCommand(ctx context.Context, pl *tunnelPlan) error {
	stop, end := context.WithCancel(ctx)
	defer end()
	served := make(chan error, 1)
	go func() { served <- p.serve(stop, ctx, pl) }()
	pl.command.Env = append(withoutAddresses(p.environment()), addresses(pl.server.Pairs)...)
	ended := p.runCommand(ctx, pl.command)
	end()
	err := <-served
	if ended == nil {
		return err
	}
	p.message.failure(err) // perhaps the command failed for that
	return ended
}

// runCommand runs the command with our stdin and stdout. Signals are its own as long as it runs.
func (p *program) runCommand(ctx context.Context, command *exec.Cmd) error {
	command.Stdin, command.Stdout, command.Stderr = p.stdin, p.stdout, os.Stderr
	hand := p.handSignals()
	err := command.Start()
	hand(command.Process)
	if err != nil {
		return usagef("command %s: %w", quote.Short(command.Path), err)
	}
	early := context.AfterFunc(ctx, func() { // a signal that came before
		var sig signalError
		if errors.As(context.Cause(ctx), &sig) {
			command.Process.Signal(sig.Signal)
		}
	})
	defer early()
	err = command.Wait()
	p.child.Store(nil)
	return commandStatus(err)
}

// addressVariables tell a command where the tunnel listens: those of the second pair and of
// further ones have its number behind them (TLSUP_ADDR_2).
var addressVariables = []string{"TLSUP_ADDR", "TLSUP_HOST", "TLSUP_PORT"}

// addresses are the variables that tell where the pairs listen. A Unix socket has an address alone:
// its path.
func addresses(pairs []tunnel.Pair) (variables []string) {
	for i, pair := range pairs {
		values := []string{pair.Listener.Addr().String()}
		if tcp, ok := pair.Listener.Addr().(*net.TCPAddr); ok {
			host, port := clientHost(tcp), strconv.Itoa(tcp.Port)
			values = []string{net.JoinHostPort(host, port), host, port}
		}
		for j, value := range values {
			name := addressVariables[j]
			if i > 0 {
				name += "_" + strconv.Itoa(i+1)
			}
			variables = append(variables, name+"="+value)
		}
	}
	return variables
}

// clientHost is where a client on this machine finds a listener.
func clientHost(a *net.TCPAddr) string {
	ip := a.IP
	if ip.IsUnspecified() {
		ip = net.IPv6loopback
		if a.IP.To4() != nil {
			ip = net.IPv4(127, 0, 0, 1)
		}
	}
	return (&net.IPAddr{IP: ip, Zone: a.Zone}).String()
}

// withoutAddresses leaves out the variables of a tunnel that this one was started in.
func withoutAddresses(environ []string) (kept []string) {
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		ours := false
		for _, address := range addressVariables {
			ours = ours || name == address || strings.HasPrefix(name, address+"_")
		}
		if !ours {
			kept = append(kept, variable)
		}
	}
	return kept
}
