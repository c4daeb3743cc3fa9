package negotiate

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What either side says, see postgres.go.
const (
	pgSSLRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"
	pgGSSRequest = "\x00\x00\x00\x08\x04\xd2\x16\x30"
	pgCancel     = "\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x30\x39\x12\x34\x56\x78"
	pgStartup    = "\x00\x00\x00\x13\x00\x03\x00\x00user\x00demo\x00\x00"
	pgOK         = "R\x00\x00\x00\x08\x00\x00\x00\x00"
)

// pgMessage is a message with a type.
func pgMessage(kind byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body)))) + body
}

// pgOffer is an AuthenticationSASL.
func pgOffer(mechanisms ...string) string {
	var names string
	for _, m := range mechanisms {
		names += m + "\x00"
	}
	return pgMessage('R', "\x00\x00\x00\x0a"+names+"\x00")
}

// pgInitial is a SASLInitialResponse.
func pgInitial(response string) string {
	length := string(binary.BigEndian.AppendUint32(nil, uint32(len(response))))
	return pgMessage('p', "SCRAM-SHA-256\x00"+length+response)
}

// A tunnelled is a client led by a protocol, and a server without TLS.
type tunnelled struct {
	client, server net.Conn // the far ends
	local          *Local
	upgraded       *Upgraded
	session        net.Conn
}

func newTunnelled(t *testing.T, protocol string) *tunnelled {
	t.Helper()
	x := &tunnelled{}
	var near net.Conn
	x.client, near = pair(t)
	x.session, x.server = pair(t)
	x.local = &Local{Conn: near, client: newConn(near, nil).forLocal()}
	x.upgraded = &Upgraded{Protocol: Find(protocol), options: &Options{Local: x.local}}
	deadline := time.Now().Add(20 * time.Second)
	x.client.SetDeadline(deadline)
	x.server.SetDeadline(deadline)
	return x
}

// lead leads the client, and returns the ends.
func (x *tunnelled) lead() (client, server net.Conn, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return x.upgraded.Lead(ctx, x.session)
}

// send writes a text, byte by byte if it is to be.
func send(t *testing.T, conn net.Conn, text string, bytewise bool) {
	t.Helper()
	size := len(text)
	if bytewise {
		size = 1
	}
	for len(text) > 0 {
		if _, err := io.WriteString(conn, text[:size]); err != nil {
			t.Error(err)
			return
		}
		text = text[size:]
	}
}

// hear reads a text.
func hear(t *testing.T, conn io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	n, err := io.ReadFull(conn, got)
	if string(got[:n]) != text {
		t.Fatalf("heard %q (%v), want %q", got[:n], err, text)
	}
}

func TestPostgresLead(t *testing.T) {
	for name, x := range map[string]struct{ client, told, server string }{
		"startup alone":    {pgStartup, "", pgStartup},
		"SSLRequest":       {pgSSLRequest + pgStartup, "N", pgStartup},
		"GSSENCRequest":    {pgGSSRequest + pgStartup, "N", pgStartup},
		"both":             {pgGSSRequest + pgSSLRequest + pgStartup, "NN", pgStartup},
		"the other way":    {pgSSLRequest + pgGSSRequest + pgStartup, "NN", pgStartup},
		"cancel":           {pgCancel, "", pgCancel},
		"cancel behind N":  {pgSSLRequest + pgCancel, "N", pgCancel},
		"version 3.2":      {"\x00\x00\x00\x09\x00\x03\x00\x02\x00", "", "\x00\x00\x00\x09\x00\x03\x00\x02\x00"},
		"the longest":      {"\x00\x00\x27\x10\x00\x03\x00\x00" + strings.Repeat("x", 9992), "", "\x00\x00\x27\x10\x00\x03\x00\x00" + strings.Repeat("x", 9992)},
		"a password ahead": {pgStartup + pgMessage('p', "secret\x00"), "", pgStartup + pgMessage('p', "secret\x00")},
	} {
		for _, bytewise := range []bool{false, true} {
			for _, protocol := range []string{"postgres", "postgres-direct"} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, protocol, bytewise), func(t *testing.T) {
					t.Parallel()
					tu := newTunnelled(t, protocol)
					go send(t, tu.client, x.client, bytewise)
					client, server, err := tu.lead()
					if err != nil {
						t.Fatal(err)
					}
					go io.Copy(server, client)
					hear(t, tu.server, x.server)
					hear(t, tu.client, x.told)
				})
			}
		}
	}
}

// TestPostgresLeadFails checks what is logged of a client that can't be led, and what it is told.
func TestPostgresLeadFails(t *testing.T) {
	for name, x := range map[string]struct{ client, told, want, hint string }{
		"TLS":            {"\x16\x03\x01\x00\xc4\x01", "", "the local client speaks TLS", "turn TLS off"},
		"HTTP":           {"GET / HTTP/1.0\r\n\r\n", "", `"GET / HTTP/1.0" is not how a PostgreSQL client begins`, "PostgreSQL"},
		"behind SSL":     {pgSSLRequest + "GET / HTTP/1.0\r\n\r\n", "N", `answer: "GET / HTTP/1.0" is not how`, "PostgreSQL"},
		"too short":      {"\x00\x00\x00\x07\x00\x03\x00\x00", "", "is not how", "PostgreSQL"},
		"too long":       {"\x00\x00\x27\x11\x00\x03\x00\x00", "", "is not how", "PostgreSQL"},
		"negative":       {"\xff\xff\xff\xff\x00\x03\x00\x00", "", "is not how", "PostgreSQL"},
		"SSL with more":  {"\x00\x00\x00\x09\x04\xd2\x16\x2f\x00", "", "is not how", "PostgreSQL"},
		"SSL twice":      {pgSSLRequest + pgSSLRequest, "N", "unexpected answer: a message with code 04d2162f", ""},
		"GSS twice":      {pgGSSRequest + pgSSLRequest + pgGSSRequest, "NN", "unexpected answer: a message with code 04d21630", ""},
		"version 2":      {"\x00\x00\x00\x08\x00\x02\x00\x00", "", "unexpected answer: a message with code 00020000", ""},
		"nothing":        {"", "", "the local client closed the connection", ""},
		"half a startup": {pgStartup[:9], "", "the local client closed the connection", ""},
		"half a request": {pgSSLRequest + pgSSLRequest[:5], "N", "the local client closed the connection", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tu := newTunnelled(t, "postgres")
			send(t, tu.client, x.client, false)
			closeWrite(tu.client)
			_, _, err := tu.lead()
			var own *Error
			if !errors.As(err, &own) || !errors.As(err, new(*LocalError)) {
				t.Fatalf("%v is a %T", err, err)
			}
			if !strings.Contains(err.Error(), x.want) || !strings.Contains(own.Hint, x.hint) {
				t.Errorf("%v, hint %q; want %q, %q", err, own.Hint, x.want, x.hint)
			}
			tu.local.Conn.Close()
			tu.session.Close()
			hear(t, tu.client, x.told)
			if strings.Contains(x.want, "with code") {
				mustPart(t, tu.client, "0A000", "the tunnel")
			}
			if said, _ := io.ReadAll(tu.server); len(said) > 0 {
				t.Errorf("the server was sent %q", said)
			}
		})
	}
}

// mustPart reads an ErrorResponse with a code and a text, and the end.
func mustPart(t *testing.T, client net.Conn, code, text string) {
	t.Helper()
	said, err := io.ReadAll(client)
	if err != nil {
		t.Error(err)
	}
	if len(said) < 5 || said[0] != 'E' || int(binary.BigEndian.Uint32(said[1:])) != len(said)-1 {
		t.Fatalf("%q is no ErrorResponse", said)
	}
	words, ok := postgresErrorText(said[5:])
	if !ok || !strings.Contains(words, text) || !strings.HasSuffix(words, "(SQLSTATE "+code+")") {
		t.Errorf("the client is told %q, want %q with %s", words, text, code)
	}
}

const (
	plus  = "SCRAM-SHA-256-PLUS"
	plain = "SCRAM-SHA-256"
)

// TestPostgresLogin checks what a client is shown of what the server says, however it is cut.
func TestPostgresLogin(t *testing.T) {
	notice := pgMessage('N', "SNOTICE\x00C00000\x00Mhello\x00\x00")
	for name, x := range map[string]struct{ server, client string }{
		"trust":              {pgOK, pgOK},
		"offer":              {pgOffer(plus, plain), pgOffer(plain)},
		"offer reversed":     {pgOffer(plain, plus), pgOffer(plain)},
		"offer of three":     {pgOffer("OAUTHBEARER", plus, plain), pgOffer("OAUTHBEARER", plain)},
		"without binding":    {pgOffer(plain), pgOffer(plain)},
		"only that":          {pgOffer("SCRAM-SHA-512-PLUS", "scram-sha-256-plus"), pgOffer("SCRAM-SHA-512-PLUS", "scram-sha-256-plus")},
		"nothing":            {pgOffer(), pgOffer()},
		"password":           {pgMessage('R', "\x00\x00\x00\x03") + pgOK, pgMessage('R', "\x00\x00\x00\x03") + pgOK},
		"md5":                {pgMessage('R', "\x00\x00\x00\x05salt") + pgOK, pgMessage('R', "\x00\x00\x00\x05salt") + pgOK},
		"the whole of SCRAM": {pgOffer(plus, plain) + pgMessage('R', "\x00\x00\x00\x0br=x") + pgMessage('R', "\x00\x00\x00\x0cv=x") + pgOK, pgOffer(plain) + pgMessage('R', "\x00\x00\x00\x0br=x") + pgMessage('R', "\x00\x00\x00\x0cv=x") + pgOK},
		"others before":      {pgMessage('v', "\x00\x03\x00\x00\x00\x00\x00\x00") + notice + pgMessage('S', "a\x00b\x00") + pgOffer(plus, plain), pgMessage('v', "\x00\x03\x00\x00\x00\x00\x00\x00") + notice + pgMessage('S', "a\x00b\x00") + pgOffer(plain)},
		"an error":           {pgMessage('E', "SFATAL\x00C28P01\x00Mno\x00\x00"), pgMessage('E', "SFATAL\x00C28P01\x00Mno\x00\x00")},
		"an old error":       {"Esorry\n\x00", "Esorry\n\x00"},
		"a long notice":      {pgMessage('N', strings.Repeat("x", 100000)) + pgOffer(plus, plain), pgMessage('N', strings.Repeat("x", 100000)) + pgOffer(plain)},
		"offer inside":       {pgMessage('N', pgOffer(plus, plain)) + pgOK, pgMessage('N', pgOffer(plus, plain)) + pgOK},
		"offer too late":     {pgOK + pgOffer(plus, plain), pgOK + pgOffer(plus, plain)},
		"no messages":        {pgOK + "R\x00\x00\x00\x01anything", pgOK + "R\x00\x00\x00\x01anything"},
		"nothing at all":     {"", ""},
		"half a header":      {"R\x00\x00", ""},
		"half an offer":      {pgOffer(plus, plain)[:20], ""},
	} {
		testShown(t, name, postgresEnds, x.server, x.client)
	}
}

// TestPostgresLoginBroken feeds what is no message.
func TestPostgresLoginBroken(t *testing.T) {
	for name, x := range map[string]struct {
		server string
		want   error
	}{
		"short request":     {"R\x00\x00\x00\x07\x00\x00\x00", ErrUnexpected},
		"short notice":      {"N\x00\x00\x00\x03", ErrUnexpected},
		"long offer":        {"R\x00\x00\x40\x01\x00\x00\x00\x0a", ErrTooLong},
		"longest offer":     {"R\xff\xff\xff\xff\x00\x00\x00\x0a", ErrTooLong},
		"offer cut":         {pgMessage('R', "\x00\x00\x00\x0a"+plus), ErrUnexpected},
		"offer without end": {pgMessage('R', "\x00\x00\x00\x0a"+plus+"\x00"), ErrUnexpected},
		"behind the offer":  {pgMessage('R', "\x00\x00\x00\x0a"+plain+"\x00\x00x\x00"), ErrUnexpected},
	} {
		t.Run(name, func(t *testing.T) {
			_, server := postgresEnds(nil, nil, readerConn{Reader: strings.NewReader(x.server)})
			said, err := io.ReadAll(server)
			if !errors.Is(err, x.want) || len(said) > 0 {
				t.Errorf("%q, %v, want %v", said, err, x.want)
			}
		})
	}
}

// TestPostgresBindingAlone checks what a client is told where it could log in with channel binding alone.
func TestPostgresBindingAlone(t *testing.T) {
	t.Parallel()
	tu := newTunnelled(t, "postgres")
	send(t, tu.client, pgStartup, false)
	client, server, err := tu.lead()
	if err != nil {
		t.Fatal(err)
	}
	notice := pgMessage('N', "Mhello\x00\x00")
	send(t, tu.server, notice+pgOffer(plus), false)
	up := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, client)
		up <- err
	}()
	down := make(chan error, 1)
	go func() {
		_, err := io.Copy(tu.local.Conn, struct{ io.Reader }{server})
		down <- err
	}()
	hear(t, tu.client, notice)
	mustPart(t, tu.client, "28000", "the server offers SCRAM-SHA-256-PLUS alone")
	tu.client.Close()
	if err := <-up; err != nil {
		t.Error(err)
	}
	if err := <-down; !errors.Is(err, errPlusOnly) {
		t.Errorf("%v, want %v", err, errPlusOnly)
	}
}

// TestPostgresDoubt checks who is told that the login can't work: a client that says that the
// server offers no channel binding, where that is the tunnel's doing.
func TestPostgresDoubt(t *testing.T) {
	for name, x := range map[string]struct {
		offer, initial string
		doubts         bool
	}{
		"no binding":     {pgOffer(plus, plain), pgInitial("n,,n=,r=x"), false},
		"doubt":          {pgOffer(plus, plain), pgInitial("y,,n=,r=x"), true},
		"rightly so":     {pgOffer(plain), pgInitial("y,,n=,r=x"), false},
		"a password":     {pgMessage('R', "\x00\x00\x00\x03"), pgMessage('p', "SCRAM-SHA-256\x00") + "\x00\x00\x00\x00y,,", false},
		"a short answer": {pgOffer(plus, plain), pgMessage('p', ""), false},
	} {
		for _, bytewise := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, bytewise), func(t *testing.T) {
				t.Parallel()
				tu := newTunnelled(t, "postgres")
				send(t, tu.client, pgStartup, false)
				client, server, err := tu.lead()
				if err != nil {
					t.Fatal(err)
				}
				hear(t, tu.server, pgStartup)
				send(t, tu.server, x.offer, false)
				up := make(chan error, 1)
				go io.Copy(tu.local.Conn, struct{ io.Reader }{server})
				go func() {
					_, err := io.Copy(tu.session, struct{ io.Reader }{client})
					up <- err
				}()
				hear(t, tu.client, strings.ReplaceAll(x.offer, pgOffer(plus, plain), pgOffer(plain)))
				send(t, tu.client, x.initial, bytewise)
				if x.doubts {
					mustPart(t, tu.client, "28000", "this client's SCRAM login can't pass")
				} else {
					hear(t, tu.server, x.initial)
				}
				tu.client.Close()
				if err := <-up; errors.Is(err, errDoubt) != x.doubts {
					t.Error(err)
				}
			})
		}
	}
}

// FuzzPostgresStartup feeds a client's bytes to the lead. Whatever they are, it returns within the
// bounds, refuses each kind of encryption once at most, and hands on one message or none.
func FuzzPostgresStartup(f *testing.F) {
	for _, said := range []string{
		pgStartup, pgSSLRequest + pgStartup, pgGSSRequest + pgSSLRequest + pgCancel, pgSSLRequest + pgSSLRequest, "GET / HTTP/1.0\r\n\r\n",
		"\x16\x03\x01\x00\xc4\x01", "\x00\x00\x27\x10\x00\x03\x00\x00", pgStartup + pgInitial("y,,n=,r=x"),
	} {
		f.Add([]byte(said))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		local, server := &scriptedClient{scripted{said: said}}, &scripted{}
		l := &Local{Conn: local, client: newConn(local, nil).forLocal()}
		u := &Upgraded{Protocol: Find("postgres"), options: &Options{Local: l}}
		client, _, err := u.Lead(context.Background(), server)
		if local.read > MaxBytes+len(said) {
			t.Errorf("read %d bytes", local.read)
		}
		told := strings.TrimLeft(string(local.sent), "N")
		if refused := len(local.sent) - len(told); refused > 2 {
			t.Errorf("refused %d times", refused)
		}
		if told != "" && (told[0] != 'E' || err == nil) {
			t.Errorf("the client is told %q", told)
		}
		if err != nil {
			if !errors.As(err, new(*LocalError)) || len(server.sent) > 0 {
				t.Errorf("%v, and the server was sent %q", err, server.sent)
			}
			return
		}
		rest, err := io.ReadAll(client)
		if err != nil {
			t.Error(err)
		}
		if n := len(server.sent); n < 8 || n > postgresMaxStartup || int(binary.BigEndian.Uint32(server.sent)) != n {
			t.Errorf("the server was sent %q", server.sent)
		}
		if !bytes.HasSuffix(said, append(server.sent, rest...)) {
			t.Errorf("%q, and %q behind it, was not said", server.sent, rest)
		}
	})
}

// scriptedClient is scripted, at the local end.
type scriptedClient struct{ scripted }

func (*scriptedClient) SetWriteDeadline(time.Time) error { return nil }
func (*scriptedClient) CloseWrite() error                { return nil }

// FuzzPostgresLogin feeds a server's bytes to the watch on the login. The client is shown the
// same however they are cut; and them as they are, but for the offer of channel binding.
func FuzzPostgresLogin(f *testing.F) {
	for _, said := range []string{
		pgOffer(plus, plain) + pgOK + "more", pgMessage('N', "x\x00") + pgOffer(plain), pgOffer(plus), pgOK, "Esorry\n\x00", "R\x00\x00\x00\x07\x00",
	} {
		f.Add([]byte(said), uint8(3))
	}
	f.Fuzz(func(t *testing.T, said []byte, size uint8) {
		whole := postgresLogin{unbound: &atomic.Bool{}}
		shown, err := whole.pass(nil, said)
		if len(whole.held) > postgresMaxOffer+1 {
			t.Errorf("holds %d bytes", len(whole.held))
		}
		pieces := postgresLogin{unbound: &atomic.Bool{}}
		var again []byte
		var failed error
		for rest := said; len(rest) > 0 && failed == nil; {
			n := min(len(rest), int(size)+1)
			again, failed = pieces.pass(again, rest[:n])
			rest = rest[n:]
		}
		if !bytes.Equal(shown, again) || (err == nil) != (failed == nil) || whole.unbound.Load() != pieces.unbound.Load() {
			t.Errorf("as a whole %q, %v; in pieces %q, %v", shown, err, again, failed)
		}
		if err == nil && !whole.unbound.Load() && !bytes.Equal(append(shown, whole.held...), said) {
			t.Errorf("%q is shown, %q is held", shown, whole.held)
		}
		if whole.unbound.Load() && len(shown) >= len(said) {
			t.Errorf("%q is shown, in which something should be missing", shown)
		}
	})
}
