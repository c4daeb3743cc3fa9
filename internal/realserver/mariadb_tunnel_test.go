package realserver

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mariadbClient runs the mariadb client without TLS, with the program as its server.
func mariadbClient(t *testing.T, tu *tunnelling, user, password, query string, options ...string) result {
	t.Helper()
	args := []string{"--no-defaults", "--batch", "--skip-column-names", "--skip-ssl", "--user=" + user, "--password=" + password, "--local-infile=1"}
	if strings.Contains(tu.addr, "/") {
		args = append(args, "--socket="+tu.addr)
	} else {
		args = append(args, "--protocol=tcp", "--host=127.0.0.1", "--port="+tu.port())
	}
	return client(t, nil, query, "", "mariadb", append(append(args, options...), "store")...)
}

// mariadbTLS asks the server what it knows of the connection's encryption.
const mariadbTLS = "SHOW STATUS LIKE 'Ssl_version'"

func TestMariaDBTunnel(t *testing.T) {
	t.Parallel()
	s := MariaDB(t)
	tcp := tunnelTo(t, s, "mysql", "0")
	socket := tunnelTo(t, s, "mysql", "unix:"+filepath.Join(t.TempDir(), "mysqld.sock"))
	t.Run("clients", func(t *testing.T) {
		for _, user := range []string{User, "ed25519"} {
			t.Run(user, func(t *testing.T) {
				t.Parallel()
				for _, tu := range []*tunnelling{tcp, socket} {
					mariadbClient(t, tu, user, Password, mariadbTLS).must(t, 0, "Ssl_version\tTLSv1.3\n")
					mariadbClient(t, tu, user, Password, mariadbTLS, "--compress").must(t, 0, "Ssl_version\tTLSv1.3\n")
					mariadbClient(t, tu, user, "wrong", mariadbTLS).must(t, 1, "", "ERROR 1045 (28000): Access denied for user '"+user+"'@'127.0.0.1' (using password: YES)")
					mariadbClient(t, tu, user, "", mariadbTLS).must(t, 1, "", "Access denied")
				}
				mariadbDriver(t, tcp, user)
				mariadbDriver(t, socket, user)
			})
		}
		t.Run("plugin", func(t *testing.T) { // the first answer is for a plugin that the account does not have
			t.Parallel()
			mariadbClient(t, tcp, "ed25519", Password, mariadbTLS, "--default-auth=caching_sha2_password").must(t, 0, "Ssl_version\tTLSv1.3\n")
		})
		t.Run("copy", func(t *testing.T) {
			t.Parallel()
			mariadbCopy(t, "plain", tcp, socket)
			mariadbCopy(t, "compressed", tcp, tcp, "--compress")
		})
		t.Run("packets", func(t *testing.T) {
			t.Parallel()
			mariadbPackets(t, tcp)
		})
	})
	// Behind COM_QUIT the server closes without close_notify, which is no failure.
	for _, tu := range []*tunnelling{tcp, socket} {
		tu.mu.Lock()
		for _, line := range tu.lines {
			if line["msg"] == "failed" || line["error"] != nil {
				t.Errorf("the log has %v", line)
			}
		}
		tu.mu.Unlock()
	}
}

// mariadbOpen opens a connection by go-sql-driver, without TLS.
func mariadbOpen(t *testing.T, tu *tunnelling, change func(*mysql.Config)) *sql.DB {
	t.Helper()
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.Passwd, config.DBName, config.TLSConfig = "tcp", tu.addr, User, Password, "store", "false"
	if strings.Contains(tu.addr, "/") {
		config.Net = "unix"
	}
	if change != nil {
		change(config)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	return db
}

// mariadbDriver logs in with go-sql-driver, whose packets are not the mariadb client's.
func mariadbDriver(t *testing.T, tu *tunnelling, user string) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for password, want := range map[string]uint16{Password: 0, "wrong": 1045, "": 1045} {
		db := mariadbOpen(t, tu, func(c *mysql.Config) { c.User, c.Passwd = user, password })
		var name, version string
		err := mysql.ErrMalformPkt
		// The driver takes a zero byte at a scramble's end for no part of it, which one of ed25519's has at times.
		for tries := 0; tries < 5 && errors.Is(err, mysql.ErrMalformPkt); tries++ {
			err = db.QueryRowContext(ctx, mariadbTLS).Scan(&name, &version)
		}
		var refused *mysql.MySQLError
		if want == 0 && (err != nil || version != "TLSv1.3") || want != 0 && (!errors.As(err, &refused) || refused.Number != want) {
			t.Errorf("%s, password %q: %s, %v", user, password, version, err)
		}
		db.Close()
	}
}

// mariadbCopy copies many rows to the server and back, over either tunnel.
func mariadbCopy(t *testing.T, table string, up, down *tunnelling, options ...string) {
	const rows = 100_000
	file := filepath.Join(t.TempDir(), "rows")
	text := randomRows(t, file, rows)
	query := fmt.Sprintf("CREATE TABLE %s (n int PRIMARY KEY, line text); LOAD DATA LOCAL INFILE '%s' INTO TABLE %[1]s; SELECT count(*) FROM %[1]s;", table, file)
	mariadbClient(t, up, User, Password, query, options...).must(t, 0, fmt.Sprintf("%d\n", rows))
	back := mariadbClient(t, down, User, Password, "SELECT * FROM "+table+" ORDER BY n", append(options, "--quick")...)
	if back.stdout != text {
		t.Errorf("%d bytes came back, of %d, or others: %s", len(back.stdout), len(text), back.stderr)
	}
}

// mariadbPackets sends and receives what is longer than a packet can be.
func mariadbPackets(t *testing.T, tu *tunnelling) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
	defer cancel()
	db := mariadbOpen(t, tu, func(c *mysql.Config) { c.MaxAllowedPacket, c.InterpolateParams = 64<<20, true })
	blob := make([]byte, 17<<20)
	rand.NewChaCha8([32]byte{1}).Read(blob)
	var sum string
	var back []byte
	if err := db.QueryRowContext(ctx, "SELECT sha2(unhex(?), 256), unhex(?)", hex.EncodeToString(blob[:9<<20]), hex.EncodeToString(blob)).Scan(&sum, &back); err != nil {
		t.Fatal(err)
	}
	want := sha256.Sum256(blob[:9<<20])
	if sum != hex.EncodeToString(want[:]) || sha256.Sum256(back) != sha256.Sum256(blob) {
		t.Errorf("the server has %s, want %x; %d bytes came back", sum, want, len(back))
	}
}

// TestMariaDBTunnelFails checks what clients are told, and what is logged, where the login can't begin.
func TestMariaDBTunnelFails(t *testing.T) {
	t.Parallel()
	s := MariaDB(t, "max_connections = 10")
	tu := tunnelTo(t, s, "mysql", "0")

	db := mariadbOpen(t, tu, func(c *mysql.Config) { c.TLSConfig = "skip-verify" })
	if err := db.Ping(); !errors.Is(err, mysql.ErrNoTLS) {
		t.Errorf("a client that wants TLS fails with %v", err)
	}
	line := tu.await("failed", 1)
	if !strings.Contains(fmt.Sprint(line["error"]), "the local client closed the connection") {
		t.Errorf("the log has %v", line)
	}

	// The server takes no fewer, and lets one more in.
	for range 20 {
		conn := dial(t, s, "mysql")
		conn.SetDeadline(time.Now().Add(limit))
		if _, greeting := hearMySQL(t, conn); greeting[0] == 0xff {
			break
		}
	}
	mariadbClient(t, tu, User, Password, mariadbTLS).must(t, 1, "", "ERROR 1040 (", "Too many connections")
	line = tu.await("failed", 2)
	if !strings.Contains(fmt.Sprint(line["error"]), "1040 ER_CON_COUNT_ERROR") || line["hint"] == nil {
		t.Errorf("the log has %v", line)
	}

	plain := tunnelTo(t, MariaDB(t, MariaDBNoTLS), "mysql", "0", "--x509cafile", s.CAFile())
	mariadbClient(t, plain, User, Password, mariadbTLS).must(t, 1, "", "tlsup: server does not offer TLS (CLIENT_SSL)")
}
