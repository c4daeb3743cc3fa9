package tunnel

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"tlsup/internal/realserver"
	"tlsup/internal/testserver"
)

// mysqlAccounts are those of the server inside the process, which wants the password of the first
// itself, knows that of the second, and has another plugin for the third.
var mysqlAccounts = []string{testserver.User, testserver.MySQLCached, testserver.MySQLSHA256}

// mysqlTunnels start a server, and tunnels to it: on a port, where clients ask for a key, and on a
// Unix socket, which many trust.
func mysqlTunnels(t *testing.T) (onPort, onSocket *bench) {
	t.Helper()
	s := serve(t, "mysql")
	pair := to(t, "mysql", s)
	onPort = start(t, pair, nil)
	pair.Listener = listen(t, "unix:"+filepath.Join(t.TempDir(), "s"), 0)
	return onPort, start(t, pair, nil)
}

// TestMySQLDriver has go-sql-driver log in without TLS: in full, from the cache, and by sha256_password.
func TestMySQLDriver(t *testing.T) {
	onPort, onSocket := mysqlTunnels(t)
	for _, user := range mysqlAccounts {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			for network, b := range map[string]*bench{"tcp": onPort, "unix": onSocket} {
				for password, want := range map[string]uint16{testserver.Password: 0, "wrong": 1045, "": 1045, strings.Repeat("x", 200): 1045} {
					config := mysql.NewConfig()
					config.Net, config.Addr, config.User, config.Passwd, config.TLSConfig = network, b.addr, user, password, "false"
					if got := mysqlQuery(t, config); got != want {
						t.Errorf("%s, password %q: error %d, want %d", network, password, got, want)
					}
				}
			}
		})
	}
}

// mysqlQuery logs in and asks, and returns the number of the error, or 0.
func mysqlQuery(t *testing.T, config *mysql.Config) uint16 {
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var n int
	err = db.QueryRowContext(ctx, "SELECT 1").Scan(&n)
	var refused *mysql.MySQLError
	if err != nil && !errors.As(err, &refused) || err == nil && n != 1 {
		t.Errorf("%s: %d, %v", config.User, n, err)
		return 0
	}
	if refused != nil {
		return refused.Number
	}
	return 0
}

// TestMySQLAtOnce: many clients that need the key at the same time.
func TestMySQLAtOnce(t *testing.T) {
	onPort, _ := mysqlTunnels(t)
	for range 20 {
		t.Run("client", func(t *testing.T) {
			t.Parallel()
			config := mysql.NewConfig()
			config.Net, config.Addr, config.User, config.Passwd, config.TLSConfig = "tcp", onPort.addr, testserver.User, testserver.Password, "false"
			if got := mysqlQuery(t, config); got != 0 {
				t.Errorf("error %d", got)
			}
		})
	}
}

// TestMySQLProgram does the same with MariaDB's client, whose login packet may be for another plugin
// than the server's first packet or the account.
func TestMySQLProgram(t *testing.T) {
	mariadb := realserver.Tool(t, "mariadb")
	onPort, onSocket := mysqlTunnels(t)
	_, port, err := net.SplitHostPort(onPort.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, where := range [][]string{{"--protocol=tcp", "--host=127.0.0.1", "--port=" + port}, {"--socket=" + onSocket.addr}} {
		for _, plugin := range []string{"caching_sha2_password", "sha256_password", "mysql_native_password"} {
			for _, user := range mysqlAccounts {
				for password, says := range map[string]string{testserver.Password: "1", "wrong": "ERROR 1045 (28000): Access denied for user '" + user + "'"} {
					t.Run(where[0]+"/"+plugin+"/"+user+"/"+password, func(t *testing.T) {
						t.Parallel()
						ctx, cancel := context.WithTimeout(t.Context(), limit)
						defer cancel()
						args := append([]string{"--no-defaults", "--skip-ssl", "--batch", "--skip-column-names", "--user=" + user, "--password=" + password, "--default-auth=" + plugin}, where...)
						cmd := exec.CommandContext(ctx, mariadb, append(args, "--execute=SELECT 1")...)
						cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + t.TempDir()}
						out, err := cmd.CombinedOutput()
						if strings.TrimSpace(string(out)) != says || (err == nil) != (says == "1") {
							t.Errorf("%q, %v", out, err)
						}
					})
				}
			}
		}
	}
}
