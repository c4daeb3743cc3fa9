// Package trust decides whom a TLS client believes. It makes TLS settings from the
// user's options ([Load], [Config.Client]), verifies the certificate of each session,
// and says in words what was agreed ([Config.Describe]) and what is wrong ([Error]).
//
// crypto/tls verifies for the name that it sends as SNI. Here the two may differ, and a
// refusal has to explain itself, so that the verification is this package's own, by
// [x509.Certificate.Verify], in each handshake, resumed or not.
package trust

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"tlsup/internal/quote"
)

// Settings are the user's wishes as given on the command line. The zero value is the
// safe default.
type Settings struct {
	// CAFiles (--x509cafile) are PEM files, or directories of them. They replace the
	// system's roots; none means the system's roots.
	CAFiles []string
	// CertFile (--x509certfile) is a PEM file with the client's own certificate, followed
	// by its intermediates, or a PKCS#12 file with the key too; "" for none.
	CertFile string
	// KeyFile (--x509keyfile) is a PEM file with the key of CertFile: PKCS#8, PKCS#1 or
	// SEC 1, perhaps encrypted (RFC 5958, RFC 1421). Empty for PKCS#12.
	KeyFile string
	// SNI (--sni-hostname) is the name sent (RFC 6066, 3). Nil: the name to verify, unless
	// it is an address. Empty: none is sent.
	SNI *string
	// VerifyName (--verify-hostname) is the name or address that the certificate has to be
	// valid for. Empty: the server's name.
	VerifyName string
	// Insecure (--insecure) lets certificates pass that are not trusted.
	Insecure bool
	// ALPN (--alpn) are the protocols offered (RFC 7301). Nil: the protocol's own. A single
	// empty name: none.
	ALPN []string
	// TLSMin and TLSMax (--tls-min, --tls-max) are "1.0" to "1.3". Empty: 1.2 and 1.3.
	TLSMin, TLSMax string
	// Ciphers (--ciphers) are the suites offered for TLS up to 1.2, by their IANA or OpenSSL
	// names, separated by commas or colons. Their order means nothing. Empty: Go's default.
	Ciphers string
	// Legacy (--legacy) offers what old servers need as well, where TLSMin and Ciphers leave it open:
	// TLS 1.0, the key exchange by RSA, and 3DES.
	Legacy bool
	// Groups (--groups) are the key exchanges offered, separated by commas or colons. Their
	// order means nothing. Empty: Go's default.
	Groups string

	// ECH (--ech) is an ECHConfigList in base64, or a file with one; "" for none.
	ECH string

	// Pins (--pin) are the server's keys that are accepted: "sha256//" and the hash in base64,
	// several separated by semicolons. CertPins (--pin-cert) are whole certificates: their
	// SHA-256 in hexadecimal, perhaps with colons. One of all of them has to be the server's.
	Pins, CertPins []string
	// PinOnly (--pin-only) has the pins stand in place of the chain, not beside it.
	PinOnly bool
	// KnownHosts (--tofu, --strict-tofu) is the file with the servers' keys that were seen before,
	// which stand in place of the chain; "" for none.
	KnownHosts string
	// GnutlsHosts is GnuTLS's own file of known hosts, which is read for servers that are not in
	// KnownHosts; "" for none.
	GnutlsHosts string
	// Ask asks a person whether the key of a server that is not known is to be trusted from now on.
	// The question has several lines. Nil: there is nobody to ask, and it is not trusted.
	Ask func(question string) (bool, error)

	// DANE (--dane) has TLSA records decide (RFC 6698), in place of the chain or, as their usage says,
	// besides: those of Server.DANE.
	DANE bool

	// OCSP (--ocsp) asks the OCSP responder that the certificate names, unless the server staples its
	// answer. CRLFiles (--x509crlfile) are files with lists of revoked certificates, PEM or DER.
	OCSP     bool
	CRLFiles []string
	// KeyLog (--keylog, SSLKEYLOGFILE) is a file that the sessions' keys are appended to; "" for none.
	KeyLog string

	// StrictStaple refuses a certificate whose stapled OCSP response proves nothing. Without it, such a
	// response is as good as none.
	StrictStaple bool
	// AllowBroken takes signatures with SHA-1, which can be forged, in certificates.
	AllowBroken bool
	// Retrieve has [Config.Retrieve] fetch the certificates of issuers that servers leave out.
	Retrieve bool
	// Time is the moment for which certificates, lists and responses are judged; zero: now.
	Time time.Time

	// SessionFile (--session) is a file in which sessions are kept for resumption in later runs; "" for
	// none.
	SessionFile string

	// DER tells that the files above hold one certificate or key each, in DER.
	DER bool
	// Strength bounds the keys and signatures of chains, as GnuTLS does; nil: RSA keys have to be of
	// 2048 bits at least.
	Strength *Strength
	// IgnoreRevoked has lists of revoked certificates and stapled OCSP responses count for nothing.
	IgnoreRevoked bool
	// NoRoots leaves the system's roots out though CAFiles is empty: nothing is trusted.
	NoRoots bool

	// Passphrase asks the person for the passphrase of an encrypted key or PKCS#12 file. What it
	// returns is overwritten after use. Nil: there is nobody to ask.
	Passphrase func(file string) ([]byte, error)
}

// A Config is checked settings. Its methods may be called by several goroutines at once.
type Config struct {
	shared       *tls.Config // what all connections share
	sni          *string
	verifyName   string
	insecure     bool
	allowBroken  bool
	strictStaple bool
	old          bool // Legacy was given
	legacy       bool // and the suites are its own
	strength     *Strength
	skipRevoked  bool
	alpn         []string
	anchors      []anchor       // nil: the system's roots
	roots        *x509.CertPool // the anchors; nil: the system's roots
	anchorsAre   string         // what they are called, if they are not those of --x509cafile
	found        *memory        // chains that were verified
	dane         bool           // TLSA records decide
	ocsp         *responders    // nil: nobody is asked
	crls         []crl
	retrieved    *issuers  // nil: none is fetched
	time         time.Time // zero: now
	pins         pins
	known        *known                                // nil: the chain is what counts
	server       Server                                // of For
	retried      bool                                  // of Retry
	wanted       string                                // --tls-min, if it is higher than the default
	narrowed     []string                              // the options that offer less than the defaults
	sessions     string                                // the file with sessions; "" for none
	look         *Look                                 // of Inspect
	change       func(config *tls.Config, name string) // of Changed
}

// Load checks the settings and reads the files. Every error is a fault of the command
// line, and names the option and the file or word. It touches no network, and asks for
// a passphrase only when all else is right.
func Load(s Settings) (*Config, error) {
	c := &Config{
		sni: s.SNI, verifyName: s.VerifyName, insecure: s.Insecure, allowBroken: s.AllowBroken, strictStaple: s.StrictStaple, dane: s.DANE, old: s.Legacy, strength: s.Strength, skipRevoked: s.IgnoreRevoked, time: s.Time, found: new(memory),
		// The verification is Client's VerifyConnection. Records are as large as what is written: some
		// servers want a packet whole in one.
		shared: &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true},
	}
	if s.KnownHosts != "" {
		c.known = &known{s.KnownHosts, s.GnutlsHosts, s.Ask}
	}
	if s.OCSP {
		c.ocsp = &responders{known: map[[sha256.Size]byte]answer{}}
	}
	if s.Retrieve {
		c.retrieved = new(issuers)
	}
	if s.TLSMin == "1.3" {
		c.wanted = s.TLSMin
	}
	for _, option := range []struct{ name, given string }{{"--ciphers", s.Ciphers}, {"--groups", s.Groups}, {"--tls-max", s.TLSMax}} {
		if option.given != "" {
			c.narrowed = append(c.narrowed, option.name)
		}
	}
	steps := []func(*Settings) error{
		c.loadVersions, c.loadCiphers, c.loadGroups, c.loadALPN, c.loadNames, c.loadPins, c.loadKeyLog, c.loadSessions, c.loadAnchors, c.loadCRLs, c.loadECH, c.loadKeys,
	}
	for _, step := range steps {
		if err := step(&s); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// now is the moment for which certificates are judged.
func (c *Config) now() time.Time {
	if c.time.IsZero() {
		return time.Now()
	}
	return c.time
}

// Client returns the settings for one connection to a server whose certificate has to be
// valid for name, a domain name or an address. alpn is what the protocol wants offered,
// used when the user gave none. What others are asked about the certificate ends with ctx, perhaps
// of Watching's: crypto/tls does not give it to VerifyConnection. The handshake's error is an *Error when the certificate
// is not trusted. A resumed session is verified like a new one. The caller may set a session cache
// in place of Server's, whose sessions end by themselves.
func (c *Config) Client(ctx context.Context, name string, alpn []string) *tls.Config {
	name = c.reference(name)
	config := c.shared.Clone()
	config.ServerName = name
	if d := c.server.DANE; d != nil && d.usable() {
		config.ServerName = d.Names[0] // it says which certificate is meant (RFC 7671, 8)
	}
	if c.sni != nil {
		config.ServerName = *c.sni
	}
	config.NextProtos = alpn
	if c.alpn != nil {
		config.NextProtos = c.alpn
	}
	h := &handling{ctx: ctx, notice: c.notice}
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		h.begin(cs.DidResume)
		defer h.end()
		if c.insecure {
			return nil
		}
		err := c.handle(cs, name, h)
		if c.known != nil {
			err = c.settle(cs, name, err)
		}
		seenIn(h.ctx).verdict = err
		return err
	}
	if config.GetClientCertificate == nil {
		config.GetClientCertificate = giveNone
	}
	if cache := c.sessionCache(config); cache != nil {
		config.ClientSessionCache = &endingSessions{cache, h}
	}
	if c.look != nil {
		c.watch(config, name, h)
	}
	if c.change != nil {
		c.change(config, name)
	}
	return config
}

// Limit returns the settings for a protocol that is for versions of TLS from min to max only; 0:
// any. Its error names the option that asks for another.
func (c *Config) Limit(protocol string, min, max uint16) (*Config, error) {
	limited := *c
	limited.shared = c.shared.Clone()
	if min > c.shared.MinVersion {
		limited.shared.MinVersion = min
	}
	if max != 0 && max < c.shared.MaxVersion {
		limited.shared.MaxVersion = max
	}
	ech := c.shared.EncryptedClientHelloConfigList != nil
	least, most := protocol+" is for "+tls.VersionName(min)+" and newer", protocol+" allows "+tls.VersionName(max)+" at most"
	switch groups := c.shared.CurvePreferences; {
	case min > c.shared.MaxVersion:
		return nil, fmt.Errorf("--tls-max %s: %s", versionWord(c.shared.MaxVersion), least)
	case min == tls.VersionTLS13 && c.shared.CipherSuites != nil && !c.legacy:
		return nil, fmt.Errorf("--ciphers names only suites before TLS 1.3: %s", least)
	case ech && max != 0 && max < tls.VersionTLS13:
		return nil, fmt.Errorf("--ech needs TLS 1.3: %s", most)
	case max != 0 && max < c.shared.MinVersion:
		return nil, fmt.Errorf("--tls-min %s: %s", versionWord(c.shared.MinVersion), most)
	case limited.shared.MaxVersion < tls.VersionTLS13 && groups != nil && onlyFor13(groups):
		return nil, fmt.Errorf("--groups names only groups of TLS 1.3: %s", most)
	}
	return &limited, nil
}

// reference is the reference identifier (RFC 9525): the name that a certificate is
// verified for. An address is bare, without brackets and zone.
func (c *Config) reference(name string) string {
	if c.verifyName != "" {
		name = c.verifyName
	}
	if ip, err := parseAddress(name); err == nil {
		return ip.WithZone("").String()
	}
	return name
}

func parseAddress(name string) (netip.Addr, error) {
	return netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
}

var versions = []struct {
	word string
	id   uint16
}{{"1.0", tls.VersionTLS10}, {"1.1", tls.VersionTLS11}, {"1.2", tls.VersionTLS12}, {"1.3", tls.VersionTLS13}}

func (c *Config) loadVersions(s *Settings) (err error) {
	least := uint16(tls.VersionTLS12)
	if s.Legacy {
		least = tls.VersionTLS10
	}
	if c.shared.MinVersion, err = parseVersion("--tls-min", s.TLSMin, least); err != nil {
		return err
	}
	if c.shared.MaxVersion, err = parseVersion("--tls-max", s.TLSMax, tls.VersionTLS13); err != nil {
		return err
	}
	switch {
	case c.shared.MinVersion <= c.shared.MaxVersion:
		return nil
	case s.TLSMin == "":
		return fmt.Errorf("--tls-max %s is below 1.2, the default of --tls-min: give --tls-min too", s.TLSMax)
	default:
		return fmt.Errorf("--tls-min %s is above --tls-max %s", s.TLSMin, s.TLSMax)
	}
}

func parseVersion(option, word string, none uint16) (uint16, error) {
	if word == "" {
		return none, nil
	}
	for _, v := range versions {
		if v.word == word {
			return v.id, nil
		}
	}
	return 0, fmt.Errorf("%s %s: no such version of TLS; known are 1.0, 1.1, 1.2 and 1.3", option, quote.Short(word))
}

func versionWord(id uint16) string {
	for _, v := range versions {
		if v.id == id {
			return v.word
		}
	}
	return tls.VersionName(id)
}

// loadALPN checks what crypto/tls would find out only in the handshake (RFC 7301, 3.1).
func (c *Config) loadALPN(s *Settings) error {
	if len(s.ALPN) == 1 && s.ALPN[0] == "" {
		c.alpn = []string{}
		return nil
	}
	total := 0
	for _, name := range s.ALPN {
		if name == "" || len(name) > 255 {
			return fmt.Errorf("--alpn %s: a protocol's name has 1 to 255 bytes, this one has %d", quote.Short(name), len(name))
		}
		total += 1 + len(name)
	}
	if total > 65535 {
		return errors.New("--alpn: the names are longer than 65535 bytes together")
	}
	c.alpn = s.ALPN
	return nil
}

func (c *Config) loadNames(s *Settings) (err error) {
	if _, notOne := parseAddress(s.VerifyName); notOne != nil && s.VerifyName != "" {
		if c.verifyName, err = asciiName("--verify-hostname", s.VerifyName); err != nil {
			return err
		}
	}
	if s.SNI == nil || *s.SNI == "" {
		return nil
	}
	if _, err := parseAddress(*s.SNI); err == nil {
		// crypto/tls would leave it out without a word.
		return fmt.Errorf("--sni-hostname %s: an address cannot be sent as a server name; an empty one sends none", *s.SNI)
	}
	sni, err := asciiName("--sni-hostname", *s.SNI)
	c.sni = &sni
	return err
}

// asciiName is a domain name as it stands in certificates and handshakes: what is in another script
// becomes "xn--..." (RFC 5890).
func asciiName(option, name string) (string, error) {
	if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", fmt.Errorf("%s %s: this is no domain name", option, quote.Short(name))
		}
		name = ascii
	}
	return name, checkName(option, name)
}

// checkName accepts what can be a domain name in a handshake.
func checkName(option, name string) error {
	if len(name) > 255 {
		return fmt.Errorf("%s %s: a name has at most 255 bytes, this one has %d", option, quote.Short(name), len(name))
	}
	for _, r := range name {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '.', r == '-', r == '_':
		default:
			return fmt.Errorf("%s %s: %q cannot be part of a name", option, quote.Short(name), r)
		}
	}
	if strings.Trim(name, ".") == "" {
		return fmt.Errorf("%s %s: this is no name", option, quote.Short(name))
	}
	return nil
}
