package realserver

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	natsclient "github.com/nats-io/nats.go"
)

// natsDial connects a client without TLS to the tunnel, or with TLS to the server.
func natsDial(t *testing.T, url string, options ...natsclient.Option) *natsclient.Conn {
	t.Helper()
	options = append(options, natsclient.UserInfo(User, Password), natsclient.Timeout(limit), natsclient.NoReconnect())
	conn, err := natsclient.Connect(url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// TestNATSClient publishes and subscribes through the tunnel, with messages up to the longest that the
// server takes.
func TestNATSClient(t *testing.T) {
	t.Parallel()
	s := NATS(t)
	tu := tunnelTo(t, s, "nats", "0")
	publisher, subscriber := natsDial(t, "nats://"+tu.addr), natsDial(t, "nats://"+tu.addr)
	subscription, err := subscriber.SubscribeSync("test.*")
	if err != nil {
		t.Fatal(err)
	}
	if err := subscriber.FlushTimeout(limit); err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{1})
	var sent []*natsclient.Msg
	for i, size := range []int{0, 1, 100, 4096, 16 << 10, 1<<20 - 100, 5, 1<<20 - 100} {
		m := natsclient.NewMsg(fmt.Sprintf("test.%d", i))
		m.Data = make([]byte, size)
		random.Read(m.Data)
		if i%2 == 1 {
			m.Header.Set("Number", fmt.Sprint(i))
		}
		if err := publisher.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, m)
	}
	for _, want := range sent {
		got, err := subscription.NextMsg(limit)
		if err != nil {
			t.Fatal(err)
		}
		if got.Subject != want.Subject || !bytes.Equal(got.Data, want.Data) || got.Header.Get("Number") != want.Header.Get("Number") {
			t.Errorf("%s: %d bytes, %v, want %d, %v", got.Subject, len(got.Data), got.Header, len(want.Data), want.Header)
		}
	}
	if _, err := natsclient.Connect("tls://"+tu.addr, natsclient.UserInfo(User, Password), natsclient.Timeout(limit), natsclient.NoReconnect()); !errors.Is(err, natsclient.ErrSecureConnWanted) {
		t.Errorf("a client that wants TLS: %v", err)
	}
}

// TestNATSCluster has a server join another, which tells its clients, and those of the tunnel not.
func TestNATSCluster(t *testing.T) {
	t.Parallel()
	port, err := freePort(nil)
	if err != nil {
		t.Fatal(err)
	}
	first := NATS(t, fmt.Sprintf(`cluster { name: test, listen: "127.0.0.1:%d" }`, port))
	tu := tunnelTo(t, first, "nats", "0")
	joined := make(chan struct{}, 8)
	direct := natsDial(t, "nats://"+first.Addr("nats"), natsclient.Secure(&tls.Config{RootCAs: first.CA.Pool(), ServerName: Host}),
		natsclient.DiscoveredServersHandler(func(*natsclient.Conn) { joined <- struct{}{} }))
	tunnelled := natsDial(t, "nats://"+tu.addr)
	NATS(t, `server_name: second`, fmt.Sprintf(`cluster { name: test, listen: "127.0.0.1:-1", routes: ["nats-route://127.0.0.1:%d"] }`, port))
	select {
	case <-joined:
	case <-time.After(limit):
		t.Fatal("the client is not told of the second server")
	}
	if len(direct.DiscoveredServers()) == 0 {
		t.Error("the client is told of no server")
	}
	if err := tunnelled.FlushTimeout(limit); err != nil {
		t.Error(err)
	}
	if found := tunnelled.DiscoveredServers(); len(found) > 0 {
		t.Errorf("the tunnel's client is told of %q", found)
	}
}
