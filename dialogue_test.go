package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/youmark/pkcs8"

	"tlsup/internal/record"
	"tlsup/internal/testca"
	"tlsup/internal/testserver"
)

// A dialogue is what a server of a script says and hears, one move a line:
//
//	S: 220 mail.example.org    a line is sent, with CRLF
//	S- 220 mail.               this is sent as it stands
//	C: EHLO .*                 a line comes, with CRLF, and matches as a whole
//	C- hello\n                 exactly this comes
//	C?                         something comes
//	TLS                        the handshake succeeds
//	TLS fails                  it doesn't
//	quiet                      nothing comes for a moment
//	end                        the client ends: close_notify inside TLS, else FIN
//	cut                        the connection ends without close_notify
//	reset                      it is reset
//	stall                      nothing more, until the client goes away
//
// Escapes of Go strings are understood in S: and S-. Behind the last move the server sends
// close_notify, and waits for the client's end.
type dialogue []string

// A player is a server that plays a dialogue with each client.
type player struct {
	dialogue dialogue
	listener net.Listener
	config   *tls.Config
	results  chan error // of each connection
}

func (p *player) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		go func() { p.results <- p.play(conn) }()
	}
}

// play plays the dialogue on one connection.
func (p *player) play(conn net.Conn) error {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	l := &line{Conn: conn, bare: conn, r: bufio.NewReader(conn)}
	for _, move := range p.dialogue {
		over, err := p.move(l, move)
		if err != nil {
			return fmt.Errorf("%s: %w", move, err)
		}
		if over {
			return nil
		}
	}
	if c, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	io.Copy(io.Discard, l.r)
	return nil
}

// line is a server's end of a connection.
type line struct {
	net.Conn          // bare, or in TLS
	bare     net.Conn // without TLS
	r        *bufio.Reader
}

// move makes one move, and reports whether it was the last.
func (p *player) move(l *line, move string) (over bool, err error) {
	kind, text, _ := strings.Cut(move, " ")
	switch kind {
	case "S:", "S-":
		if text, err = unescape(text); err != nil {
			return false, err
		}
		if kind == "S:" {
			text += "\r\n"
		}
		_, err = io.WriteString(l, text)
	case "C:":
		var got string
		if got, err = l.r.ReadString('\n'); err == nil && !regexp.MustCompile(`\A(?:`+text+`)\r\n\z`).MatchString(got) {
			err = fmt.Errorf("client said %q", got)
		}
	case "C-":
		if text, err = unescape(text); err != nil {
			return false, err
		}
		got := make([]byte, len(text))
		if _, err = io.ReadFull(l.r, got); string(got) != text {
			err = fmt.Errorf("client said %q (%v)", got, err)
		}
	case "C?":
		_, err = l.r.Peek(1)
	case "TLS":
		err = p.handshake(l)
		if text == "fails" {
			return true, expectFailure(err)
		}
	case "quiet":
		l.bare.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if b, e := l.r.Peek(1); len(b) > 0 || e != io.EOF && !os.IsTimeout(e) {
			err = fmt.Errorf("something comes: %q (%v)", b, e)
		}
		l.bare.SetDeadline(time.Now().Add(patience))
	case "end":
		if rest, e := io.ReadAll(l.r); e != nil || len(rest) > 0 {
			err = fmt.Errorf("client said %q (%v)", rest, e)
		}
	case "cut":
		l.bare.(interface{ CloseWrite() error }).CloseWrite()
		io.Copy(io.Discard, l.bare)
		return true, nil
	case "reset":
		return true, l.bare.(*net.TCPConn).SetLinger(0)
	case "stall":
		io.Copy(io.Discard, l.r)
		io.Copy(io.Discard, l.bare) // behind the close_notify
		return true, nil
	default:
		err = errors.New("no such move")
	}
	return false, err
}

func expectFailure(err error) error {
	if err == nil {
		return errors.New("the handshake succeeded")
	}
	return nil
}

func (p *player) handshake(l *line) error {
	if n := l.r.Buffered(); n > 0 && l.Conn != l.bare {
		return fmt.Errorf("%d bytes behind the client's request", n)
	}
	under := record.NewConn(readerConn{l.bare, l.r})
	tc := tls.Server(under, p.config)
	if err := tc.Handshake(); err != nil {
		return err
	}
	session := record.NewSession(tc, tc, under)
	l.Conn, l.r = session, bufio.NewReader(session)
	return nil
}

// readerConn is a connection of which something has been buffered.
type readerConn struct {
	net.Conn
	r io.Reader
}

func (c readerConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// server starts one of testserver's servers.
func (s *script) server(ts *testscript.TestScript, args []string) {
	server, err := testserver.Start(args[0], func(config *tls.Config) {
		ts.Check(change(config, args[1:]))
	})
	ts.Check(err)
	ts.Defer(func() { server.Close() })
	setAddress(ts, server.Addr)
}

// serve starts a server with a dialogue of the script's own.
func (s *script) serve(ts *testscript.TestScript, args []string) {
	address, changes := "127.0.0.1:0", args[1:]
	if len(changes) > 0 && strings.HasPrefix(changes[0], "on=") {
		address, changes = strings.TrimPrefix(changes[0], "on="), changes[1:]
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		address = "unix:" + ts.MkAbs(path)
	}
	p, err := startPlayer(ts.ReadFile(args[0]), address, changes)
	ts.Check(err)
	ts.Defer(func() { p.listener.Close() })
	setAddress(ts, p.listener.Addr())
	s.player = p
}

// startPlayer starts a server that plays a dialogue, at an address or unix:PATH, with
// changes to its TLS settings.
func startPlayer(text, address string, changes []string) (*player, error) {
	p := &player{config: new(tls.Config), results: make(chan error, 100)}
	for move := range strings.Lines(text) {
		if move = strings.TrimSpace(move); move != "" && move[0] != '#' {
			p.dialogue = append(p.dialogue, move)
		}
	}
	if err := change(p.config, changes); err != nil {
		return nil, err
	}
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	var err error
	if p.listener, err = net.Listen(network, address); err != nil {
		return nil, err
	}
	go p.accept()
	return p, nil
}

// wait waits for the end of one connection, which went as in the dialogue.
func (p *player) wait() error {
	select {
	case err := <-p.results:
		return err
	case <-time.After(patience):
		return errors.New("no connection has ended")
	}
}

func (s *script) served(ts *testscript.TestScript, _ []string) { ts.Check(s.player.wait()) }

// refuse finds an address that nobody listens at and nobody else can take: it is the near
// end of a connection.
func (s *script) refuse(ts *testscript.TestScript, _ []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	ts.Check(err)
	ts.Defer(func() { conn.Close() })
	setAddress(ts, conn.LocalAddr())
}

func setAddress(ts *testscript.TestScript, addr net.Addr) {
	ts.Setenv("ADDR", addr.String())
	if host, port, err := net.SplitHostPort(addr.String()); err == nil {
		ts.Setenv("HOST", host)
		ts.Setenv("PORT", port)
	}
}

// serverNames are the names that servers' certificates are valid for.
var serverNames = []string{testserver.Host, "example.org", "localhost", "127.0.0.1", "::1"}

// change makes a server's TLS settings, with the changes that are asked for.
func change(config *tls.Config, changes []string) error {
	issuer, names := authorities.own, serverNames
	var alters []func(*x509.Certificate)
	var staple func(leaf *x509.Certificate) ([]byte, error)
	incomplete := false
	web, err := onWeb()
	if err != nil {
		return err
	}
	for _, word := range changes {
		switch word {
		case "expired":
			alters = append(alters, func(cert *x509.Certificate) {
				cert.NotBefore, cert.NotAfter = time.Now().Add(-96*time.Hour), time.Now().Add(-50*time.Hour)
			})
		case "not-yet":
			alters = append(alters, func(cert *x509.Certificate) { cert.NotBefore = time.Now().Add(10 * time.Hour) })
		case "sha1":
			alters = append(alters, func(cert *x509.Certificate) { cert.SignatureAlgorithm = x509.ECDSAWithSHA1 })
		case "revoked":
			alters = append(alters, func(cert *x509.Certificate) { cert.SerialNumber = revokedSerial })
		case "responder":
			alters = append(alters, func(cert *x509.Certificate) { cert.OCSPServer = []string{web.url + "/ocsp"} })
		case "responder-silent":
			alters = append(alters, func(cert *x509.Certificate) { cert.OCSPServer = []string{"http://" + web.silent.Addr().String()} })
		case "stapled":
			staple = func(leaf *x509.Certificate) ([]byte, error) { return web.respond(leaf.SerialNumber, time.Hour) }
		case "stapled-old":
			staple = func(leaf *x509.Certificate) ([]byte, error) { return web.respond(leaf.SerialNumber, -time.Minute) }
		case "stapled-other": // a response on another certificate
			staple = func(*x509.Certificate) ([]byte, error) { return web.respond(big.NewInt(1), time.Hour) }
		case "incomplete": // the issuer's certificate is left out, but it is on the web
			issuer, incomplete = web.inter, true
			alters = append(alters, func(cert *x509.Certificate) { cert.IssuingCertificateURL = []string{web.url + "/inter"} })
		case "wrong-name":
			names = []string{"other.example.net"}
		case "unknown-ca":
			issuer = authorities.other
		case "client-cert":
			config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, authorities.own.Pool()
		case "ech":
			config.EncryptedClientHelloKeys = []tls.EncryptedClientHelloKey{echKey}
		case "tls1.2":
			config.MaxVersion = tls.VersionTLS12
		case "tls1.1":
			config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		default:
			return fmt.Errorf("no such change: %s", word)
		}
	}
	cert, err := issuer.Issue(names, func(cert *x509.Certificate) {
		for _, alter := range alters {
			alter(cert)
		}
	})
	if err == nil && staple != nil {
		cert.OCSPStaple, err = staple(cert.Leaf)
	}
	if incomplete {
		cert.Certificate = cert.Certificate[:1]
	}
	config.Certificates = []tls.Certificate{cert}
	return err
}

// authorities are those of all scripts.
var authorities struct{ own, other *testca.CA }

// echKey is what servers have for Encrypted Client Hello under the public name mail.example.org.
var echKey tls.EncryptedClientHelloKey

// passphrase is that of encrypted.key.
const passphrase = "open sesame"

// scriptFiles makes the files that lie in each script's directory: ca.pem, the authority
// of the servers; other-ca.pem, another; client.pem and client.key, a certificate that the
// servers accept; stranger.pem and stranger.key, one of the other authority;
// encrypted.key, client.key with a passphrase; ech.pem, the servers' configuration for Encrypted Client
// Hello, and old-ech.pem, one that they had before; crl.pem, a list of what the authority of the servers
// has revoked; ca.der and crl.der.
var scriptFiles = sync.OnceValues(func() (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, ca := range map[string]**testca.CA{"client": &authorities.own, "stranger": &authorities.other} {
		var err error
		if *ca, err = testca.New("authority of " + name); err != nil {
			return nil, err
		}
		cert, err := (*ca).Issue([]string{name + ".example.org"}, nil)
		if err != nil {
			return nil, err
		}
		if files[name+".pem"], files[name+".key"], err = testca.EncodePEM(cert); err != nil {
			return nil, err
		}
	}
	files["ca.pem"], files["other-ca.pem"] = authorities.own.PEM(), authorities.other.PEM()
	for _, name := range []string{"old-ech.pem", "ech.pem"} {
		var list []byte
		var err error
		if echKey, list, err = testca.ECH(testserver.Host); err != nil {
			return nil, err
		}
		files[name] = pem.EncodeToMemory(&pem.Block{Type: "ECHCONFIG", Bytes: list})
	}
	crl, err := authorities.own.CRL(func(list *x509.RevocationList) {
		list.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: revokedSerial, RevocationTime: list.ThisUpdate}}
	})
	if err != nil {
		return nil, err
	}
	files["crl.pem"] = pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl})
	files["crl.der"], files["ca.der"] = crl, authorities.own.Cert.Raw
	block, _ := pem.Decode(files["client.key"])
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	der, err := pkcs8.MarshalPrivateKey(key, []byte(passphrase), nil)
	files["encrypted.key"] = pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})
	return files, err
})

// writeScriptFiles writes them to a directory.
func writeScriptFiles(dir string) error {
	files, err := scriptFiles()
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
