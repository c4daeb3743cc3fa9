package gnutls

import (
	"crypto/tls"
	"errors"
	"slices"
	"testing"
)

func TestPriority(t *testing.T) {
	classic := []tls.CurveID{tls.CurveP256, tls.CurveP384, tls.CurveP521, tls.X25519}
	for _, test := range []struct {
		text     string
		min, max uint16
		suite    uint16 // one that is offered; 0: none before TLS 1.3
		without  uint16
		groups   []tls.CurveID // nil: all
	}{
		{"NORMAL", tls.VersionTLS10, tls.VersionTLS13, tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, nil},
		{"normal:%compat", tls.VersionTLS10, tls.VersionTLS13, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0, nil},
		{"PERFORMANCE", tls.VersionTLS10, tls.VersionTLS13, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, 0, nil},
		{"SECURE128:-VERS-TLS1.0:-VERS-TLS1.1", tls.VersionTLS12, tls.VersionTLS13, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, 0, nil},
		{"NORMAL:-VERS-ALL:+VERS-TLS1.3", tls.VersionTLS13, tls.VersionTLS13, tls.TLS_RSA_WITH_AES_128_CBC_SHA, 0, nil},
		{"NORMAL:-VERS-TLS-ALL:+VERS-TLS1.2", tls.VersionTLS12, tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_CBC_SHA, 0, nil},
		{"PFS", tls.VersionTLS10, tls.VersionTLS13, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA, nil},
		{"LEGACY", tls.VersionTLS10, tls.VersionTLS13, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_RSA_WITH_RC4_128_SHA, nil},
		{"NORMAL:-VERS-TLS1.3:-KX-ALL:+RSA", tls.VersionTLS10, tls.VersionTLS12, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, nil},
		{"NORMAL:-VERS-TLS1.3:-CIPHER-ALL:+ARCFOUR-128", tls.VersionTLS10, tls.VersionTLS12, tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, nil},
		{"NORMAL:-MAC-ALL:+AEAD", tls.VersionTLS10, tls.VersionTLS13, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA, nil},
		{"NORMAL:+SHA256", tls.VersionTLS10, tls.VersionTLS13, tls.TLS_RSA_WITH_AES_128_CBC_SHA256, 0, nil},
		{"NORMAL:-ECDHE-RSA:-RSA:-ECDHE-ECDSA", tls.VersionTLS13, tls.VersionTLS13, 0, 0, nil},
		{"NORMAL:-GROUP-ALL:+GROUP-X25519", tls.VersionTLS10, tls.VersionTLS13, tls.TLS_RSA_WITH_AES_128_CBC_SHA, 0, []tls.CurveID{tls.X25519}},
		{"NORMAL:-CURVE-ALL:+CURVE-SECP256R1:+GROUP-SECP384R1", tls.VersionTLS10, tls.VersionTLS13, tls.TLS_RSA_WITH_AES_128_CBC_SHA, 0,
			[]tls.CurveID{tls.CurveP256, tls.CurveP384}},
		{"NORMAL:-GROUP-X25519-MLKEM768:-GROUP-SECP256R1-MLKEM768:!GROUP-SECP384R1-MLKEM1024", tls.VersionTLS10, tls.VersionTLS13,
			tls.TLS_RSA_WITH_AES_128_CBC_SHA, 0, classic},
		{"NONE:+VERS-TLS1.2:+AES-128-GCM:+ECDHE-RSA:+AEAD:+SIGN-ALL:+COMP-NULL:+GROUP-SECP256R1", tls.VersionTLS12, tls.VersionTLS12,
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, []tls.CurveID{tls.CurveP256}},
		{"NORMAL:-DHE-RSA:-CAMELLIA-128-CBC:!MD5:-SIGN-RSA-MD5:+CTYPE-X509:-VERS-SSL3.0:+SIGN-RSA-SHA256", tls.VersionTLS10, tls.VersionTLS13,
			tls.TLS_RSA_WITH_AES_128_CBC_SHA, 0, nil},
	} {
		p, err := ParsePriority(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if p.Min != test.min || p.Max != test.max {
			t.Errorf("%s: %s to %s", test.text, tls.VersionName(p.Min), tls.VersionName(p.Max))
		}
		if test.suite != 0 && !slices.Contains(p.Suites, test.suite) || test.suite == 0 && len(p.Suites) > 0 || slices.Contains(p.Suites, test.without) {
			t.Errorf("%s: suites %x", test.text, p.Suites)
		}
		if want := test.groups; want == nil && len(p.Groups) != len(groupIDs) || want != nil && !slices.Equal(p.Groups, want) {
			t.Errorf("%s: groups %v", test.text, p.Groups)
		}
	}
	if p, err := ParsePriority("NORMAL:%NO_TICKETS:%VERIFY_DISABLE_CRL_CHECKS"); err != nil || !p.NoTickets || !p.IgnoreRevoked {
		t.Errorf("%v, %v", p, err)
	}
}

// TestPriorityStrength: what certificates have to be like is said by the last set, or a profile behind it.
func TestPriorityStrength(t *testing.T) {
	for text, rsa := range map[string]int{
		"NORMAL":                            1024,
		"PFS":                               1024,
		"SECURE128":                         1024,
		"LEGACY":                            767,
		"NORMAL:LEGACY":                     767,
		"LEGACY:NORMAL":                     1024,
		"NORMAL:%PROFILE_HIGH":              3072,
		"NORMAL:%PROFILE_HIGH:NORMAL":       1024,
		"NORMAL:%PROFILE_FUTURE:%COMPAT":    15360,
		"LEGACY:%PROFILE_LEGACY:+RSA":       1776,
		"NORMAL:%PROFILE_HIGH:%PROFILE_LOW": 1024,
		"NONE:+VERS-TLS1.2:+AES-128-GCM:+ECDHE-RSA:+AEAD:+SIGN-ALL:+GROUP-ALL": 0,
	} {
		if p, err := ParsePriority(text); err != nil || p.Strength.RSA != rsa {
			t.Errorf("%s: %+v, %v", text, p, err)
		}
	}
}

// TestPriorityErrors: each names the word.
func TestPriorityErrors(t *testing.T) {
	for _, test := range []struct{ text, word string }{
		{"FOO", "FOO"},
		{"", ""},
		{"NORMAL:BAR", "BAR"},
		{"NORMAL:+BAR", "+BAR"},
		{"NORMAL:-GROUP-FOO", "-GROUP-FOO"},
		{"NORMAL:%FOO", "%FOO"},
		{"NORMAL:+SIGN-FOO", "+SIGN-FOO"},
		{"NORMAL:-VERS-TLS1.4", "-VERS-TLS1.4"},
		{"NORMAL:", "NORMAL:"},
		{"NORMAL::%COMPAT", "NORMAL::%COMPAT"},
		{":NORMAL", ":NORMAL"},
		{"NORMAL:NONE", "NORMAL:NONE"},
		{"NORMAL:-SECURE256", "-SECURE256"},
	} {
		_, err := ParsePriority(test.text)
		var unknown *WordError
		if !errors.As(err, &unknown) || unknown.Word != test.word {
			t.Errorf("%s: error %v", test.text, err)
		}
	}
	for _, test := range []struct{ text, word string }{
		{"SECURE256", "SECURE256"},
		{"SECURE192:-VERS-TLS1.3", "SECURE192"},
		{"NORMAL:+SECURE256", "+SECURE256"},
		{"SUITEB128", "SUITEB128"},
		{"NORMAL:%SAFE_RENEGOTIATION", "%SAFE_RENEGOTIATION"},
		{"NORMAL:%PROFILE_SUITEB128", "%PROFILE_SUITEB128"},
		{"NORMAL:-MAC-ALL", "-MAC-ALL"},
		{"NORMAL:-AEAD", "-AEAD"},
		{"NORMAL:-VERS-TLS1.3:-MAC-ALL", "NORMAL:-VERS-TLS1.3:-MAC-ALL"},
		{"NORMAL:-SIGN-ALL", "-SIGN-ALL"},
		{"NONE:+VERS-TLS1.2:+AES-128-GCM:+ECDHE-RSA:+AEAD:+GROUP-ALL", "NONE:+VERS-TLS1.2:+AES-128-GCM:+ECDHE-RSA:+AEAD:+GROUP-ALL"},
		{"NONE:+VERS-TLS1.2:+AES-128-GCM:+ECDHE-RSA:+AEAD:+GROUP-ALL:+SIGN-RSA-SHA256", "+SIGN-RSA-SHA256"},
		{"@SYSTEM", "@SYSTEM"},
		{"NORMAL:+PSK", "+PSK"},
		{"NORMAL:+SRP:+SRP-RSA", "+SRP"},
		{"NORMAL:-SIGN-RSA-SHA256", "-SIGN-RSA-SHA256"},
		{"NORMAL:-CTYPE-X509", "-CTYPE-X509"},
		{"NORMAL:-AES-128-GCM", "-AES-128-GCM"},
		{"NORMAL:-CIPHER-ALL:+AES-256-GCM", "-CIPHER-ALL"},
		{"NORMAL:-VERS-TLS1.2", "-VERS-TLS1.2"},
		{"NORMAL:-VERS-ALL", "NORMAL:-VERS-ALL"},
		{"NONE", "NONE"},
		{"NORMAL:-GROUP-ALL", "NORMAL:-GROUP-ALL"},
		{"NORMAL:-VERS-TLS1.3:-KX-ALL", "NORMAL:-VERS-TLS1.3:-KX-ALL"},
		{"NORMAL:%FALLBACK_SCSV", "%FALLBACK_SCSV"},
	} {
		_, err := ParsePriority(test.text)
		var mapping *MappingError
		if !errors.As(err, &mapping) || mapping.Word != test.word {
			t.Errorf("%s: error %v", test.text, err)
		}
	}
}

// TestSuites: each suite of crypto/tls has a place in the words.
func TestSuites(t *testing.T) {
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		d := describe(s.ID)
		if !slices.Contains(ciphers, d.cipher) || !slices.Contains(macs, d.mac) ||
			d.exchange != "" && !slices.Contains(exchanges, d.exchange) || (d.exchange == "") != (s.SupportedVersions[0] == tls.VersionTLS13) {
			t.Errorf("%s: %+v", s.Name, d)
		}
	}
}

func FuzzPriority(f *testing.F) {
	f.Add("NORMAL:-VERS-ALL:+VERS-TLS1.3:%COMPAT")
	f.Add("NONE:+VERS-TLS1.2:+AES-128-GCM:+ECDHE-RSA:+AEAD:+SIGN-ALL:+GROUP-X25519")
	f.Add("SECURE256:!CURVE-ALL::")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePriority(text)
		switch {
		case err != nil && !errors.As(err, new(*WordError)) && !errors.As(err, new(*MappingError)):
			t.Errorf("error %v", err)
		case err == nil && (p.Min > p.Max || p.Min < tls.VersionTLS10 || len(p.Groups) == 0):
			t.Errorf("%+v", p)
		}
	})
}
