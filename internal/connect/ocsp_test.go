package connect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testca"
	"tlsup/internal/trust"
)

// silentResponder takes questions and answers none. asked is closed at the first.
func silentResponder(t *testing.T) (url string, asked <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	came := make(chan struct{})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.Read(make([]byte, 1))
		close(came)
		var rest [4096]byte
		for err == nil { // until it is given up
			_, err = conn.Read(rest[:])
		}
	}()
	return "http://" + l.Addr().String() + "/", came
}

// TestSilentResponder: what bounds a connection bounds the question to the OCSP responder as well, and
// the server is not blamed for it.
func TestSilentResponder(t *testing.T) {
	for _, settings := range []*Settings{nil, new(Settings)} { // a tunnel's
		responder, asked := silentResponder(t)
		ca, err := testca.New("Root")
		if err != nil {
			t.Fatal(err)
		}
		cert, err := ca.Issue([]string{"localhost"}, func(c *x509.Certificate) { c.OCSPServer = []string{responder} })
		if err != nil {
			t.Fatal(err)
		}
		roots := filepath.Join(t.TempDir(), "root.pem")
		if err := os.WriteFile(roots, ca.PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		target, o := startWith(t, "imap", func(c *tls.Config) { c.Certificates = []tls.Certificate{cert} }, trust.Settings{})
		if o.Trust, err = trust.Load(trust.Settings{CAFiles: []string{roots}, OCSP: true}); err != nil {
			t.Fatal(err)
		}
		o.Settings = settings

		errEnough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		go func() {
			<-asked
			cancel(errEnough)
		}()
		began := time.Now()
		if _, err := Open(ctx, target, o); err != errEnough {
			t.Errorf("cancelled, the error is %v", err)
		}
		limited, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		_, err = Open(limited, target, o)
		var failed *Error
		if !errors.As(err, &failed) || failed.Step != Verify || failed.Hint != "without --ocsp nobody is asked" ||
			!strings.Contains(err.Error(), responder+"\": it did not answer in time") {
			t.Errorf("the error is %v, %+v", err, failed)
		}
		if took := time.Since(began); took > 8*time.Second { // less than the responder has
			t.Errorf("it took %v", took)
		}
	}
}
