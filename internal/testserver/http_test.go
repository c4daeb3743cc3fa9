package testserver

import (
	"testing"

	"tlsup/negotiate"
)

func TestHTTP(t *testing.T) {
	t.Run("clear", func(t *testing.T) {
		_, conn := dial(t, "http")
		converse(t, conn, `
			C: GET / HTTP/1.1
			C: Host: example.org
			C: 
			S: HTTP/1.1 426 Upgrade Required
			S: Upgrade: TLS/1.0, HTTP/1.1
			S: Connection: Upgrade
			S: Content-Length: 15
			S: 
			S: TLS is wanted
			C: OPTIONS * HTTP/1.1
			C: Host: example.org
			C: Upgrade: TLS/1.0
			C: Connection: close
			C: 
			S: HTTP/1.1 426 Upgrade Required
			S: Upgrade: TLS/1.0, HTTP/1.1
			S: Connection: Upgrade
			S: Content-Length: 15
			S: 
			S: TLS is wanted`)
	})
	t.Run("no request", func(t *testing.T) {
		_, conn := dial(t, "http")
		converse(t, conn, `
			C: hello
			C: 
			S: HTTP/1.1 400 Bad Request
			S: Connection: close
			S: Content-Length: 12
			S: 
			S: no request
			close`)
	})
	t.Run("inside", func(t *testing.T) {
		// The answer to OPTIONS has been read.
		session, _, _ := open(t, negotiate.Find("http"))
		converse(t, session, `
			C: DELETE / HTTP/1.1
			C: Host: example.org
			C: 
			S: HTTP/1.1 405 Method Not Allowed
			S: Allow: GET, HEAD, OPTIONS
			S: Content-Length: 4
			S: 
			S: no
			C: HEAD / HTTP/1.1
			C: Host: example.org
			C: Connection: Close
			C: 
			S: HTTP/1.1 200 OK
			S: Content-Length: 7
			S: 
			close`)
	})
}
