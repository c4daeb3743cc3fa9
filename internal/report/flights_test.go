package report

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tlsup/internal/testca"
	"tlsup/internal/wire"
)

// source is a connection that bytes are read from, in pieces.
type source struct {
	net.Conn
	data  []byte
	piece int
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.piece)], s.data)
	s.data = s.data[n:]
	return n, nil
}

// seen is what a tap sees in the server's bytes that come in pieces.
func seen(data []byte, piece int) []string {
	rec := &recorder{start: time.Now()}
	f := watchFlights(&source{data: data, piece: piece}, rec)
	io.Copy(io.Discard, f.tap)
	f.finish()
	var texts []string
	for _, e := range rec.events {
		texts = append(texts, e.From+": "+e.Text)
	}
	return texts
}

// A hostile server's records and messages do no harm, and it is no matter in which pieces they come.
func FuzzFlights(f *testing.F) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		f.Add(flight(f, version))
	}
	f.Add([]byte{wire.Alert, 3, 3, 0, 2, 2, 40})
	f.Add([]byte{wire.Handshake, 3, 3, 0, 4, wire.ServerKeyExchange, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		whole := seen(data, len(data)+1)
		if bits := seen(data, 1); !slices.Equal(whole, bits) {
			t.Errorf("whole %q, in pieces %q", whole, bits)
		}
	})
}

// flight is what a server sends first.
func flight(t testing.TB, version uint16) []byte {
	ca := must[*testca.CA](t)(testca.New("root"))
	cert := must[tls.Certificate](t)(ca.Issue([]string{"mail.example.org"}, nil))
	near, far := net.Pipe()
	defer near.Close()
	go tls.Server(far, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version}).Handshake()
	var b bytes.Buffer
	client := tls.Client(copying{near, &b}, &tls.Config{InsecureSkipVerify: true})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type copying struct {
	net.Conn
	to *bytes.Buffer
}

func (c copying) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.to.Write(p[:n])
	return n, err
}

func TestFlights(t *testing.T) {
	for version, want := range map[uint16]string{
		tls.VersionTLS12: "server: ServerHello, Certificate, ServerKeyExchange, ServerHelloDone, ChangeCipherSpec, Finished, ",
		tls.VersionTLS13: "server: ServerHello, ChangeCipherSpec, 4 encrypted, ",
	} {
		if got := seen(flight(t, version), 7); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%q, wanted %q", got, want)
		}
	}
}

// FuzzFold: lines fit, and no word is lost.
func FuzzFold(f *testing.F) {
	f.Add("a word and another", 20, 5, 3)
	f.Fuzz(func(t *testing.T, text string, width, first, indent int) {
		if !utf8.ValidString(text) {
			return // texts are escaped before
		}
		width, indent = 15+width&63, indent&3
		first = indent + first&3
		lines := fold(text, width, first, indent)
		for i, line := range lines {
			at := indent
			if i == 0 {
				at = first
			}
			if at+len([]rune(line)) > width {
				t.Errorf("%q does not fit %d columns", lines, width)
			}
		}
		if strings.ReplaceAll(strings.Join(lines, ""), " ", "") != strings.Join(strings.Fields(text), "") {
			t.Errorf("%q became %q", text, lines)
		}
	})
}
