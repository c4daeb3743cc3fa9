// Package tunnel will give clients that know nothing of TLS a local port in front of
// a server that upgrades.
package tunnel
