// Package zoo holds, for tests, certificates with all that may be wrong with a server's, and what has
// to be said of each, by whatever part of the program speaks of it.
package zoo

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tlsup/internal/testca"
)

// Host is the name that a client wants, unless the specimen has another.
const Host = "mail.example.org"

// A Specimen is a server's certificate, and what a client that wants a name has to say of it.
type Specimen struct {
	Name string
	Make func(k *Keeper) tls.Certificate
	Host string // that the client wants; "": Host
	// Words that the message has to have, or with "!" must not have; none: it is trusted.
	Words []string
	// Hint are those of the hint.
	Hint []string
	// Culprit is the common name of the certificate to blame.
	Culprit string
	As      func(error) bool // x509's error beneath; nil: any
	// Unread tells that the handshake fails at the certificate, before there is something to verify.
	Unread bool
}

// Wanted is the name that the client wants.
func (s *Specimen) Wanted() string {
	if s.Host != "" {
		return s.Host
	}
	return Host
}

// Build makes the certificate, and the trust anchors that the client has, in PEM.
func (s *Specimen) Build(t testing.TB) (cert tls.Certificate, roots []byte) {
	t.Helper()
	k := &Keeper{t: t}
	k.root = k.ca(testca.New("Test Root"))
	cert = s.Make(k)
	if k.roots == nil {
		k.roots = k.root.PEM()
	}
	return cert, k.roots
}

// A Keeper has what specimens are made of.
type Keeper struct {
	t     testing.TB
	root  *testca.CA
	roots []byte // what the client trusts; nil: the root
}

func (k *Keeper) cert(c tls.Certificate, err error) tls.Certificate {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

func (k *Keeper) ca(ca *testca.CA, err error) *testca.CA {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
	return ca
}

// issue is the plain case: by the root, for the given names.
func (k *Keeper) issue(names []string, change func(*x509.Certificate)) tls.Certificate {
	k.t.Helper()
	return k.cert(k.root.Issue(names, change))
}

// chain is a certificate under so many intermediates.
func (k *Keeper) chain(n int) tls.Certificate {
	k.t.Helper()
	ca := k.root
	for i := range n {
		ca = k.ca(ca.Intermediate("Intermediate "+strconv.Itoa(n-i), nil)) // 1 is the one above the certificate
	}
	return k.cert(ca.Issue([]string{Host}, nil))
}

// circle is a certificate under two intermediates that issued each other.
func (k *Keeper) circle() tls.Certificate {
	k.t.Helper()
	one, two := k.ca(testca.New("One")), k.ca(testca.New("Two"))
	c := k.cert(one.Issue([]string{Host}, nil))
	for _, pair := range [][2]*testca.CA{{two, one}, {one, two}} {
		cross, err := pair[0].Cross(pair[1])
		if err != nil {
			k.t.Fatal(err)
		}
		c.Certificate = append(c.Certificate, cross.Raw)
	}
	return c
}

// trust has the client trust certificates alone.
func (k *Keeper) trust(c tls.Certificate) {
	k.t.Helper()
	var err error
	if k.roots, _, err = testca.EncodePEM(c); err != nil {
		k.t.Fatal(err)
	}
}

func strangeExtension(c *x509.Certificate) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}})
}

// mustStaple has a certificate demand a stapled OCSP response (RFC 7633).
func mustStaple(c *x509.Certificate) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}})
}

// shortKey is an RSA key that can be broken, made once.
var shortKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	return key
})

// longKey has a public key of more bits than crypto/tls takes, and no private key to it, which a
// handshake that fails at the certificate does not miss.
func (k *Keeper) longKey() crypto.Signer {
	n := new(big.Int).Lsh(big.NewInt(1), 8200)
	return foreignKey{k.issue(nil, nil).PrivateKey.(crypto.Signer), &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}}
}

type foreignKey struct {
	crypto.Signer
	public crypto.PublicKey
}

func (k foreignKey) Public() crypto.PublicKey { return k.public }

// today is when the tests began, which take less than a day.
var today = time.Now().UTC()

func at(days int) time.Time { return today.AddDate(0, 0, days) }

// later is some days from today, and an hour more, or the days would be fewer while the test runs.
var later = at(3).Add(time.Hour)

// Day is the date so many days from today, as messages have it.
func Day(days int) string { return at(days).Format(time.DateOnly) }

// Dates is a change that a certificate is valid from one time to another.
func Dates(from, to time.Time) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, to }
}

func isInvalid(reason x509.InvalidReason) func(error) bool {
	return func(err error) bool {
		var e x509.CertificateInvalidError
		return errors.As(err, &e) && e.Reason == reason
	}
}

func isUnknown(err error) bool { return errors.As(err, new(x509.UnknownAuthorityError)) }

func isHostname(err error) bool { return errors.As(err, new(x509.HostnameError)) }

// CheckText asserts that a message is one printable line that has words in it, and none of those with
// "!" in front.
func CheckText(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, r := range text {
		if !strconv.IsPrint(r) {
			t.Errorf("%q in %q cannot be printed", r, text)
		}
	}
	for _, word := range words {
		if not, ok := strings.CutPrefix(word, "!"); ok {
			if strings.Contains(text, not) {
				t.Errorf("text is\n\t%s\nand has in it\n\t%s", text, not)
			}
		} else if !strings.Contains(text, word) {
			t.Errorf("text is\n\t%s\nwithout\n\t%s", text, word)
		}
	}
}
