package trust

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"
)

func TestRequestedHint(t *testing.T) {
	alert := func(code tls.AlertError) error { return &net.OpError{Op: "remote error", Err: code} }
	for _, test := range []struct {
		err  error
		want string
	}{
		{io.EOF, hintNone},
		{alert(40), hintNone},
		{alert(50), hintNone + "; else x"},
		{alert(116), "x"}, // certificate_required says it itself
		{alert(20), "x"},
	} {
		if got := RequestedHint(test.err, "x"); got != test.want {
			t.Errorf("%v: the hint is %q, want %q", test.err, got, test.want)
		}
	}
}

// Settings without a certificate tell that one was wanted, and give none.
func TestRequested(t *testing.T) {
	server, _ := newServer(t)
	c := load(t, Settings{Insecure: true})
	for _, wants := range []bool{false, true} {
		server := server.Clone()
		if wants {
			server.ClientAuth = tls.RequestClientCert
		}
		for _, config := range []*tls.Config{c.Client(context.Background(), host, nil), c.Inspect(new(Look)).Client(context.Background(), host, nil)} {
			ctx := Watching(t.Context())
			near, far := net.Pipe()
			go tls.Server(far, server).Handshake()
			if err := tls.Client(near, config).HandshakeContext(ctx); err != nil || Requested(ctx) != wants {
				t.Errorf("requested: %v, want %v; error is %v", Requested(ctx), wants, err)
			}
			near.Close()
		}
	}
	if Requested(t.Context()) {
		t.Error("nobody watched")
	}
}
