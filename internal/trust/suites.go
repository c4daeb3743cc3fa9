package trust

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"tlsup/internal/quote"
)

func (c *Config) loadCiphers(s *Settings) error {
	switch {
	case s.Legacy && c.shared.MinVersion == tls.VersionTLS13:
		return errors.New("--legacy has no effect with --tls-min 1.3")
	case s.Ciphers == "" && s.Legacy:
		c.legacy, c.shared.CipherSuites = true, legacySuites()
		return nil
	case s.Ciphers == "":
		return nil
	}
	if c.shared.MinVersion == tls.VersionTLS13 {
		return errors.New("--ciphers has no effect with --tls-min 1.3: the suites of TLS 1.3 cannot be chosen")
	}
	suites, err := parseCiphers(s.Ciphers)
	if err != nil {
		return err
	}
	for _, suite := range suites {
		if slices.ContainsFunc(suite.SupportedVersions, func(v uint16) bool {
			return v >= c.shared.MinVersion && v <= c.shared.MaxVersion
		}) {
			c.shared.CipherSuites = append(c.shared.CipherSuites, suite.ID)
		}
	}
	if c.shared.CipherSuites == nil {
		return fmt.Errorf("--ciphers names no suite that exists in %s, the highest version that --tls-max allows",
			tls.VersionName(c.shared.MaxVersion))
	}
	return nil
}

func (c *Config) loadGroups(s *Settings) (err error) {
	if s.Groups == "" {
		return nil
	}
	if c.shared.CurvePreferences, err = parseGroups(s.Groups); err != nil {
		return err
	}
	if c.shared.MaxVersion < tls.VersionTLS13 && onlyFor13(c.shared.CurvePreferences) {
		return fmt.Errorf("--groups names only groups of TLS 1.3, which --tls-max %s rules out", s.TLSMax)
	}
	return nil
}

// onlyFor13 reports whether no group of these can be used before TLS 1.3.
func onlyFor13(groups []tls.CurveID) bool {
	return !slices.ContainsFunc(groups, func(id tls.CurveID) bool { return !groupOf(id).only13 })
}

// words splits a list at commas, colons and blanks.
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ':' || unicode.IsSpace(r) })
}

// parseCiphers reads a list of cipher suites by their IANA or OpenSSL names, in any case.
func parseCiphers(list string) ([]*tls.CipherSuite, error) {
	var suites []*tls.CipherSuite
	for _, word := range words(list) {
		suite := findSuite(word)
		switch {
		case suite == nil:
			return nil, fmt.Errorf("--ciphers: %s is not known; known are %s", quote.Short(word), strings.Join(suiteNames(), ", "))
		case suite.SupportedVersions[0] == tls.VersionTLS13:
			return nil, fmt.Errorf("--ciphers: %s is a suite of TLS 1.3, which cannot be chosen: all of TLS 1.3 are always offered", suite.Name)
		case !slices.Contains(suites, suite):
			suites = append(suites, suite)
		}
	}
	if suites == nil {
		return nil, errors.New("--ciphers names no suite")
	}
	return suites, nil
}

// allSuites are the suites that crypto/tls has, the weak ones last.
var allSuites = sync.OnceValue(func() []*tls.CipherSuite { return append(tls.CipherSuites(), tls.InsecureCipherSuites()...) })

// legacySuites are all before TLS 1.3 but those with RC4, which must not be used (RFC 7465).
func legacySuites() (ids []uint16) {
	for _, suite := range Suites() {
		if !strings.Contains(suite.Name, "_RC4_") {
			ids = append(ids, suite.ID)
		}
	}
	return ids
}

func findSuite(word string) *tls.CipherSuite {
	for _, suite := range allSuites() {
		if strings.EqualFold(word, suite.Name) || strings.EqualFold(word, opensslName(suite.Name)) {
			return suite
		}
	}
	return nil
}

// suiteNames are the names to choose from, as OpenSSL has them.
func suiteNames() []string {
	var names []string
	for _, suite := range allSuites() {
		if suite.SupportedVersions[0] != tls.VersionTLS13 {
			names = append(names, opensslName(suite.Name))
		}
	}
	return names
}

// opensslWords turns an IANA name into OpenSSL's.
var opensslWords = sync.OnceValue(func() *strings.Replacer {
	return strings.NewReplacer(
		"TLS_RSA_WITH_", "", "TLS_", "", "_WITH_", "-",
		"3DES_EDE_CBC", "DES-CBC3", "AES_128_CBC", "AES128", "AES_256_CBC", "AES256", "AES_128", "AES128", "AES_256", "AES256",
		"RC4_128", "RC4", "POLY1305_SHA256", "POLY1305", "_", "-",
	)
})

// opensslName returns OpenSSL's name of a suite before TLS 1.3. In TLS 1.3 there is only
// the IANA's.
func opensslName(iana string) string {
	if !strings.Contains(iana, "_WITH_") {
		return iana
	}
	return opensslWords().Replace(iana)
}

// A group is a key exchange mechanism (RFC 8446, 4.2.7).
type group struct {
	id     tls.CurveID
	names  []string // the one to show first
	only13 bool
}

var groups = []group{
	{tls.X25519MLKEM768, []string{"X25519MLKEM768"}, true},
	{tls.SecP256r1MLKEM768, []string{"SecP256r1MLKEM768"}, true},
	{tls.SecP384r1MLKEM1024, []string{"SecP384r1MLKEM1024"}, true},
	{tls.X25519, []string{"X25519"}, false},
	{tls.CurveP256, []string{"P-256", "P256", "secp256r1", "prime256v1"}, false},
	{tls.CurveP384, []string{"P-384", "P384", "secp384r1"}, false},
	{tls.CurveP521, []string{"P-521", "P521", "secp521r1"}, false},
}

// groupOf returns the group with the given number, also when crypto/tls learns one that
// is not in the list.
func groupOf(id tls.CurveID) group {
	for _, g := range groups {
		if g.id == id {
			return g
		}
	}
	return group{id: id, names: []string{id.String()}}
}

// parseGroups reads a list of groups, in any case.
func parseGroups(list string) ([]tls.CurveID, error) {
	var ids []tls.CurveID
	for _, word := range words(list) {
		i := slices.IndexFunc(groups, func(g group) bool {
			return slices.ContainsFunc(g.names, func(name string) bool { return strings.EqualFold(name, word) })
		})
		if i < 0 {
			var known []string
			for _, g := range groups {
				known = append(known, g.names[0])
			}
			return nil, fmt.Errorf("--groups: %s is not known; known are %s", quote.Short(word), strings.Join(known, ", "))
		}
		if !slices.Contains(ids, groups[i].id) {
			ids = append(ids, groups[i].id)
		}
	}
	if ids == nil {
		return nil, errors.New("--groups names no group")
	}
	return ids, nil
}
