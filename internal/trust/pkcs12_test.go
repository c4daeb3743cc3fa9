package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"tlsup/internal/realserver"
	"tlsup/internal/testca"
)

func TestPKCS12(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Clients"))
	between := must[*testca.CA](t)(ca.Intermediate("Between", nil))
	own := must[tls.Certificate](t)(between.Issue([]string{"me"}, nil))
	server, roots := newServer(t)
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()

	files := map[string]string{} // by how they were made
	for name, encoder := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern, "3DES": pkcs12.LegacyDES, "RC2": pkcs12.LegacyRC2} {
		data := must[[]byte](t)(encoder.Encode(own.PrivateKey, own.Leaf, []*x509.Certificate{between.Cert}, "open sesame"))
		files[name] = write(t, "own.p12", data)
	}
	// the certificate is not the first
	files["other order"] = write(t, "own.p12", must[[]byte](t)(pkcs12.Modern.Encode(own.PrivateKey, between.Cert, []*x509.Certificate{own.Leaf}, "open sesame")))
	file := filepath.Join(t.TempDir(), "own.p12")
	t.Run("made by openssl", func(t *testing.T) {
		openssl := realserver.Tool(t, "openssl")
		cert, key, err := testca.EncodePEM(own)
		if err != nil {
			t.Fatal(err)
		}
		in := write(t, "own.pem", append(key, cert...))
		if out, err := exec.Command(openssl, "pkcs12", "-export", "-in", in, "-out", file, "-passout", "pass:open sesame").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		files["openssl"] = file
	})
	for name, file := range files {
		asked := 0
		s := Settings{CAFiles: []string{roots}, CertFile: file, Passphrase: func(f string) ([]byte, error) {
			asked++
			return []byte("open sesame"), nil
		}}
		c, err := Load(s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if o := handshake(t, server, c.Client(context.Background(), host, nil)); o.clientErr != nil || len(o.server.PeerCertificates) != 2 || commonName(o.server.PeerCertificates[0]) != "me" || asked != 1 {
			t.Errorf("%s: asked %d times, the server saw %d certificates, error %v", name, asked, len(o.server.PeerCertificates), o.clientErr)
		}
	}
}

func TestPKCS12Refused(t *testing.T) {
	ca := must[*testca.CA](t)(testca.New("Clients"))
	own, other := must[tls.Certificate](t)(ca.Issue([]string{"me"}, nil)), must[tls.Certificate](t)(ca.Issue([]string{"you"}, nil))
	locked := write(t, "own.p12", must[[]byte](t)(pkcs12.Modern.Encode(own.PrivateKey, own.Leaf, nil, "secret")))
	open := write(t, "own.p12", must[[]byte](t)(pkcs12.Modern.Encode(own.PrivateKey, own.Leaf, nil, "")))
	wrong := write(t, "own.p12", must[[]byte](t)(pkcs12.Modern.Encode(own.PrivateKey, other.Leaf, nil, "")))
	cut := write(t, "own.p12", must[[]byte](t)(os.ReadFile(open))[:100])
	says := func(p string) func(string) ([]byte, error) {
		return func(string) ([]byte, error) { return []byte(p), nil }
	}
	for _, test := range []struct {
		file string
		ask  func(string) ([]byte, error)
		want string
	}{
		{open, nil, ""},
		{locked, nil, "the file is encrypted, and there is nobody to ask for its passphrase"},
		{locked, says("wrong"), "wrong passphrase"},
		{locked, func(string) ([]byte, error) { return nil, errors.New("no terminal") }, "asking for its passphrase failed: no terminal"},
		{wrong, nil, "no certificate in it is that of its key"},
		{cut, nil, "--x509certfile needs --x509keyfile, unless it is a PKCS#12 file"},
		{write(t, "own.pem", certPEM(t, own)), nil, "--x509certfile needs --x509keyfile, unless it is a PKCS#12 file"},
		{locked + "x", nil, "no such file"},
	} {
		_, err := Load(Settings{CertFile: test.file, Passphrase: test.ask})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("error is %v, want %q", err, test.want)
		}
	}
	if _, err := Load(Settings{CertFile: open, KeyFile: open}); err == nil || !strings.HasSuffix(err.Error(), ": a PKCS#12 file has its key in it, leave out --x509keyfile") {
		t.Errorf("error is %v", err)
	}
}
