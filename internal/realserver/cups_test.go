package realserver

import (
	"fmt"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// cupsGetPrinters is IPP's request for the list of printers (RFC 8010; the operation is
// CUPS's own).
const cupsGetPrinters = "\x02\x00\x40\x02\x00\x00\x00\x01" + // version 2.0, CUPS-Get-Printers, request 1
	"\x01" + // operation attributes
	"\x47\x00\x12attributes-charset\x00\x05utf-8" +
	"\x48\x00\x1battributes-natural-language\x00\x02en" +
	"\x03" // end

// cupsNoPrinters begins the answer of a server that has none: version 2.0,
// client-error-not-found, request 1.
const cupsNoPrinters = "\x02\x00\x04\x06\x00\x00\x00\x01"

func TestCUPS(t *testing.T) {
	t.Parallel()
	s := CUPS(t)
	request := fmt.Sprintf("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ipp\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		len(cupsGetPrinters), cupsGetPrinters)
	for _, scheme := range cups.schemes {
		t.Run(scheme, func(t *testing.T) {
			http := open(t, s, scheme, "localhost")
			// The first answer of the session is to this, not to what upgraded.
			http.say("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
			mustOffer(t, strings.Split(http.hear("\r\n\r\n"), "\r\n"), "HTTP/1.1 200 ", true)
			http.say(request)
			mustOffer(t, strings.Split(http.hear("\r\n\r\n"), "\r\n"), "Content-Type: application/ipp", true)
			http.hear(cupsNoPrinters)

			got := tlsupTurns(t, []turn{{request, cupsNoPrinters}}, "--x509cafile", s.CAFile(), fmt.Sprintf("%s://localhost:%d", scheme, s.Ports[scheme]))
			got.must(t, 0, cupsNoPrinters)
			if n := strings.Count(got.stdout, "HTTP/1.1 "); n != 1 || !strings.HasPrefix(got.stdout, "HTTP/1.1 200 ") {
				t.Errorf("%d answers in %q", n, got.stdout)
			}
			tlsup(t, "", s.target(scheme)).must(t, 6, "", s.Addr(scheme)+": verify: ", "throwaway authority")
		})
	}
	t.Run("name not served", func(t *testing.T) {
		for _, scheme := range []string{"http", "ipp"} {
			mustRefuse(t, s, scheme, "www.example.com", negotiate.ErrRefused, negotiate.Upgrade)
			got := tlsup(t, "", "--starttls-name", "www.example.com", s.target(scheme))
			got.must(t, 4, "", `server refuses: "HTTP/1.1 400 Bad Request"`, "hint: the server may not serve www.example.com: --starttls-name")
		}
	})
}
