package trust

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testca"
)

// TestKnownToGnutls: what GnuTLS has noted counts, for servers that are not known otherwise.
func TestKnownToGnutls(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Root"))
	cert, other := must[tls.Certificate](t)(ca.Issue([]string{host}, nil)), must[tls.Certificate](t)(ca.Issue([]string{host}, nil))
	key := func(c tls.Certificate) string {
		return base64.StdEncoding.EncodeToString(c.Leaf.RawSubjectPublicKeyInfo)
	}
	past, future := time.Now().Add(-time.Minute).Unix(), time.Now().Add(time.Minute).Unix()
	for _, test := range []struct {
		name, lines string
		want        error // nil: trusted
	}{
		{"nothing", "", ErrUnknownHost},
		{"its key", "|g0|mail.example|143|0|" + key(cert), nil},
		{"its key, by the service", "|g0|mail.example|imap|0|" + key(cert), nil},
		{"its key, for all", "|g0|*|*|0|" + key(cert), nil},
		{"its key until then", fmt.Sprintf("|g0|mail.example|143|%d|%s", future, key(cert)), nil},
		{"its key, which is out of date", fmt.Sprintf("|g0|mail.example|143|%d|%s", past, key(cert)), ErrUnknownHost},
		{"another key", "|g0|mail.example|143|0|" + key(other), ErrChangedHost},
		{"two keys", "|g0|mail.example|143|0|" + key(other) + "\n|g0|mail.example|143|0|" + key(cert), nil},
		{"another host", "|g0|x.mail.example|143|0|" + key(cert), ErrUnknownHost},
		{"another port", "|g0|mail.example|993|0|" + key(cert), ErrUnknownHost},
		{"no lines", "\n|g0\n|g0|mail.example|143|0\n|g0|mail.example|143|x|" + key(cert) + "\nmail.example|143|0|" + key(cert), ErrUnknownHost},
		{"a commitment", "|c0|mail.example|143|0|6|" + key(cert), ErrUnknownHost},
	} {
		t.Run(test.name, func(t *testing.T) {
			own := filepath.Join(t.TempDir(), "known_hosts")
			c := load(t, Settings{KnownHosts: own, GnutlsHosts: write(t, "gnutls_hosts", []byte(test.lines+"\n"))})
			o := handshake(t, &tls.Config{Certificates: []tls.Certificate{cert}}, c.For(Server{Address: "mail.example:143", Protocol: "imap"}).Client(context.Background(), host, nil))
			if !errors.Is(o.clientErr, test.want) || test.want == nil && o.clientErr != nil {
				t.Errorf("error is %v, want %v", o.clientErr, test.want)
			}
			noted, err := os.ReadFile(own)
			if (err == nil) != (test.want == nil) || err == nil && !strings.Contains(string(noted), Pin(cert.Leaf)) {
				t.Errorf("noted is %q, %v", noted, err)
			}
		})
	}
}
