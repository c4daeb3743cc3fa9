package trust

import (
	"bytes"
	"crypto/x509"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A memory keeps chains that were found good. For the same certificates, name and trust anchors
// nothing but the time can change the answer, and that is looked at again each time; settings with
// other anchors need another memory. What it saves are the signatures of a server's certificates, in
// each of its sessions. What is known of revocation, pins and known hosts is not kept.
type memory struct {
	mu    sync.Mutex
	found []foundChain // the latest last
}

// A foundChain is what was found for the certificates that a server sent.
type foundChain struct {
	name        string
	sent, chain []*x509.Certificate
}

// systemVerifies tells that x509 leaves chains to the system's roots to the system's own verifier,
// whose mind may change.
const systemVerifies = runtime.GOOS == "windows" || runtime.GOOS == "darwin" || runtime.GOOS == "ios"

// keptChains bounds a memory.
const keptChains = 16

// find returns the chain that was found before, nil for none that is good now.
func (m *memory) find(sent []*x509.Certificate, name string, now time.Time) []*x509.Certificate {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.found, func(f foundChain) bool { return f.isFor(sent, name) })
	if i < 0 || slices.ContainsFunc(m.found[i].chain, func(c *x509.Certificate) bool { return now.Before(c.NotBefore) || now.After(c.NotAfter) }) {
		return nil
	}
	return m.found[i].chain
}

// keep keeps a chain, and forgets the oldest if there are too many.
func (m *memory) keep(sent []*x509.Certificate, name string, chain []*x509.Certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.found = slices.DeleteFunc(m.found, func(f foundChain) bool { return f.isFor(sent, name) })
	if len(m.found) >= keptChains {
		m.found = slices.Delete(m.found, 0, 1)
	}
	m.found = append(m.found, foundChain{name, sent, chain})
}

func (f *foundChain) isFor(sent []*x509.Certificate, name string) bool {
	return f.name == name && slices.EqualFunc(f.sent, sent, sameCertificate)
}

func sameCertificate(a, b *x509.Certificate) bool { return a == b || bytes.Equal(a.Raw, b.Raw) }
