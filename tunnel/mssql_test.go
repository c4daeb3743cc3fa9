package tunnel

import (
	"context"
	"database/sql"
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"tlsup/internal/realserver"
	"tlsup/internal/testserver"
)

// TestMSSQLClient has Microsoft's own client log in without encryption, and ask.
func TestMSSQLClient(t *testing.T) {
	for _, name := range []string{"mssql", "tds8"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, to(t, name, serve(t, name)), nil)
			query := func(encrypt string) error {
				config, err := msdsn.Parse("sqlserver://" + testserver.User + ":" + testserver.Password + "@" + b.addr + "?encrypt=" + encrypt + "&dial+timeout=30")
				if err != nil {
					t.Fatal(err)
				}
				db := sql.OpenDB(mssql.NewConnectorConfig(config))
				defer db.Close()
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				var n int
				if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&n); err != nil || n == 1 {
					return err
				}
				t.Errorf("%d", n)
				return nil
			}
			if err := query("disable"); err != nil {
				t.Error(err)
			}
			if err := query("false"); err != nil { // the login alone, if the server can
				t.Error(err)
			}
			if err := query("true"); err == nil || !strings.Contains(err.Error(), "encrypt") {
				t.Errorf("a client that wants encryption: %v", err)
			}
			if line := b.journal.await(t, "failed", 1); !strings.Contains(line["error"].(string), "ENCRYPT_ON") || line["hint"] == nil {
				t.Errorf("log: %v", line)
			}
		})
	}
}

// TestFreeTDS does the same with FreeTDS' client, in each version of the protocol.
func TestFreeTDS(t *testing.T) {
	tsql := realserver.Tool(t, "tsql")
	b := start(t, to(t, "mssql", serve(t, "mssql")), nil)
	_, port, err := net.SplitHostPort(b.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ version, encryption, says string }{
		{"7.2", "off", "1"}, {"7.4", "off", "1"}, {"7.4", "request", "1"},
		{"7.4", "require", "There was a problem connecting"}, {"5.0", "off", "There was a problem connecting"},
	} {
		t.Run(test.version+" "+test.encryption, func(t *testing.T) {
			settings := filepath.Join(t.TempDir(), "freetds.conf")
			text := "[tunnel]\nhost = 127.0.0.1\nport = " + port + "\ntds version = " + test.version + "\nencryption = " + test.encryption + "\nconnect timeout = 30\n"
			if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			cmd := exec.CommandContext(ctx, tsql, "-S", "tunnel", "-U", testserver.User, "-P", testserver.Password, "-o", "fhq")
			cmd.Env = append(os.Environ(), "FREETDSCONF="+settings)
			cmd.Stdin = strings.NewReader("SELECT 1\ngo\nexit\n")
			out, err := cmd.CombinedOutput()
			if !strings.Contains("\n"+string(out)+"\n", "\n"+test.says) || (err == nil) != (test.says == "1") {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
	b.journal.await(t, "failed", 2)
}

// TestMSSQLRaw has openssl lead the handshake, in packets that it knows nothing of.
func TestMSSQLRaw(t *testing.T) {
	openssl := realserver.Tool(t, "openssl")
	s := serve(t, "mssql")
	pair := to(t, "mssql", s)
	pair.Raw = true
	b := start(t, pair, nil)
	ca, session := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "session")
	if err := os.WriteFile(ca, s.CA.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{{"-sess_out", session}, {"-sess_in", session}, {"-tls1_2"}} {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		cmd := exec.CommandContext(ctx, openssl, append([]string{"s_client", "-connect", b.addr, "-CAfile", ca, "-verify_return_error", "-quiet"}, more...)...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for i, packet := range testserver.Talk("mssql") {
			if _, err := io.WriteString(in, packet); err != nil {
				t.Fatal(err)
			}
			// The next packet has to be in a record of its own.
			header := make([]byte, 8)
			if _, err := io.ReadFull(out, header); err != nil {
				t.Fatalf("%v: no answer %d: %v\n%s", more, i+1, err, log.String())
			}
			io.CopyN(io.Discard, out, int64(binary.BigEndian.Uint16(header[2:]))-8)
		}
		in.Close()
		io.Copy(io.Discard, out)
		cmd.Wait()
	}
	for n := range 3 {
		if line := b.journal.await(t, "closed", n+1); line["error"] != nil {
			t.Errorf("log: %v", line)
		}
	}
}
