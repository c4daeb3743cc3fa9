package negotiate_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"tlsup/internal/testserver"
	"tlsup/negotiate"
)

// A program of your own upgrades a connection, runs the handshake with its own settings
// and speaks inside TLS.
func Example() {
	server, err := testserver.Start("smtp", nil) // on loopback, in place of your server
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	answer, err := quit(server.Addr.String(), server.CA.Pool())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("inside TLS:", answer)
	// Output:
	// S: 220 mail.example.org ESMTP ready
	// C: EHLO client.example.org
	// S: 250-mail.example.org
	// S: 250-PIPELINING
	// S: 250-STARTTLS
	// S: 250 8BITMIME
	// C: STARTTLS
	// S: 220 2.0.0 Ready to start TLS
	// inside TLS: 221 2.0.0 Bye
}

// quit upgrades a connection to the SMTP server at addr, says QUIT inside TLS, and
// returns the first line of the answer.
func quit(addr string, roots *x509.CertPool) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()

	protocol := negotiate.Find("smtp")
	up, err := negotiate.Client(ctx, conn, protocol, &negotiate.Options{
		Host:  "mail.example.org",
		Name:  "client.example.org",
		Trace: func(l negotiate.Line) { fmt.Println(l) }, // raw: escape what other servers say
	})
	if err != nil {
		return "", err // no upgrade: a *negotiate.Error with the step and the reason
	}
	tlsConn := tls.Client(up, &tls.Config{
		ServerName: up.ServerName,
		NextProtos: protocol.ALPN,
		RootCAs:    roots,
	})
	if err := tlsConn.HandshakeContext(ctx); err != nil {
		return "", err
	}
	session, err := up.Finish(ctx, tlsConn)
	if err != nil {
		return "", err
	}
	defer session.Close()

	if _, err := io.WriteString(session, "QUIT\r\n"); err != nil {
		return "", err
	}
	scanner := bufio.NewScanner(session)
	scanner.Scan()
	return scanner.Text(), scanner.Err()
}
