// Package trust decides whom a TLS client believes: it makes TLS settings from
// the user's options, verifies certificates, and says in words what was agreed
// and what is wrong.
package trust

import (
	"crypto/tls"
	"crypto/x509"
)

// Settings are the user's wishes as given on the command line. The zero value
// is the safe default.
type Settings struct {
	CAFiles        []string // --x509cafile: PEM files or directories; none: the system's roots
	CertFile       string   // --x509certfile: PEM
	KeyFile        string   // --x509keyfile: PEM
	SNI            *string  // --sni-hostname; nil: the name to verify; "": none is sent
	VerifyName     string   // --verify-hostname; "": the server's name
	Insecure       bool     // --insecure
	ALPN           []string // --alpn; nil: the protocol's own
	TLSMin, TLSMax string   // --tls-min, --tls-max: "1.0" to "1.3"; "": 1.2 and 1.3
	Ciphers        string   // --ciphers: separated by commas or colons
	Groups         string   // --groups: separated by commas or colons

	// Passphrase asks the person for the passphrase of an encrypted key file.
	// Nil: there is nobody to ask.
	Passphrase func(file string) ([]byte, error)
}

// A Config is checked settings. It may be used by several goroutines.
type Config struct {
	settings Settings
}

// Load checks the settings and reads the files.
func Load(s Settings) (*Config, error) {
	return &Config{settings: s}, nil
}

// Client returns the settings for one connection to a server whose certificate
// has to be valid for name.
func (c *Config) Client(name string, alpn []string) *tls.Config {
	return &tls.Config{ServerName: name, NextProtos: alpn, MinVersion: tls.VersionTLS12}
}

// Problem returns what is wrong with the certificate of a session, also when
// --insecure let it pass.
func (c *Config) Problem(cs tls.ConnectionState, name string) error { return nil }

// Describe says in one line what was agreed.
func (c *Config) Describe(cs tls.ConnectionState) string { return "" }

// HandshakeHint gives words for a handshake error; "" if nothing is known.
func HandshakeHint(err error) string { return "" }

// An Error says that a certificate is not trusted.
type Error struct {
	Cert *x509.Certificate // the culprit; nil when there was none
	Err  error             // x509's error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Hint says what would make it right.
func (e *Error) Hint() string { return "" }
