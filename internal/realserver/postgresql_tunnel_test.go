package realserver

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// psql runs psql as a role, with the program as its server, and more of a connection string.
func psql(t *testing.T, tu *tunnelling, role, more, query string) result {
	t.Helper()
	return client(t, []string{"PGPASSWORD=" + Password}, query, postgresql.dir, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", postgresqlDSN(tu, role, more))
}

// postgresqlDSN is libpq's connection string.
func postgresqlDSN(tu *tunnelling, role, more string) string {
	host, port := filepath.Dir(tu.addr), "5432"
	if !strings.Contains(tu.addr, "/") {
		host, port = "127.0.0.1", tu.port()
	}
	return fmt.Sprintf("host=%s port=%s user=%s dbname=postgres %s", host, port, role, more)
}

// postgresqlRoles makes the roles that log in with other methods.
const postgresqlRoles = `
SET password_encryption = 'scram-sha-256'; CREATE ROLE scram SUPERUSER LOGIN PASSWORD '` + Password + `';
SET password_encryption = 'md5'; CREATE ROLE md5 SUPERUSER LOGIN PASSWORD '` + Password + `';
CREATE ROLE trust LOGIN;
`

// postgresqlTLS asks the server whether it speaks TLS.
const postgresqlTLS = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

func TestPostgreSQLTunnel(t *testing.T) {
	t.Parallel()
	s := PostgreSQL(t)
	tcp := tunnelTo(t, s, "postgres", "0")
	dir := t.TempDir()
	socket := tunnelTo(t, s, "postgres", "unix:"+filepath.Join(dir, ".s.PGSQL.5432"))
	psql(t, tcp, User, "sslmode=disable", postgresqlRoles).must(t, 0, "")

	for _, role := range []string{User, "scram", "md5", "trust"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			for _, mode := range []string{"sslmode=disable", "sslmode=allow", "sslmode=prefer", "sslmode=prefer gssencmode=prefer channel_binding=prefer"} {
				psql(t, tcp, role, mode, postgresqlTLS).must(t, 0, "t|TLSv1.3\n")
			}
			psql(t, socket, role, "", postgresqlTLS).must(t, 0, "t|TLSv1.3\n")
		})
	}
	t.Run("refusals", func(t *testing.T) {
		t.Parallel()
		for _, x := range []struct{ role, more, want string }{
			{"scram", "password=wrong", `FATAL:  password authentication failed for user "scram"`},
			{"md5", "password=wrong", `FATAL:  password authentication failed for user "md5"`},
			{User, "password=wrong", "FATAL:  password authentication failed"},
			{"nobody", "", "FATAL:  password authentication failed"},
			{"scram", "dbname=missing", `FATAL:  database "missing" does not exist`},
			{"scram", "sslmode=require", "server does not support SSL, but SSL was required"},
			{"scram", "sslmode=verify-full", "server does not support SSL, but SSL was required"},
			{"scram", "channel_binding=require", "channel binding required"},
		} {
			for _, tu := range []*tunnelling{tcp, socket} {
				if tu == socket && strings.HasPrefix(x.more, "sslmode") {
					continue // libpq asks for no TLS there
				}
				psql(t, tu, x.role, x.more, "SELECT 1").must(t, 2, "", x.want)
			}
		}
	})
	t.Run("GSSAPI", func(t *testing.T) {
		t.Parallel()
		env := kerberos(t)
		for more, want := range map[string]result{
			"gssencmode=require":                 {status: 2, stderr: "server doesn't support GSSAPI encryption, but it was required"},
			"gssencmode=prefer sslmode=prefer":   {stdout: "t|TLSv1.3\n"},
			"gssencmode=prefer sslmode=disable":  {stdout: "t|TLSv1.3\n"},
			"gssencmode=disable sslmode=disable": {stdout: "t|TLSv1.3\n"},
		} {
			got := client(t, env, postgresqlTLS, postgresql.dir, "psql", "-XAtq", postgresqlDSN(tcp, "scram", more))
			if want.status == 0 {
				got.must(t, 0, want.stdout)
			} else {
				got.must(t, want.status, "", want.stderr)
			}
		}
	})
	t.Run("copy", func(t *testing.T) {
		t.Parallel()
		postgresqlCopy(t, tcp, socket)
	})
	t.Run("interrupt", func(t *testing.T) {
		t.Parallel()
		postgresqlInterrupt(t, tcp)
	})
	t.Run("pgx", func(t *testing.T) {
		t.Parallel()
		for _, tu := range []*tunnelling{tcp, socket} {
			postgresqlPgx(t, tu)
		}
	})
	t.Run("pgbench", func(t *testing.T) {
		t.Parallel()
		env := []string{"PGPASSWORD=" + Password}
		client(t, env, "", postgresql.dir, "pgbench", "-i", "-q", postgresqlDSN(tcp, "scram", "")).must(t, 0, "", "done in ")
		got := client(t, env, "", postgresql.dir, "pgbench", "-n", "-c", "8", "-j", "2", "-t", "25", "-M", "prepared", postgresqlDSN(tcp, "scram", ""))
		got.must(t, 0, "number of transactions actually processed: 200/200")
	})
}

// postgresqlCopy copies many rows to the server and back, over either tunnel.
func postgresqlCopy(t *testing.T, up, down *tunnelling) {
	const rows = 200_000
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	text := randomRows(t, from, rows)
	psql(t, up, "scram", "", "CREATE TABLE copied (n int PRIMARY KEY, line text);\n\\copy copied from '"+from+"'\nSELECT count(*) FROM copied;").must(t, 0, fmt.Sprintf("%d\n", rows))
	psql(t, down, "scram", "", "\\copy (SELECT * FROM copied ORDER BY n) to '"+to+"'\n").must(t, 0, "")
	back, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	if string(back) != text {
		t.Errorf("%d bytes came back, of %d, or others", len(back), len(text))
	}
}

// sleeping waits until a query of an application runs.
func sleeping(t *testing.T, tu *tunnelling, application string) {
	t.Helper()
	query := "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND application_name = '" + application + "'"
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		switch got := psql(t, tu, User, "", query); {
		case got.stdout == "1\n":
			return
		case time.Now().After(deadline):
			t.Fatalf("no query of %s runs: %q, %q", application, got.stdout, got.stderr)
		}
	}
}

// postgresqlInterrupt interrupts psql, which has the server cancel its query.
func postgresqlInterrupt(t *testing.T, tu *tunnelling) {
	cmd := exec.Command(tool(t, "psql", postgresql.dir), "-XAtq", "-c", "SELECT pg_sleep(600)", postgresqlDSN(tu, "scram", "application_name=interrupted"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "PGPASSWORD=" + Password, "HOME=" + t.TempDir()}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	sleeping(t, tu, "interrupted")
	cmd.Process.Signal(os.Interrupt)
	select {
	case <-ended:
		if want := "Cancel request sent\nERROR:  canceling statement due to user request\n"; said.String() != want {
			t.Errorf("psql says %q, want %q", said.String(), want)
		}
	case <-time.After(limit):
		cmd.Process.Kill()
		t.Error("the query goes on")
	}
}

// postgresqlPgx logs in with pgx, whose messages are not libpq's, and cancels a query.
func postgresqlPgx(t *testing.T, tu *tunnelling) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	config, err := pgx.ParseConfig(postgresqlDSN(tu, "scram", "sslmode=prefer application_name=pgx password="+Password))
	if err != nil {
		t.Fatal(err)
	}
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: limit}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var encrypted bool
	if err := conn.QueryRow(ctx, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted); err != nil || !encrypted {
		t.Errorf("encrypted: %v, %v", encrypted, err)
	}

	query, stop := context.WithCancel(ctx)
	failed := make(chan error, 1)
	go func() {
		_, err := conn.Exec(query, "SELECT pg_sleep(600)")
		failed <- err
	}()
	sleeping(t, tu, "pgx")
	stop()
	var refusal *pgconn.PgError
	if err := <-failed; !errors.As(err, &refusal) || refusal.Code != "57014" {
		t.Errorf("the query ends with %v", err)
	}
	var one int
	if err := conn.QueryRow(ctx, "SELECT 1").Scan(&one); err != nil || one != 1 {
		t.Errorf("behind the cancel: %d, %v", one, err)
	}
}

// TestPostgreSQLTunnelLog checks what the tunnel logs of clients that don't get in.
func TestPostgreSQLTunnelLog(t *testing.T) {
	t.Parallel()
	s := PostgreSQL(t)
	tu := tunnelTo(t, s, "postgres", "0")
	psql(t, tu, User, "", postgresqlRoles).must(t, 0, "")
	tu.await("closed", 1)

	conn := dialTunnel(t, tu)
	tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).Handshake()
	mustLog(t, tu.await("failed", 1), "the local client speaks TLS", "turn TLS off in the client")

	conn = dialTunnel(t, tu)
	io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	io.Copy(io.Discard, conn)
	mustLog(t, tu.await("failed", 2), `"GET / HTTP/1.0" is not how a PostgreSQL client begins`, "PostgreSQL")

	// A client that vanishes, in the middle of its login and before it.
	for i, reset := range []bool{false, true} {
		conn := askedToLogIn(t, tu)
		if reset {
			conn.(*net.TCPConn).SetLinger(0)
		}
		conn.Close()
		line := tu.await("closed", i+2)
		if _, failed := line["error"]; failed != reset {
			t.Error(line)
		}
	}
	conn = dialTunnel(t, tu)
	io.WriteString(conn, "\x00\x00\x00\x08\x04\xd2\x16\x2f")
	conn.Close()
	mustLog(t, tu.await("failed", 3), "the local client", "")

	// A client that could bind its login, and says that the server does not offer it.
	conn = askedToLogIn(t, tu)
	response := "y,,n=,r=rOprNGfwEbeRWgbNEkqO"
	initial := "SCRAM-SHA-256\x00" + string(binary.BigEndian.AppendUint32(nil, uint32(len(response)))) + response
	io.WriteString(conn, postgresMessage('p', initial))
	said, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(said), "this client's SCRAM login can't pass a tunnel") {
		t.Errorf("the client is told %q, %v", said, err)
	}
	conn.Close()
	mustLog(t, tu.await("closed", 4), "flag y", "")
}

// askedToLogIn connects, and reads the offer of mechanisms.
func askedToLogIn(t *testing.T, tu *tunnelling) net.Conn {
	t.Helper()
	conn := dialTunnel(t, tu)
	io.WriteString(conn, postgresStartup("scram"))
	const offer = "R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"
	got := make([]byte, len(offer))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != offer {
		t.Fatalf("%q, %v", got, err)
	}
	return conn
}

// mustLog checks the error and the hint of a line of the log.
func mustLog(t *testing.T, line map[string]any, text, hint string) {
	t.Helper()
	got, _ := line["error"].(string)
	hinted, _ := line["hint"].(string)
	if !strings.Contains(got, text) || !strings.Contains(hinted, hint) {
		t.Errorf("%v, want error %q, hint %q", line, text, hint)
	}
}

// kerberos makes a cache with a ticket of a realm that there is not, which is enough for libpq to ask for
// encryption by GSSAPI, and returns the environment in which it is found.
func kerberos(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	number := func(b []byte, n int) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }
	data := func(b []byte, s string) []byte { return append(number(b, len(s)), s...) }
	principal := func(b []byte, names ...string) []byte {
		b = data(number(number(b, 1), len(names)), "EXAMPLE.ORG")
		for _, name := range names {
			b = data(b, name)
		}
		return b
	}
	now := int(time.Now().Unix())
	cache := principal([]byte{5, 4, 0, 0}, "user") // version 4 of the format, no headers
	cache = principal(principal(cache, "user"), "krbtgt", "EXAMPLE.ORG")
	cache = data(append(cache, 0, 18), strings.Repeat("k", 32)) // AES-256
	for _, at := range []int{now, now, now + 36000, now + 36000} {
		cache = number(cache, at)
	}
	cache = number(append(cache, 0), 0)     // no session key of another, no flags
	cache = number(number(cache, 0), 0)     // no addresses, no authorisation
	cache = data(data(cache, "ticket"), "") // and no second ticket
	for name, content := range map[string]string{"cache": string(cache), "krb5.conf": "[libdefaults]\ndefault_realm = EXAMPLE.ORG\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"PGPASSWORD=" + Password, "KRB5CCNAME=FILE:" + filepath.Join(dir, "cache"), "KRB5_CONFIG=" + filepath.Join(dir, "krb5.conf")}
}
