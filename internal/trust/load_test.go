package trust

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/youmark/pkcs8"
)

func data(name string) string { return filepath.Join("testdata", name) }

func read(t testing.TB, name string) []byte {
	t.Helper()
	return must[[]byte](t)(os.ReadFile(data(name)))
}

func say(passphrase string) func(string) ([]byte, error) {
	return func(string) ([]byte, error) { return []byte(passphrase), nil }
}

func TestKeys(t *testing.T) {
	for _, test := range []struct{ cert, key string }{
		{"client.crt", "sec1.key"},
		{"client.crt", "sec1-legacy-aes256.key"},
		{"client.crt", "pkcs8.key"},
		{"client.crt", "pkcs8-aes256-sha256.key"},
		{"client.crt", "pkcs8-aes128-sha512.key"},
		{"client.crt", "pkcs8-des3-sha1.key"},
		{"client.crt", "pkcs8-scrypt.key"},
		{"client.crt", "pkcs8-gnutls.key"},
		{"rsa.crt", "pkcs1.key"},
		{"rsa.crt", "pkcs1-legacy-aes128.key"},
	} {
		t.Run(test.key, func(t *testing.T) {
			asked := ""
			load(t, Settings{CertFile: data(test.cert), KeyFile: data(test.key), Passphrase: func(file string) ([]byte, error) {
				asked = file
				return []byte("sesame"), nil
			}})
			secret := encrypted(findKey(read(t, test.key)))
			if want := map[bool]string{true: data(test.key)}[secret]; asked != want {
				t.Errorf("asked for %q, want %q", asked, want)
			}
		})
	}
}

// Some programs write the optional length of the key (RFC 8018, A.2).
func TestKeyWithLength(t *testing.T) {
	block, _ := pem.Decode(read(t, "pkcs8-aes256-sha256.key"))
	var info struct {
		Algorithm struct {
			ID     asn1.ObjectIdentifier
			Params struct {
				KDF struct {
					ID     asn1.ObjectIdentifier
					Params pbkdf2Params
				}
				Cipher asn1.RawValue
			}
		}
		Data []byte
	}
	must[[]byte](t)(asn1.Unmarshal(block.Bytes, &info))
	info.Algorithm.Params.KDF.Params.KeyLength = 32
	block.Bytes = must[[]byte](t)(asn1.Marshal(info))
	load(t, Settings{CertFile: data("client.crt"), KeyFile: write(t, "length.key", pem.EncodeToMemory(block)), Passphrase: say("sesame")})
}

// The passphrase does not stay in memory longer than it has to.
func TestPassphraseIsOverwritten(t *testing.T) {
	for _, key := range []string{"pkcs8-aes256-sha256.key", "sec1-legacy-aes256.key"} {
		passphrase := []byte("sesame")
		load(t, Settings{CertFile: data("client.crt"), KeyFile: data(key), Passphrase: func(string) ([]byte, error) { return passphrase, nil }})
		if !bytes.Equal(passphrase, make([]byte, 6)) {
			t.Errorf("%s: the passphrase is still %q", key, passphrase)
		}
	}
}

func TestLoadMissingFile(t *testing.T) {
	for _, s := range []Settings{
		{CAFiles: []string{"no/such.pem"}},
		{CertFile: "no/such.crt", KeyFile: data("sec1.key")},
		{CertFile: data("client.crt"), KeyFile: "no/such.key"},
	} {
		if _, err := Load(s); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error is %v, want %v", err, fs.ErrNotExist)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	key, cert := data("sec1.key"), data("client.crt")
	text := func(s string) *string { return &s }
	bad := func(name, content string) string { return write(t, name, []byte(content)) }
	block := func(typ string, content []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: content}))
	}
	der, _ := pem.Decode(read(t, "client.crt"))
	emptyDir := t.TempDir()
	unreadable := bad("unreadable.pem", "x")
	if err := os.Chmod(unreadable, 0); err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct {
		name  string
		s     Settings
		words []string
	}{
		{"CA missing", Settings{CAFiles: []string{"no/such.pem"}}, []string{"--x509cafile no/such.pem: "}},
		{"CA empty path", Settings{CAFiles: []string{""}}, []string{`--x509cafile "": `}},
		{"CA path with an escape", Settings{CAFiles: []string{"a\x1b[2J"}}, []string{`--x509cafile "a\x1b[2J": `}},
		{"second CA missing", Settings{CAFiles: []string{cert, "no/such.pem"}}, []string{"--x509cafile no/such.pem"}},
		{"CA unreadable", Settings{CAFiles: []string{unreadable}}, []string{"--x509cafile", "unreadable.pem: permission denied"}},
		{"CA directory empty", Settings{CAFiles: []string{emptyDir}}, []string{"--x509cafile " + emptyDir + ": no file in this directory holds a certificate", "of 0 entries"}},
		{"CA empty", Settings{CAFiles: []string{bad("empty", " \n")}}, []string{"it holds no certificate: the file is empty"}},
		{"CA is a key", Settings{CAFiles: []string{key}}, []string{`it holds no certificate: its PEM blocks are "EC PARAMETERS", "EC PRIVATE KEY"`}},
		{"CA in DER", Settings{CAFiles: []string{bad("ca.der", string(der.Bytes))}}, []string{"it is a certificate in DER form, PEM is wanted (openssl x509 -inform der)"}},
		{"CA in another DER", Settings{CAFiles: []string{bad("ca.p12", "0\x82\x01\x00")}}, []string{"it looks like DER, PEM is wanted"}},
		{"CA is text", Settings{CAFiles: []string{bad("ca.txt", "hello")}}, []string{"it has no PEM block"}},
		{"CA damaged", Settings{CAFiles: []string{bad("ca.pem", block("CERTIFICATE", der.Bytes[:100]))}}, []string{"no certificate in it can be read: x509: "}},

		{"cert alone", Settings{CertFile: cert}, []string{"--x509certfile needs --x509keyfile"}},
		{"key alone", Settings{KeyFile: key}, []string{"--x509keyfile needs --x509certfile"}},
		{"cert missing", Settings{CertFile: "no/such.crt", KeyFile: key}, []string{"--x509certfile no/such.crt: "}},
		{"cert is a key", Settings{CertFile: key, KeyFile: key}, []string{"--x509certfile " + key + ": it holds no certificate: its PEM blocks are", "EC PRIVATE KEY"}},
		{"cert damaged", Settings{CertFile: bad("bad.crt", block("CERTIFICATE", []byte("x"))), KeyFile: key}, []string{"bad.crt: a certificate in it cannot be read: "}},
		{"key missing", Settings{CertFile: cert, KeyFile: "no/such.key"}, []string{"--x509keyfile no/such.key: "}},
		{"key unreadable", Settings{CertFile: cert, KeyFile: unreadable}, []string{"--x509keyfile", "permission denied"}},
		{"key is a directory", Settings{CertFile: cert, KeyFile: emptyDir}, []string{"--x509keyfile " + emptyDir + ": "}},
		{"key is a certificate", Settings{CertFile: cert, KeyFile: cert}, []string{"--x509keyfile " + cert + `: it holds no key: its PEM blocks are "CERTIFICATE"`}},
		{"key damaged", Settings{CertFile: cert, KeyFile: bad("bad.key", block("PRIVATE KEY", []byte("sesame")))}, []string{"bad.key: the key cannot be read: it is damaged"}},
		{"key of OpenSSH", Settings{CertFile: cert, KeyFile: data("openssh.key")}, []string{"OpenSSH's own form"}},
		{"key of another", Settings{CertFile: cert, KeyFile: data("pkcs1.key")}, []string{
			"--x509keyfile " + data("pkcs1.key") + " and --x509certfile " + cert + " do not match: the key is another one than that of the certificate of CN=client.example.org"}},
		{"key of the second", Settings{CertFile: bad("two.crt", string(read(t, "rsa.crt"))+string(read(t, "client.crt"))), KeyFile: key},
			[]string{"the key belongs to certificate 2 in the file, which has to be the first"}},

		{"nobody to ask", Settings{CertFile: cert, KeyFile: data("pkcs8-aes256-sha256.key")}, []string{"--x509keyfile", "the key is encrypted, and there is nobody to ask for its passphrase"}},
		{"asking fails", Settings{CertFile: cert, KeyFile: data("pkcs8-aes256-sha256.key"), Passphrase: func(string) ([]byte, error) { return nil, errors.New("interrupted") }},
			[]string{"asking for its passphrase failed: interrupted"}},
		{"wrong passphrase", Settings{CertFile: cert, KeyFile: data("pkcs8-aes256-sha256.key"), Passphrase: say("open")}, []string{"--x509keyfile", "sha256.key: wrong passphrase"}},
		{"wrong passphrase, scrypt", Settings{CertFile: cert, KeyFile: data("pkcs8-scrypt.key"), Passphrase: say("open")}, []string{"wrong passphrase"}},
		{"wrong passphrase, legacy", Settings{CertFile: cert, KeyFile: data("sec1-legacy-aes256.key"), Passphrase: say("open")}, []string{"wrong passphrase"}},
		{"empty passphrase", Settings{CertFile: cert, KeyFile: data("pkcs8-aes256-sha256.key"), Passphrase: say("")}, []string{"wrong passphrase"}},
		{"encryption not supported", Settings{CertFile: cert, KeyFile: data("pkcs8-pbes1.key"), Passphrase: say("sesame")}, []string{"the key cannot be decrypted: pkcs8: only PBES2 supported"}},
		{"legacy encryption not supported", Settings{CertFile: cert, KeyFile: bad("legacy.key", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: ROT-13,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"), Passphrase: say("sesame")},
			[]string{`its DEK-Info "ROT-13,00" is not supported`}},
		{"encrypted key damaged", Settings{CertFile: cert, KeyFile: shortIV(t), Passphrase: say("sesame")}, []string{"the key cannot be decrypted: it is damaged"}},

		{"version", Settings{TLSMin: "3"}, []string{`--tls-min "3": no such version of TLS; known are 1.0, 1.1, 1.2 and 1.3`}},
		{"version with an escape", Settings{TLSMax: "\x1b"}, []string{`--tls-max "\x1b"`}},
		{"versions crossed", Settings{TLSMin: "1.3", TLSMax: "1.2"}, []string{"--tls-min 1.3 is above --tls-max 1.2"}},
		{"old version without consent", Settings{TLSMax: "1.1"}, []string{"--tls-max 1.1 is below 1.2, the default of --tls-min: give --tls-min too"}},
		{"cipher", Settings{Ciphers: "ECDHE-RSA-AES128-GCM-SHA256:HIGH"}, []string{`--ciphers: "HIGH" is not known; known are ECDHE-ECDSA-AES128-SHA, `, "ECDHE-RSA-CHACHA20-POLY1305", ", RC4-SHA"}},
		{"cipher of TLS 1.3", Settings{Ciphers: "tls_aes_128_gcm_sha256"}, []string{"--ciphers: TLS_AES_128_GCM_SHA256 is a suite of TLS 1.3, which cannot be chosen"}},
		{"ciphers without effect", Settings{Ciphers: "AES128-SHA", TLSMin: "1.3"}, []string{"--ciphers has no effect with --tls-min 1.3"}},
		{"ciphers too new", Settings{Ciphers: "AES128-GCM-SHA256", TLSMin: "1.0", TLSMax: "1.1"}, []string{"--ciphers names no suite that exists in TLS 1.1", "--tls-max"}},
		{"no cipher", Settings{Ciphers: " :,"}, []string{"--ciphers names no suite"}},
		{"group", Settings{Groups: "X25519,ffdhe2048"}, []string{`--groups: "ffdhe2048" is not known; known are X25519MLKEM768, `, "P-521"}},
		{"groups too new", Settings{Groups: "X25519MLKEM768", TLSMax: "1.2"}, []string{"--groups names only groups of TLS 1.3, which --tls-max 1.2 rules out"}},
		{"no group", Settings{Groups: ","}, []string{"--groups names no group"}},
		{"ALPN empty", Settings{ALPN: []string{"imap", ""}}, []string{`--alpn "": a protocol's name has 1 to 255 bytes, this one has 0`}},
		{"ALPN long", Settings{ALPN: []string{strings.Repeat("a", 256)}}, []string{"--alpn", "this one has 256"}},
		{"ALPN long together", Settings{ALPN: strings.Split(strings.Repeat(strings.Repeat("a", 255)+" ", 256)+"b", " ")}, []string{"--alpn", "65535"}},
		{"SNI address", Settings{SNI: text("192.0.2.1")}, []string{"--sni-hostname 192.0.2.1: an address cannot be sent as a server name"}},
		{"SNI IPv6 address", Settings{SNI: text("[2001:db8::1]")}, []string{"--sni-hostname [2001:db8::1]: an address"}},
		{"SNI in another script", Settings{SNI: text("a\u202e.example")}, []string{`--sni-hostname "a\u202e.example": this is no domain name`}},
		{"SNI with a line end", Settings{SNI: text("a\r\nb")}, []string{`--sni-hostname "a\r\nb": '\r' cannot be part of a name`}},
		{"SNI of dots", Settings{SNI: text("..")}, []string{"this is no name"}},
		{"SNI long", Settings{SNI: text(strings.Repeat("a.", 128))}, []string{"at most 255 bytes, this one has 256"}},
		{"verify name", Settings{VerifyName: "a b"}, []string{`--verify-hostname "a b": ' ' cannot be part of a name`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if strings.Contains(strings.Join(test.words, " "), "permission denied") && os.Geteuid() <= 0 {
				t.Skip("root may read everything, and Windows has no such bits")
			}
			c, err := Load(test.s)
			if err == nil {
				t.Fatal("there is no error")
			}
			if c != nil {
				t.Error("there is a Config beside the error")
			}
			checkText(t, err.Error(), append(test.words, "!sesame", "!open ")...)
		})
	}
}

// shortIV is an encrypted key in which the cipher's IV has lost a byte.
func shortIV(t *testing.T) string {
	opts := &pkcs8.Opts{Cipher: pkcs8.AES128CBC, KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 1, HMACHash: crypto.SHA256}}
	der := must[[]byte](t)(pkcs8.MarshalPrivateKey(parseKey(findKey(read(t, "sec1.key")).Bytes), []byte("sesame"), opts))
	var info struct {
		Algorithm struct {
			ID     asn1.ObjectIdentifier
			Params struct {
				KDF    asn1.RawValue
				Cipher struct {
					ID asn1.ObjectIdentifier
					IV []byte
				}
			}
		}
		Data []byte
	}
	must[[]byte](t)(asn1.Unmarshal(der, &info))
	info.Algorithm.Params.Cipher.IV = info.Algorithm.Params.Cipher.IV[1:]
	return write(t, "damaged.key", pem.EncodeToMemory(&pem.Block{Type: encryptedPKCS8, Bytes: must[[]byte](t)(asn1.Marshal(info))}))
}
