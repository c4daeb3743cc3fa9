package negotiate

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func FuzzAuto(f *testing.F) { fuzzUpgrade(f, "auto") }

// TestAutoSilent: a server that says nothing is known by its port, or not at all.
func TestAutoSilent(t *testing.T) {
	for _, test := range []struct {
		port int
		want string // of the protocol
		sent string // how what is sent begins
		err  error
	}{
		{5222, "xmpp", "<?xml", nil},
		{993, "imaps", "", nil},
		{1433, "mssql", "\x12\x01", nil},
		{1344, "icap", "OPTIONS ", nil},
		{3868, "diameter", "\x01\x00", nil},
		{88, "kerberos", "\x80\x00", nil},
		{33060, "mysqlx", "\x14\x00", nil},
		{4321, "", "", ErrUnknown},
		{0, "", "", ErrUnknown}, // no port at all, as beep has none
		{25, "", "", ErrSilent},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			var sent strings.Builder
			done := make(chan struct{})
			go func() {
				defer close(done)
				io.Copy(&sent, server)
			}()
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			var taken *Protocol
			start := time.Now()
			_, err := Client(ctx, client, Auto(), &Options{Host: "example.org", Port: test.port, Recognised: func(p *Protocol, why string) {
				taken = p
				if why == "" {
					t.Error("it does not say why")
				}
				if d := time.Since(start); d > autoWait {
					t.Errorf("recognised after %v", d)
				}
			}})
			client.Close()
			<-done
			if test.want != "" && (taken == nil || taken.Name != test.want) {
				t.Errorf("port %d: taken for %v, want %s", test.port, taken, test.want)
			}
			if test.err != nil && !errors.Is(err, test.err) {
				t.Errorf("port %d: error %v, want %v", test.port, err, test.err)
			}
			if !strings.HasPrefix(sent.String(), test.sent) || test.sent == "" && sent.Len() > 0 {
				t.Errorf("port %d: sent %q", test.port, sent.String())
			}
		})
	}
}
