package main

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"tlsup/internal/testca"
)

// revokedSerial is that of certificates which are revoked.
var revokedSerial = big.NewInt(0x7777)

// authorityOnWeb is what the authority of the servers has on the web: /ocsp is its responder, which
// knows all its certificates, and /inter the certificate of an intermediate authority.
type authorityOnWeb struct {
	url    string
	silent net.Listener // of a responder that does not answer: connections wait to be accepted
	inter  *testca.CA
	by     tls.Certificate // the responder's
}

var onWeb = sync.OnceValues(func() (*authorityOnWeb, error) {
	ca := authorities.own
	a := new(authorityOnWeb)
	var err error
	if a.inter, err = ca.Intermediate("intermediate authority", nil); err != nil {
		return nil, err
	}
	a.by, err = ca.Issue([]string{"responder"}, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} })
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/inter", func(w http.ResponseWriter, _ *http.Request) { w.Write(a.inter.Cert.Raw) })
	mux.HandleFunc("/ocsp", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		question, err := ocsp.ParseRequest(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer, err := a.respond(question.SerialNumber, time.Hour)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(answer)
	})
	a.url = httptest.NewServer(mux).URL
	a.silent, err = net.Listen("tcp", "127.0.0.1:0")
	return a, err
})

// respond makes the answer on a certificate, which is good for so long.
func (a *authorityOnWeb) respond(serial *big.Int, life time.Duration) ([]byte, error) {
	now := ocspTime()
	r := ocsp.Response{
		Status: ocsp.Good, SerialNumber: serial, Certificate: a.by.Leaf,
		ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(life),
	}
	if serial.Cmp(revokedSerial) == 0 {
		r.Status, r.RevokedAt = ocsp.Revoked, now.Add(-2*time.Hour)
	}
	return ocsp.CreateResponse(authorities.own.Cert, a.by.Leaf, r, a.by.PrivateKey.(crypto.Signer))
}

var ocspTime = sync.OnceValue(time.Now)
