package trust

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"

	"tlsup/internal/quote"
)

// Encrypted Client Hello (RFC 9849): the server's name and the rest of the offer are encrypted for the
// server, inside a ClientHello with the public name of its configuration. A server that rejects it
// proves to be the one of the public name, and may say which configuration it wants.

// An ECHError tells that the server rejected Encrypted Client Hello: nothing was agreed on.
type ECHError struct {
	// PublicName is the one in the configuration, that the server had to be.
	PublicName string
	// Retry is the ECHConfigList that the server wants, which it has proved to be its own; nil: it
	// wants none.
	Retry []byte
	// Untrusted tells that the server did not prove to be the one of PublicName; nil if it did.
	Untrusted *Error
}

// Error says what happened. What comes from the network is escaped.
func (e *ECHError) Error() string {
	const rejected = "server rejects Encrypted Client Hello"
	switch {
	case e.Untrusted != nil:
		return fmt.Sprintf("%s, and is not trusted as %s, the configuration's public name: %v", rejected, value(e.PublicName), e.Untrusted)
	case e.Retry != nil:
		return rejected + " with this configuration, and names another"
	}
	return rejected + ", and names no configuration that it would take"
}

// Hint says what to do about it.
func (e *ECHError) Hint() string {
	switch {
	case e.Untrusted != nil:
		return "the configuration may be another server's, or out of date: get the one in the HTTPS record of the server's name"
	case e.Retry != nil:
		return "the configuration that it wants: " + e.Option()
	}
	return "without --ech the server's name is sent in the clear"
}

// Option is what gives Retry on the command line.
func (e *ECHError) Option() string { return "--ech " + base64.StdEncoding.EncodeToString(e.Retry) }

// Unwrap returns Untrusted.
func (e *ECHError) Unwrap() error {
	if e.Untrusted == nil {
		return nil
	}
	return e.Untrusted
}

func (c *Config) loadECH(s *Settings) error {
	if s.ECH == "" {
		return nil
	}
	list, err := readECH(s.ECH)
	if err == nil {
		err = checkECH(list)
	}
	switch {
	case err != nil:
		return fmt.Errorf("--ech %s: %w", quote.Short(s.ECH), err)
	case s.TLSMin != "" && c.shared.MinVersion < tls.VersionTLS13:
		return fmt.Errorf("--ech needs TLS 1.3: --tls-min %s can't be used with it", s.TLSMin)
	case c.shared.MaxVersion < tls.VersionTLS13:
		return fmt.Errorf("--ech needs TLS 1.3, which --tls-max %s rules out", s.TLSMax)
	}
	c.shared.MinVersion = tls.VersionTLS13
	c.useECH(list)
	return nil
}

// useECH makes list what the offer is encrypted with. A rejection is verified by crypto/tls in the
// handshake, against the same roots as all else: RootCAs has no other use, and --insecure no effect.
func (c *Config) useECH(list []byte) {
	c.shared.EncryptedClientHelloConfigList = list
	c.shared.RootCAs = c.roots
}

// readECH takes an ECHConfigList in base64, or a file with one: in PEM (RFC 9934), in base64, or as it
// stands.
func readECH(word string) ([]byte, error) {
	if list, ok := decodeECH(word); ok {
		return list, nil
	}
	data, err := os.ReadFile(word)
	if err != nil {
		return nil, fmt.Errorf("this is no ECHConfigList in base64, nor a file: %w", withoutPath(err))
	}
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "ECHCONFIG" {
			return block.Bytes, nil
		}
	}
	if list, ok := decodeECH(string(bytes.TrimSpace(data))); ok {
		return list, nil
	}
	if !isECHList(data) {
		return nil, errors.New("the file holds no ECHConfigList: PEM with ECHCONFIG, base64, or the bytes themselves")
	}
	return data, nil
}

func decodeECH(text string) ([]byte, bool) {
	list, err := base64.StdEncoding.DecodeString(text)
	return list, err == nil && isECHList(list)
}

// isECHList reports whether data has the length of the list that it begins with (RFC 9849, 4).
func isECHList(data []byte) bool {
	return len(data) > 2 && int(data[0])<<8|int(data[1]) == len(data)-2
}

var errNotSent = errors.New("not sent")

// nowhere is a connection that nothing gets onto.
type nowhere struct{ net.Conn }

func (nowhere) Write([]byte) (int, error) { return 0, errNotSent }

// checkECH has crypto/tls itself say whether it can use the list: it makes a ClientHello.
func checkECH(list []byte) error {
	config := &tls.Config{
		ServerName: "localhost", MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519},
		EncryptedClientHelloConfigList: list,
	}
	if err := tls.Client(nowhere{}, config).Handshake(); !errors.Is(err, errNotSent) {
		return fmt.Errorf("the ECHConfigList can't be used: %w", err)
	}
	return nil
}

// OfferedECH reports whether Encrypted Client Hello is offered, and whether with a configuration of
// Retry.
func (c *Config) OfferedECH() (offered, retried bool) {
	return c.shared.EncryptedClientHelloConfigList != nil, c.retried
}

// Retry returns the settings for one more connection, with the configuration that the server wants,
// as RFC 9849, 6.1.6 has it; nil if there was another error, or none that mends it: a server gets one
// try.
func (c *Config) Retry(err error) *Config {
	var rejected *ECHError
	if !errors.As(err, &rejected) || rejected.Retry == nil || c.retried || checkECH(rejected.Retry) != nil {
		return nil
	}
	again := *c
	again.shared, again.retried = c.shared.Clone(), true
	again.useECH(rejected.Retry)
	return &again
}

// Rejection returns the error of a handshake with these settings, which err and the state of the
// connection tell of: an *ECHError if the server rejected Encrypted Client Hello, else err. The
// certificate for the public name is verified by a chain, whatever pins, known hosts and --insecure
// say: they are about the server behind it.
func (c *Config) Rejection(cs tls.ConnectionState, err error) error {
	var rejected *tls.ECHRejectionError
	var untrusted *tls.CertificateVerificationError
	sent := cs.PeerCertificates
	e := &ECHError{PublicName: cs.ServerName}
	switch {
	case errors.As(err, &rejected):
		e.Retry = rejected.RetryConfigList
	case errors.As(err, &untrusted):
		sent = untrusted.UnverifiedCertificates
	default:
		return err
	}
	if len(e.Retry) == 0 {
		e.Retry = nil
	}
	e.Untrusted = c.publicProblem(sent, e.PublicName)
	if e.Untrusted == nil && untrusted != nil { // crypto/tls has more to object to
		e.Untrusted = &Error{Err: untrusted.Err, strict: true}
	}
	if e.Untrusted != nil {
		e.Retry = nil
	}
	return e
}

// publicProblem is what is wrong with the certificate of the server with the public name; nil if it is
// trusted.
func (c *Config) publicProblem(sent []*x509.Certificate, name string) *Error {
	if len(sent) == 0 {
		return refuse(nil, problem{says: errNoCertificate.Error(), err: errNoCertificate})
	}
	chain, problems := c.verifyChain(sent, name)
	if problems == nil && len(chain) > 1 {
		problems = c.checkCRLs(chain, nil)
	}
	if problems == nil {
		return nil
	}
	e := refuse(sent, problems...)
	e.chain, e.strict = chain, true
	return e
}
