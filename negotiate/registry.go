package negotiate

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// A Family groups protocols in lists.
type Family int

const (
	General Family = iota
	Mail
	Chat
	Directory
	Database
	Files
	Remote
)

// registered are all protocols, as they came: finding one needs no order.
var registered []*Protocol

// register adds protocols to the registry. It is called when each program starts, so that it does no
// more: nor does a Protocol cost anything then, if it has a variable of its own that calls nothing.
func register(protocols ...*Protocol) struct{} {
	registered = append(registered, protocols...)
	return struct{}{}
}

// protocols are all protocols, by family and name.
var protocols = sync.OnceValue(func() []*Protocol {
	return slices.SortedFunc(slices.Values(registered), func(a, b *Protocol) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), strings.Compare(a.Name, b.Name))
	})
})

// greetsInside is what there is to know of a server that greets like its sibling in the clear.
const greetsInside = "The server greets inside TLS, and the greeting reaches the user."

// All returns every protocol, by family and name.
func All() []*Protocol { return slices.Clone(protocols()) }

// Default is the protocol that examples use when none is named.
func Default() *Protocol { return smtp }

// TLS is the protocol that is nothing but TLS from the first byte.
func TLS() *Protocol { return implicitTLS }

// Find returns the protocol of that name or alias, in any case, or nil.
func Find(name string) *Protocol {
	for _, p := range registered {
		if strings.EqualFold(p.Name, name) || slices.ContainsFunc(p.Aliases, func(a string) bool { return strings.EqualFold(a, name) }) {
			return p
		}
	}
	return nil
}

// Recognise returns the protocols that upgrade and whose servers greet like this, the
// one whose port it is first.
func Recognise(greeting []byte, port int) []*Protocol {
	var found []*Protocol
	for _, p := range protocols() {
		if p.Recognise != nil && p.Recognise(greeting) {
			found = append(found, p)
		}
	}
	slices.SortStableFunc(found, func(a, b *Protocol) int {
		switch {
		case a.Port == b.Port:
			return 0
		case a.Port == port:
			return -1
		case b.Port == port:
			return 1
		}
		return 0
	})
	return found
}

// OnPort returns the protocol registered for a port, or nil.
func OnPort(port int) *Protocol {
	for _, p := range protocols() {
		if p.Port == port && port != 0 {
			return p
		}
	}
	return nil
}
