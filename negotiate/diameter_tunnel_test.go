package negotiate

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// diameterTest returns a message of Capabilities-Exchange, with numbers of its own.
func diameterTest(flags byte, avps ...[]byte) string {
	var all []byte
	for _, avp := range avps {
		all = append(all, avp...)
	}
	return string(diameterMessage(flags, 7, 8, all))
}

// diameterTestOf names a host of example.org.
func diameterTestOf(host string) []byte {
	return appendAVP(appendAVP(nil, avpOriginHost, avpMandatory, []byte(host)), avpOriginRealm, avpMandatory, []byte("example.org"))
}

var (
	diameterTestSuccess = appendAVP(nil, avpResultCode, avpMandatory, diameterWord(diameterSuccess))
	diameterTestTLS     = appendAVP(nil, avpInbandSecurityID, avpMandatory, diameterWord(diameterTLS))
	diameterTestNone    = appendAVP(nil, avpInbandSecurityID, avpMandatory, diameterWord(0))
	diameterTestVendor  = []byte("\x00\x00\x01\x2b\xc0\x00\x00\x10\x00\x00\x00\x09\x00\x00\x00\x00") // a vendor's 299
	diameterTestRelay   = appendRelay(nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
)

// leadThrough upgrades with a client that says something, and a server that hears something and
// answers; it returns what the client is told, if that is as long as want.
func leadThrough(t *testing.T, o Options, asks, hears, answers, want string) (told string, err error) {
	t.Helper()
	client, near := pair(t)
	far, server := pair(t)
	for _, conn := range []net.Conn{client, server} {
		conn.SetDeadline(time.Now().Add(20 * time.Second))
	}
	o.Host, o.Local = "aaa.example.org", &Local{Conn: near}
	go io.WriteString(client, asks)
	heard := make(chan string, 1)
	go func() {
		b := make([]byte, len(hears))
		n, _ := io.ReadFull(server, b)
		io.WriteString(server, answers)
		heard <- string(b[:n])
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	up, err := Client(ctx, far, Find("diameter"), &o)
	if err != nil {
		return "", err
	}
	if got := <-heard; got != hears {
		t.Errorf("the server heard %q, want %q", got, hears)
	}
	if _, _, err := up.Lead(ctx, far); err != nil {
		return "", err
	}
	b := make([]byte, len(want))
	n, _ := io.ReadFull(client, b)
	return string(b[:n]), nil
}

func TestDiameterLead(t *testing.T) {
	peer := diameterTestOf("peer.example.org")
	sends := diameterTest(diameterRequest, peer, diameterTestVendor, diameterTestRelay, diameterTestTLS)
	evil := appendAVP(nil, avpProductName, 0, []byte("evil"))
	answer := diameterTest(0, diameterTestSuccess, diameterTestOf("aaa.example.org"), evil, diameterTestTLS)
	want := diameterTest(0, diameterTestSuccess, diameterTestOf("aaa.example.org"), diameterTestRelay)
	for name, asks := range map[string]string{
		"none":    diameterTest(diameterRequest, peer, diameterTestVendor, diameterTestRelay),
		"refused": diameterTest(diameterRequest, diameterTestNone, peer, diameterTestVendor, diameterTestNone, diameterTestRelay),
		"TLS":     diameterTest(diameterRequest, peer, diameterTestTLS, diameterTestVendor, diameterTestRelay),
	} {
		if told, err := leadThrough(t, Options{}, asks, sends, answer, want); told != want || err != nil {
			t.Errorf("%s: the client is told %q, %v, want %q", name, told, err, want)
		}
	}
}

// TestDiameterLeadFails checks who is to blame for what.
func TestDiameterLeadFails(t *testing.T) {
	request := diameterTest(diameterRequest, diameterTestOf("peer.example.org"))
	sends := diameterTest(diameterRequest, diameterTestOf("peer.example.org"), diameterTestTLS)
	success := diameterTest(0, diameterTestSuccess, diameterTestOf("aaa.example.org"), diameterTestTLS)
	for name, test := range map[string]struct {
		options       Options
		asks, answers string
		local         bool
		want          error
	}{
		"watchdog":         {asks: strings.Replace(request, "\x01\x01\x00", "\x01\x18\x00", 1), local: true, want: ErrUnexpected},
		"answer":           {asks: success, local: true, want: ErrUnexpected},
		"broken AVP":       {asks: diameterTest(diameterRequest, []byte("\x00\x00\x01\x08\x40\x00\x00\xff")), local: true, want: ErrUnexpected},
		"too long":         {asks: "\x01\x00\x40\x04\x80\x00\x01\x01", local: true, want: ErrTooLong},
		"TLS":              {asks: "\x16\x03\x01\x00\xc0\x01\x00\x00", local: true, want: ErrTLS},
		"no offer":         {asks: request, answers: diameterTest(0, diameterTestSuccess, diameterTestOf("aaa.example.org")), want: ErrNotOffered},
		"other numbers":    {asks: request, answers: strings.Replace(success, "\x07", "\x09", 1), want: ErrUnexpected},
		"a host that isnt": {asks: request, answers: diameterTest(0, diameterTestSuccess, diameterTestOf("a\r\nb"), diameterTestTLS), want: ErrUnexpected},
		"no host":          {asks: request, answers: diameterTest(0, diameterTestSuccess, diameterTestTLS), want: ErrUnexpected},
	} {
		_, err := leadThrough(t, test.options, test.asks, sends, test.answers, "")
		if !errors.Is(err, test.want) || errors.As(err, new(*LocalError)) != test.local {
			t.Errorf("%s: error %v, want %v, of the client: %v", name, err, test.want, test.local)
		}
	}
	for _, o := range []Options{{Name: "peer.example.org"}, {From: "example.org"}} {
		if _, err := leadThrough(t, o, request, sends, success, ""); !errors.As(err, new(*OptionError)) {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}

// FuzzDiameterClient feeds a client's bytes to the upgrade. Whatever they are, the server is asked for
// TLS once, in a message that is whole, or for nothing.
func FuzzDiameterClient(f *testing.F) {
	peer := diameterTestOf("peer.example.org")
	f.Add([]byte(diameterTest(diameterRequest, peer, diameterTestVendor, diameterTestRelay)))
	f.Add([]byte(diameterTest(diameterRequest, diameterTestNone, peer, diameterTestTLS)))
	f.Add([]byte("\x01\x00\x40\x04\x80\x00\x01\x01"))
	answer := []byte(diameterTest(0, diameterTestSuccess, diameterTestOf("aaa.example.org"), diameterTestTLS))
	f.Fuzz(func(t *testing.T, said []byte) {
		server, err := fuzzLocal(t, "diameter", said, answer)
		if len(server.sent) == 0 {
			if err == nil {
				t.Error("TLS without a request for it")
			}
			return
		}
		offers := 0
		for avps := server.sent[diameterHeader:]; len(avps) > 0; {
			code, flags, data, rest, ok := nextAVP(avps)
			if !ok {
				t.Fatalf("the server is sent %q", server.sent)
			}
			if avps = rest; code == avpInbandSecurityID && flags&avpVendor == 0 {
				if offers++; string(data) != string(diameterWord(diameterTLS)) {
					t.Errorf("the server is offered %q", data)
				}
			}
		}
		if length := int(binary.BigEndian.Uint32(server.sent) & 0xffffff); length != len(server.sent) || offers != 1 {
			t.Errorf("%d bytes, of %d, with %d offers", len(server.sent), length, offers)
		}
	})
}
