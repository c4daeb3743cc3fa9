package tunnel

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"

	"tlsup/internal/connect"
	"tlsup/internal/testserver"
)

// BenchmarkSession is a client's session from its connection to its end, with that of the server,
// which is in the same process: full handshakes, and resumed ones.
func BenchmarkSession(b *testing.B) {
	for _, way := range []string{"full", "resumed"} {
		b.Run(way, func(b *testing.B) {
			s, err := testserver.Start("smtps", nil)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			pair := to(b, "smtps", s)
			if way == "full" {
				o := *pair.Options()
				o.Sessions = nil
				pair.Options = func() *connect.Options { return &o }
			}
			pair.Listener = listen(b, "0", 0)
			server := &Server{Pairs: []Pair{pair}, Log: slog.New(slog.DiscardHandler)}
			stop, end := context.WithCancel(context.Background())
			served := make(chan error, 1)
			go func() { served <- server.Serve(stop, stop) }()
			b.ReportAllocs()
			for b.Loop() {
				conn, err := net.Dial("tcp", pair.Listener.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				io.WriteString(conn, "QUIT\r\n")
				if _, err := io.ReadAll(conn); err != nil {
					b.Fatal(err)
				}
				conn.Close()
			}
			end()
			<-served
		})
	}
}
