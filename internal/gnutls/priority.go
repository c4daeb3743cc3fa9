package gnutls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tlsup/internal/quote"
	"tlsup/internal/trust"
)

// A Priority is what a priority string says, as far as crypto/tls can be told.
type Priority struct {
	Min, Max  uint16   // versions of TLS
	Suites    []uint16 // of TLS 1.2 and below; those of TLS 1.3 are always all offered
	Groups    []tls.CurveID
	NoTickets bool

	Strength      trust.Strength // of the certificates; zero: any
	IgnoreRevoked bool           // no list of revoked certificates counts, and no stapled OCSP response
}

// A WordError is a word of a priority string that is not known.
type WordError struct{ Word string }

func (e *WordError) Error() string { return "Syntax error at: " + quote.Escape(e.Word) }

// A MappingError is a word of a priority string that crypto/tls can't be told.
type MappingError struct{ Word, Why string }

func (e *MappingError) Error() string {
	return fmt.Sprintf("--priority: %s can't be done here: %s", quote.Escape(e.Word), e.Why)
}

// The names of what crypto/tls knows, as priority strings have them, in their order of preference.
var (
	versionIDs = []uint16{tls.VersionTLS13, tls.VersionTLS12, tls.VersionTLS11, tls.VersionTLS10}
	ciphers    = []string{"AES-256-GCM", "CHACHA20-POLY1305", "AES-256-CBC", "AES-128-GCM", "AES-128-CBC", "3DES-CBC", "ARCFOUR-128"}
	exchanges  = []string{"ECDHE-ECDSA", "ECDHE-RSA", "RSA"}
	macs       = []string{"SHA1", "SHA256", "AEAD"}
	groupIDs   = []tls.CurveID{
		tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.CurveP256, tls.CurveP384, tls.CurveP521, tls.X25519,
	}
	// signatures are those of certificates and handshakes that crypto/tls offers, which can't be chosen.
	signatures = []string{
		"RSA-SHA256", "RSA-SHA384", "RSA-SHA512", "RSA-SHA1", "ECDSA-SHA1", "EDDSA-ED25519",
		"RSA-PSS-SHA256", "RSA-PSS-SHA384", "RSA-PSS-SHA512", "RSA-PSS-RSAE-SHA256", "RSA-PSS-RSAE-SHA384", "RSA-PSS-RSAE-SHA512",
		"ECDSA-SHA256", "ECDSA-SHA384", "ECDSA-SHA512", "ECDSA-SECP256R1-SHA256", "ECDSA-SECP384R1-SHA384", "ECDSA-SECP521R1-SHA512",
	}
	// modern are the ciphers of TLS 1.3, which can't be chosen.
	modern = []string{"AES-256-GCM", "CHACHA20-POLY1305", "AES-128-GCM"}
)

// absent are words for what crypto/tls has not: taking them away changes nothing.
var absent = []string{
	"VERS-SSL3.0", "VERS-DTLS-ALL", "VERS-DTLS0.9", "VERS-DTLS1.0", "VERS-DTLS1.2",
	"AES-192-CBC", "AES-192-GCM", "AES-128-CCM", "AES-256-CCM", "AES-128-CCM-8", "AES-256-CCM-8", "CAMELLIA-128-CBC",
	"CAMELLIA-192-CBC", "CAMELLIA-256-CBC", "CAMELLIA-128-GCM", "CAMELLIA-256-GCM", "DES-CBC", "RC2-40", "ARCFOUR-40",
	"ESTREAM-SALSA20-256", "SALSA20-256", "GOST28147-TC26Z-CNT", "NULL",
	"DHE-RSA", "DHE-DSS", "PSK", "DHE-PSK", "ECDHE-PSK", "RSA-PSK", "SRP", "SRP-RSA", "SRP-DSS", "ANON-DH", "ANON-ECDH",
	"VKO-GOST-12", "RSA-EXPORT", "MD5", "SHA384", "SHA512", "UMAC-96", "UMAC-128", "RMD160", "GOST28147-TC26Z-IMIT", "MAC-NULL",
	"GROUP-X448", "GROUP-FFDHE2048", "GROUP-FFDHE3072", "GROUP-FFDHE4096", "GROUP-FFDHE6144", "GROUP-FFDHE8192",
	"GROUP-SECP192R1", "GROUP-SECP224R1", "GROUP-DH-ALL", "GROUP-GC256A", "GROUP-GC256B", "GROUP-GC256C", "GROUP-GC256D",
	"GROUP-GC512A", "GROUP-GC512B", "GROUP-GC512C",
	"SIGN-RSA-MD5", "SIGN-RSA-SHA224", "SIGN-DSA-SHA1", "SIGN-DSA-SHA224", "SIGN-DSA-SHA256", "SIGN-DSA-SHA384", "SIGN-DSA-SHA512",
	"SIGN-ECDSA-SHA224", "SIGN-EDDSA-ED448", "SIGN-ALL-GOST", "SIGN-GOSTR341012-256", "SIGN-GOSTR341012-512", "SIGN-GOSTR341001",
	"CTYPE-OPENPGP", "CTYPE-RAWPK", "CTYPE-CLI-RAWPK", "CTYPE-SRV-RAWPK", "COMP-DEFLATE", "COMP-LZO", "COMP-ZLIB",
	"CIPHER-GOST-ALL", "KX-GOST-ALL", "MAC-GOST-ALL", "GROUP-GOST-ALL", "GOST",
}

// always are words for what crypto/tls always has: adding them changes nothing.
var always = []string{
	"COMP-ALL", "COMP-NULL", "CTYPE-ALL", "CTYPE-X509", "CTYPE-X.509", "CTYPE-CLI-ALL", "CTYPE-SRV-ALL", "CTYPE-CLI-X509", "CTYPE-SRV-X509",
}

// profiles are what special words demand of certificates, GnuTLS's security levels.
var profiles = []struct {
	word     string
	strength trust.Strength
}{
	{"%PROFILE_VERY_WEAK", trust.Strength{RSA: 767, EC: 128, Hash: 64}},
	{"%PROFILE_LOW", trust.Strength{RSA: 1024, EC: 160, Hash: 80}},
	{"%PROFILE_LEGACY", trust.Strength{RSA: 1776, EC: 192, Hash: 96}},
	{"%PROFILE_MEDIUM", trust.Strength{RSA: 2048, EC: 224, Hash: 112}},
	{"%PROFILE_HIGH", trust.Strength{RSA: 3072, EC: 256, Hash: 128}},
	{"%PROFILE_ULTRA", trust.Strength{RSA: 8192, EC: 384, Hash: 192}},
	{"%PROFILE_FUTURE", trust.Strength{RSA: 15360, EC: 512, Hash: 256}},
}

// harmless are special words that ask for what is so here anyway, or for nothing that a client does.
var harmless = []string{
	"%COMPAT", "%PARTIAL_RENEGOTIATION", "%SERVER_PRECEDENCE", "%ALLOW_SMALL_RECORDS", "%NO_ETM",
	"%NEW_PADDING", "%STATELESS_COMPRESSION", "%NO_SHUFFLE_EXTENSIONS",
}

// refused are the other special words.
var refused = []string{
	"%FORCE_ETM", "%NO_EXTENSIONS", "%NO_STATUS_REQUEST", "%DISABLE_WILDCARDS", "%SSL3_RECORD_VERSION", "%LATEST_RECORD_VERSION",
	"%NO_SESSION_HASH", "%FORCE_SESSION_HASH", "%SAFE_RENEGOTIATION", "%UNSAFE_RENEGOTIATION", "%DISABLE_SAFE_RENEGOTIATION", "%FALLBACK_SCSV",
	"%DISABLE_TLS13_COMPAT_MODE", "%DEBUG_ALLOW_KEY_USAGE_VIOLATIONS", "%VERIFY_ALLOW_BROKEN", "%VERIFY_ALLOW_SIGN_RSA_MD5",
	"%VERIFY_ALLOW_SIGN_WITH_SHA1", "%VERIFY_ALLOW_X509_V1_CA_CRT", "%DUMBFW", "%PROFILE_SUITEB128", "%PROFILE_SUITEB192",
}

// refusedSets are sets that name ciphers of TLS 1.3 and algorithms of signatures, which can't be chosen.
var refusedSets = []string{"SECURE192", "SECURE256", "SUITEB128", "SUITEB192"}

// sets are the words that a string begins with.
var sets = []string{"NORMAL", "PFS", "SECURE128", "SECURE192", "SECURE256", "SUITEB128", "SUITEB192", "LEGACY", "PERFORMANCE", "NONE"}

// selection is what a string has selected so far.
type selection struct {
	versions  []uint16
	ciphers   []string
	exchanges []string
	macs      []string
	groups    []tls.CurveID

	signatures bool   // all that crypto/tls has
	signature  string // else a word that added one

	strength      trust.Strength
	ignoreRevoked bool
	noTickets     bool

	touched [2]string // the last word that changed versions, and one that took something of TLS 1.3
}

// ParsePriority reads a priority string: a set, or NONE, then words with +, - or ! in front, and
// special words with %, all separated by colons. Errors are *WordError, *MappingError.
func ParsePriority(text string) (*Priority, error) {
	var s selection
	for i, word := range strings.Split(text, ":") {
		upper := strings.ToUpper(word)
		var err error
		switch {
		case upper == "", upper == "NONE" && i > 0:
			return nil, &WordError{text}
		case upper[0] == '%':
			err = s.special(upper)
		case strings.ContainsRune("+-!", rune(upper[0])):
			err = s.change(upper[1:], upper[0] == '+')
		case upper[0] == '@':
			err = &MappingError{word, "the system's file of priorities is GnuTLS's own"}
		default:
			err = s.begin(upper)
		}
		if errors.As(err, new(*WordError)) {
			err = &WordError{word}
		}
		if err != nil {
			return nil, err
		}
	}
	return s.priority(text)
}

// begin selects a set.
func (s *selection) begin(set string) error {
	switch {
	case !slices.Contains(sets, set):
		return &WordError{set}
	case slices.Contains(refusedSets, set):
		return &MappingError{set, "crypto/tls can't restrict the ciphers of TLS 1.3 and the signatures"}
	}
	*s = selection{versions: slices.Clone(versionIDs), groups: slices.Clone(groupIDs), signatures: true,
		strength: profiles[1].strength, ignoreRevoked: s.ignoreRevoked, noTickets: s.noTickets}
	s.ciphers = slices.Clone(ciphers[:5])
	s.exchanges, s.macs = slices.Clone(exchanges), []string{"SHA1", "AEAD"}
	switch set {
	case "NONE":
		*s = selection{}
	case "PFS":
		s.exchanges = s.exchanges[:2]
	case "LEGACY":
		s.ciphers, s.strength = slices.Clone(ciphers[:6]), profiles[0].strength
	}
	return nil
}

// special takes a word with %.
func (s *selection) special(word string) error {
	for _, p := range profiles {
		if p.word == word {
			s.strength = p.strength
			return nil
		}
	}
	switch {
	case word == "%VERIFY_DISABLE_CRL_CHECKS":
		s.ignoreRevoked = true
	case word == "%NO_TICKETS", word == "%NO_TICKETS_TLS12":
		s.noTickets = true
	case slices.Contains(refused, word):
		return &MappingError{word, "crypto/tls has no such setting"}
	case !slices.Contains(harmless, word):
		return &WordError{word}
	}
	return nil
}

// change adds or removes what a word stands for.
func (s *selection) change(word string, add bool) error {
	sign := map[bool]string{true: "+", false: "-"}[add]
	switch {
	case slices.Contains(absent, word):
		if add {
			return &MappingError{sign + word, "crypto/tls does not have it"}
		}
		return nil
	case add && slices.Contains(sets, word):
		return &MappingError{sign + word, "one set can't be added to another"}
	case slices.Contains(always, word):
		if !add && strings.HasPrefix(word, "CTYPE-") {
			return &MappingError{sign + word, "crypto/tls always has it"}
		}
		return nil
	case strings.HasPrefix(word, "SIGN-"):
		return s.sign(word, add)
	case strings.HasPrefix(word, "VERS-"):
		s.touched[0] = sign + word
		return alter(&s.versions, versionIDs, strings.Replace(word, "VERS-TLS-ALL", "VERS-ALL", 1), add, "VERS-ALL",
			func(id uint16) string { return "VERS-" + versionName(id) })
	case strings.HasPrefix(word, "GROUP-"), strings.HasPrefix(word, "CURVE-"):
		word = "GROUP-" + word[len("GROUP-"):]
		if word == "GROUP-EC-ALL" {
			word = "GROUP-ALL"
		}
		return alter(&s.groups, groupIDs, word, add, "GROUP-ALL", func(id tls.CurveID) string { return "GROUP-" + groupName(id) })
	}
	name := func(n string) string { return n }
	for _, kind := range []struct {
		selected *[]string
		all      []string
		allWord  string
	}{{&s.ciphers, ciphers, "CIPHER-ALL"}, {&s.exchanges, exchanges, "KX-ALL"}, {&s.macs, macs, "MAC-ALL"}} {
		if word != kind.allWord && !slices.Contains(kind.all, word) {
			continue
		}
		if !add && (slices.Contains(modern, word) || slices.Contains([]string{"CIPHER-ALL", "MAC-ALL", "AEAD"}, word)) {
			s.touched[1] = sign + word
		}
		return alter(kind.selected, kind.all, word, add, kind.allWord, name)
	}
	return &WordError{word}
}

const noSignatures = "crypto/tls lets no signature algorithm be chosen"

// sign takes a word for algorithms of signatures, of which crypto/tls offers all.
func (s *selection) sign(word string, add bool) error {
	name := strings.TrimPrefix(word, "SIGN-")
	switch {
	case name != "ALL" && !slices.Contains(signatures, name):
		return &WordError{word}
	case !add:
		return &MappingError{"-" + word, noSignatures}
	case name == "ALL":
		s.signatures = true
	default:
		s.signature = "+" + word
	}
	return nil
}

// alter adds what a word names to what is selected, or removes it.
func alter[T comparable](selected *[]T, all []T, word string, add bool, allWord string, name func(T) string) error {
	var named []T
	for _, item := range all {
		if word == allWord || word == name(item) {
			named = append(named, item)
		}
	}
	if named == nil {
		return &WordError{word}
	}
	*selected = slices.DeleteFunc(*selected, func(item T) bool { return slices.Contains(named, item) })
	if add {
		*selected = append(*selected, named...)
	}
	return nil
}

// priority makes settings of the selection, or says what crypto/tls can't be told.
func (s *selection) priority(text string) (*Priority, error) {
	p := &Priority{NoTickets: s.noTickets, Groups: s.groups, Strength: s.strength, IgnoreRevoked: s.ignoreRevoked}
	if len(s.versions) == 0 {
		return nil, &MappingError{text, "no version of TLS is left"}
	}
	p.Min, p.Max = slices.Min(s.versions), slices.Max(s.versions)
	if int(p.Max-p.Min) != len(s.versions)-1 {
		return nil, &MappingError{s.touched[0], "crypto/tls can't leave out a version between others"}
	}
	switch {
	case s.signatures:
	case s.signature == "":
		return nil, &MappingError{text, "no algorithm for signatures is left"}
	default:
		return nil, &MappingError{s.signature, noSignatures + ": without +SIGN-ALL, all are offered all the same"}
	}
	without := func(c string) bool { return !slices.Contains(s.ciphers, c) }
	if p.Max == tls.VersionTLS13 && (!slices.Contains(s.macs, "AEAD") || slices.ContainsFunc(modern, without)) {
		word := s.touched[1]
		if word == "" {
			word = text
		}
		return nil, &MappingError{word, "crypto/tls always offers all ciphers of TLS 1.3; without it, with -VERS-TLS1.3, they can be chosen"}
	}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		d := describe(suite.ID)
		if suite.SupportedVersions[0] != tls.VersionTLS13 && slices.Contains(s.ciphers, d.cipher) &&
			slices.Contains(s.exchanges, d.exchange) && slices.Contains(s.macs, d.mac) {
			p.Suites = append(p.Suites, suite.ID)
		}
	}
	if p.Suites == nil && p.Max < tls.VersionTLS13 {
		return nil, &MappingError{text, "no cipher suite is left"}
	}
	if p.Suites == nil {
		p.Min, p.Suites = tls.VersionTLS13, []uint16{}
	}
	if len(p.Groups) == 0 {
		return nil, &MappingError{text, "no group is left"}
	}
	return p, nil
}

// A suite is a cipher suite in the words of priority strings.
type suite struct {
	exchange string // "" in TLS 1.3
	cipher   string
	mac      string
}

// describe takes a suite's name by IANA apart.
func describe(id uint16) suite {
	name := strings.TrimPrefix(tls.CipherSuiteName(id), "TLS_")
	d := suite{mac: "AEAD"}
	exchange, rest, ok := strings.Cut(name, "_WITH_")
	if ok {
		d.exchange = strings.ReplaceAll(exchange, "_", "-")
	} else {
		rest = name
	}
	at := strings.LastIndexByte(rest, '_')
	cipher, hash := rest[:max(at, 0)], rest[at+1:]
	switch {
	case strings.HasPrefix(rest, "CHACHA20"):
		d.cipher = "CHACHA20-POLY1305"
	case strings.HasSuffix(cipher, "GCM"):
		d.cipher = strings.ReplaceAll(cipher, "_", "-")
	default:
		d.cipher = strings.NewReplacer("3DES_EDE_CBC", "3DES-CBC", "RC4_128", "ARCFOUR-128", "_", "-").Replace(cipher)
		if d.mac = hash; hash == "SHA" {
			d.mac = "SHA1"
		}
	}
	return d
}

// versionName is what priority strings and descriptions call a version of TLS.
func versionName(id uint16) string { return strings.Replace(tls.VersionName(id), " ", "", 1) }

// groupName is what priority strings and descriptions call a group.
func groupName(id tls.CurveID) string {
	switch id {
	case tls.CurveP256:
		return "SECP256R1"
	case tls.CurveP384:
		return "SECP384R1"
	case tls.CurveP521:
		return "SECP521R1"
	case tls.X25519MLKEM768:
		return "X25519-MLKEM768"
	case tls.SecP256r1MLKEM768:
		return "SECP256R1-MLKEM768"
	case tls.SecP384r1MLKEM1024:
		return "SECP384R1-MLKEM1024"
	}
	return strings.ToUpper(id.String())
}
