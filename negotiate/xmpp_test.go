package negotiate

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"tlsup/internal/testserver"
)

func FuzzXMPP(f *testing.F)       { fuzzUpgrade(f, "xmpp") }
func FuzzXMPPServer(f *testing.F) { fuzzUpgrade(f, "xmpp-server") }

const (
	xmppTestHeader   = "<?xml version='1.0'?><stream:stream version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	xmppTestFeatures = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
	xmppTestProceed  = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
)

// TestXMPPReadsNoByteAhead asserts that nothing behind the last byte of the go-ahead is
// consumed, however much of it has come in.
func TestXMPPReadsNoByteAhead(t *testing.T) {
	for _, proceed := range []string{xmppTestProceed, "<p:proceed xmlns:p='urn:ietf:params:xml:ns:xmpp-tls'></p:proceed>"} {
		for _, behind := range []string{"", " ", "<", "</stream:stream>", "\x16\x03\x03"} {
			said := xmppTestHeader + xmppTestFeatures + proceed
			client, server := pair(t)
			if _, err := io.WriteString(server, said+behind); err != nil {
				t.Fatal(err)
			}
			c := newConn(client, nil)
			if err := Find("xmpp").Upgrade(c, &Options{Host: "example.net", Name: "example.net"}); err != nil {
				t.Fatal(err)
			}
			if c.at != len(said) {
				t.Errorf("behind %q: consumed %d bytes of %d", behind, c.at, len(said))
			}
			if got := string(c.rest()) + string(arrived(client)); got != behind {
				t.Errorf("behind %q: %q is left", behind, got)
			}
		}
	}
}

// TestXMPPTrace asserts that a person sees one line for each complete element.
func TestXMPPTrace(t *testing.T) {
	var traced []string
	_, err := Client(context.Background(), &scripted{said: []byte(xmppTestHeader + xmppTestFeatures + xmppTestProceed)}, Find("xmpp"), &Options{
		Host:  "example.net",
		Trace: func(l Line) { traced = append(traced, l.String()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"C: <?xml version='1.0'?><stream:stream to='example.net' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
		"S: " + xmppTestHeader,
		"S: " + xmppTestFeatures,
		"C: <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
		"S: " + xmppTestProceed,
	}
	if !slices.Equal(traced, want) {
		t.Errorf("traced\n%s\nwant\n%s", strings.Join(traced, "\n"), strings.Join(want, "\n"))
	}
}

// TestXMPPBounds has a server that does not end.
func TestXMPPBounds(t *testing.T) {
	for name, said := range map[string]string{
		"white space": strings.Repeat("\n", 2*MaxBytes),
		"declaration": "<?xml " + strings.Repeat("x", 2*MaxBytes),
		"name":        "<" + strings.Repeat("x", 2*MaxBytes),
		"attribute":   "<stream:stream id='" + strings.Repeat("x", 2*MaxBytes),
		"attributes":  "<stream:stream" + strings.Repeat(" a='b'", 2*MaxBytes),
		"text":        xmppTestHeader + "<stream:features>" + strings.Repeat("x", 2*MaxBytes),
		"cdata":       xmppTestHeader + "<stream:features>" + strings.Repeat("<![CDATA[]]>", MaxBytes),
		"elements":    xmppTestHeader + "<stream:features>" + strings.Repeat("<a/>", 2*MaxLines),
		"depth":       xmppTestHeader + "<stream:features>" + strings.Repeat("<a>", 2*xmppDepth),
		"error":       xmppTestHeader + "<stream:error>" + strings.Repeat("x", 2*MaxBytes),
		"proceed":     xmppTestHeader + xmppTestFeatures + strings.Repeat("\n", 2*MaxBytes),
	} {
		t.Run(name, func(t *testing.T) {
			checkBounds(t, "xmpp", said, ErrTooLong, MaxBytes)
			checkBounds(t, "xmpp-server", strings.ReplaceAll(said, xmppClient.content, xmppServer.content), ErrTooLong, MaxBytes)
		})
	}
}

// TestXMPPReset has a server that resets the connection, as Prosody does on a port for
// TLS from the first byte.
func TestXMPPReset(t *testing.T) {
	client, server := pair(t)
	go func() {
		waitFor(t, server)
		server.(*net.TCPConn).SetLinger(0)
		server.Close()
	}()
	_, err := Client(context.Background(), client, Find("xmpp"), &Options{Host: "2001:db8::1", Name: "example.net"})
	own, ok := errors.AsType[*Error](err)
	if !ok || own.Step != Greeting || strings.Contains(err.Error(), "127.0.0.1") {
		t.Fatalf("error %v (%T)", err, err)
	}
	if want := "tlsup --starttls-name example.net xmpps://[2001:db8::1]"; !strings.HasSuffix(own.Hint, want) {
		t.Errorf("hint %q, want %q", own.Hint, want)
	}
}

func TestXMPPHeader(t *testing.T) {
	for _, test := range []struct {
		kind       xmppKind
		name, from string
		want       string
	}{
		{xmppClient, "example.net", "", " to='example.net' xmlns='jabber:client' "},
		{xmppServer, "example.net", "", " to='example.net' xmlns='jabber:server' "},
		{xmppServer, "example.net.", "example.org.", " from='example.org' to='example.net' xmlns='jabber:server' "},
		{xmppClient, "192.0.2.1", "", " to='192.0.2.1' "},
		{xmppClient, "2001:db8::1", "", " to='[2001:db8::1]' "},
		{xmppClient, "[2001:db8::1]", "", " to='[2001:db8::1]' "},
		{xmppClient, "bücher.example", "", " to='bücher.example' "},
		// These are refused before; should one come through, it stays inside its quotes.
		{xmppClient, "a'b\"<c>&", "", " to='a&#39;b&#34;&lt;c&gt;&amp;' "},
	} {
		header := xmppHeader(test.kind, &Options{Name: test.name, From: test.from})
		if !strings.HasPrefix(header, "<?xml version='1.0'?><stream:stream"+test.want) {
			t.Errorf("%q, from %q: %s, want %s", test.name, test.from, header, test.want)
		}
	}
}

func TestXMPPRecognise(t *testing.T) {
	for _, test := range []struct {
		greeting string
		port     int
		want     string
	}{
		{"<?xml version='1.0'?>", 5222, "xmpp xmpp-server"},
		{"<?xml version='1.0'?>", 5269, "xmpp-server xmpp"},
		{"\r\n <stream:stream", 0, "xmpp xmpp-server"},
		{"<stream:stream xmlns=\"jabber:server\">", 5222, "xmpp-server"},
		{"<stream:stream xmlns='jabber:client'>", 5269, "xmpp"},
		{"\ufeff<?xml", 5222, ""},
		{"<html>", 5222, ""},
		{"220 mail.example.org", 5222, ""},
		{"", 5222, ""},
	} {
		var got []string
		for _, p := range Recognise([]byte(test.greeting), test.port) {
			if p.Family == Chat {
				got = append(got, p.Name)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%q: recognised %q, want %q", test.greeting, got, test.want)
		}
	}
}

// TestXMPPServers leads a session with the servers in the process to its end.
func TestXMPPServers(t *testing.T) {
	for _, name := range []string{"xmpp", "xmpps", "xmpp-server", "xmpps-server"} {
		t.Run(name, func(t *testing.T) {
			session, err := xmppSession(t, name, &Options{Host: "127.0.0.1", Name: testserver.Host})
			if err != nil {
				t.Fatal(err)
			}
			// The stream's end has to be answered with the other side still open.
			if _, err := io.WriteString(session, strings.Join(testserver.Talk(name), "\n")+"\n"); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(session)
			if err != nil {
				t.Fatal(err)
			}
			content := "'jabber:client'"
			if strings.HasSuffix(name, "server") {
				content = "'jabber:server'"
			}
			for _, part := range []string{"from='" + testserver.Host + "'", content, "<stream:features><mechanisms"} {
				if !strings.Contains(string(got), part) {
					t.Errorf("%q does not contain %q", got, part)
				}
			}
			if !strings.HasSuffix(string(got), "</stream:features></stream:stream>") || strings.Contains(string(got), "starttls") {
				t.Errorf("the session was %q", got)
			}
		})
	}
}

// TestXMPPServersRefuse asks the servers in the process for what they don't serve.
func TestXMPPServersRefuse(t *testing.T) {
	for _, name := range []string{"xmpp", "xmpp-server"} {
		_, err := xmppSession(t, name, &Options{Host: "127.0.0.1"})
		refusal, ok := errors.AsType[*Error](err)
		if !ok || !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "host-unknown") || !strings.Contains(refusal.Hint, "--starttls-name") {
			t.Errorf("%s: error %v (%T)", name, err, err)
		}
	}
}

// xmppSession connects to the server in the process.
func xmppSession(t *testing.T, name string, o *Options) (net.Conn, error) {
	t.Helper()
	server, err := testserver.Start(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	conn, err := net.Dial("tcp", server.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	up, err := Client(ctx, conn, Find(name), o)
	if err != nil {
		return nil, err
	}
	tc := tls.Client(up, &tls.Config{ServerName: up.ServerName, RootCAs: server.CA.Pool()})
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return up.Finish(ctx, tc)
}
