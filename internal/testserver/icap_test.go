package testserver

import (
	"bufio"
	"io"
	"testing"

	"tlsup/negotiate"
)

func TestICAP(t *testing.T) {
	t.Run("clear", func(t *testing.T) {
		_, conn := dial(t, "icap")
		converse(t, conn, `
			C: OPTIONS icap://mail.example.org/echo ICAP/1.0
			C: Host: mail.example.org
			C: 
			S: ICAP/1.0 426 Upgrade Required
			S: Upgrade: TLS/1.0, ICAP/1.0
			S: Connection: Upgrade
			S: ISTag: "tlsup-1"
			S: Encapsulated: null-body=0
			S: 
			C: REQMOD icap://mail.example.org/echo ICAP/1.0
			C: Host: mail.example.org
			C: Upgrade: TLS/1.0
			C: Connection: Upgrade
			C: Encapsulated: null-body=0
			C: 
			S: ICAP/1.0 426 Upgrade Required
			S: Upgrade: TLS/1.0, ICAP/1.0
			S: Connection: Upgrade
			S: ISTag: "tlsup-1"
			S: Encapsulated: null-body=0
			S: `)
	})
	for name, request := range map[string]string{
		"web":         "GET / HTTP/1.1\nC: Host: mail.example.org\nC: ",
		"no host":     "OPTIONS icap://mail.example.org/echo ICAP/1.0\nC: ",
		"other part":  "REQMOD icap://mail.example.org/echo ICAP/1.0\nC: Host: x\nC: Encapsulated: req-hdr=0\nC: ",
		"long header": "REQMOD icap://mail.example.org/echo ICAP/1.0\nC: Host: x\nC: Encapsulated: req-hdr=0, null-body=4097\nC: ",
		"no chunk":    "REQMOD icap://mail.example.org/echo ICAP/1.0\nC: Host: x\nC: Encapsulated: req-body=0\nC: \nC: hello",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "icap")
			converse(t, conn, "C: "+request+`
				S: ICAP/1.0 400 Bad request
				S: Connection: close
				S: ISTag: "tlsup-1"
				S: Encapsulated: null-body=0
				S: 
				close`)
		})
	}
	t.Run("inside", func(t *testing.T) {
		// The answer to OPTIONS has been read.
		session, _, _ := open(t, negotiate.Find("icap"))
		converse(t, session, `
			C: REQMOD icap://mail.example.org/echo ICAP/1.0
			C: Host: mail.example.org
			C: Encapsulated: null-body=0
			C: 
			S: ICAP/1.0 405 Method not allowed for service
			S: ISTag: "tlsup-1"
			S: Encapsulated: null-body=0
			S: 
			C: LOGMOD icap://mail.example.org/echo ICAP/1.0
			C: Host: mail.example.org
			C: Connection: Close
			C: 
			S: ICAP/1.0 501 Method not implemented
			S: ISTag: "tlsup-1"
			S: Encapsulated: null-body=0
			S: 
			close`)
	})
	t.Run("page", func(t *testing.T) {
		session, _, _ := open(t, negotiate.Find("icaps"))
		if _, err := io.WriteString(session, icapTalkRequest+"\r\n"); err != nil {
			t.Fatal(err)
		}
		const want = "ICAP/1.0 200 OK\r\nISTag: \"tlsup-1\"\r\nEncapsulated: res-hdr=0, res-body=45\r\n\r\n" +
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
		if got, err := io.ReadAll(bufio.NewReader(session)); string(got) != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	})
}
