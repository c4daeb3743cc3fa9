package realserver

import (
	"io"
	"testing"

	"tlsup/negotiate"
)

const natsConnect = `CONNECT {"verbose":true,"user":"` + User + `","pass":"` + Password + `"}` + "\r\n"

func TestNATS(t *testing.T) {
	t.Parallel()
	s := NATS(t)
	t.Run("session", func(t *testing.T) {
		nats := open(t, s, "nats", Host)
		nats.say(natsConnect)
		nats.expect("+OK")
		nats.ask("PING", "PONG")
		nats.ask("SUB greetings.* 1", "+OK")
		nats.ask("PUB greetings.all 5\r\nhello", "+OK")
		nats.expect("MSG greetings.all 1 5")
		nats.expect("hello")
		nats.ask("QUIT", "-ERR 'Unknown Protocol Operation'")
	})
	t.Run("not in the clear", func(t *testing.T) {
		conn := dial(t, s, "nats")
		if _, err := io.WriteString(conn, natsConnect); err != nil {
			t.Fatal(err)
		}
		if said, _ := io.ReadAll(conn); len(said) == 0 {
			t.Error("it says nothing")
		} else if got := string(said); got[:4] != "INFO" || len(got) > 4096 {
			t.Errorf("it says %q", got)
		}
	})
	t.Run("program", func(t *testing.T) {
		got := tlsupTurns(t, []turn{{natsConnect, "+OK\r\n"}, {"PING\r\n", "PONG\r\n"}}, "--x509cafile", s.CAFile(), s.target("nats"))
		got.must(t, 0, "+OK\r\nPONG\r\n")
		tlsup(t, "", s.target("nats")).must(t, 6, "", s.Addr("nats")+": verify: ", "throwaway authority")
		tlsup(t, "", "tls://"+s.Addr("nats")).must(t, 5, "", s.Addr("nats")+": handshake: server answers in the clear: ", "nats://")
	})
}

// TestNATSBoth takes connections in the clear as well.
func TestNATSBoth(t *testing.T) {
	t.Parallel()
	s := NATS(t, "allow_non_tls: true")
	nats := open(t, s, "nats", Host)
	nats.say(natsConnect)
	nats.expect("+OK")
}

func TestNATSWithoutTLS(t *testing.T) {
	t.Parallel()
	s := NATS(t, NATSNoTLS)
	mustRefuse(t, s, "nats", Host, negotiate.ErrNotOffered, negotiate.Greeting)
	tlsup(t, "", s.target("nats")).must(t, 4, "", s.Addr("nats")+": greeting: server does not offer TLS", "hint: ", "cert_file")
}

// TestNATSFirst: the server waits for the ClientHello, and says INFO inside TLS. It closes after two
// seconds in which nothing came.
func TestNATSFirst(t *testing.T) {
	t.Parallel()
	s := NATSFirst(t, "true")
	trusting := []string{"--x509cafile", s.CAFile()}
	first := []turn{{"", "INFO {"}, {natsConnect, "+OK\r\n"}, {"PING\r\n", "PONG\r\n"}}
	tlsupTurns(t, first, append(trusting, "tls://"+s.Addr("nats"))...).must(t, 0, "PONG\r\n")
	got := tlsup(t, "", append(trusting, s.target("nats"))...)
	got.must(t, 4, "", s.Addr("nats")+": greeting: server closed the connection", "hint: a server that waits may want TLS from the first byte: tlsup tls://"+s.Addr("nats"))
	got = tlsup(t, "", append(trusting, "--timeout", "1s", s.target("nats"))...)
	got.must(t, 4, "", s.Addr("nats")+": greeting: no answer in time", "hint: a server that wants TLS from the first byte says nothing: tlsup tls://"+s.Addr("nats"))
}

// TestNATSAuto takes clients that begin with TLS, and those that wait for INFO.
func TestNATSAuto(t *testing.T) {
	t.Parallel()
	s := NATSFirst(t, "auto")
	turns := []turn{{natsConnect, "+OK\r\n"}, {"PING\r\n", "PONG\r\n"}}
	tlsupTurns(t, turns, "--x509cafile", s.CAFile(), s.target("nats")).must(t, 0, "+OK\r\nPONG\r\n")
	first := append([]turn{{"", "INFO {"}}, turns...)
	tlsupTurns(t, first, "--x509cafile", s.CAFile(), "tls://"+s.Addr("nats")).must(t, 0, "PONG\r\n")
}
