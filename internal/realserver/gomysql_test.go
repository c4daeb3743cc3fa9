package realserver

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// TestGoMySQLTunnel: MySQL 8's login, in full and from the server's cache, by clients that believe the line
// is in the clear and want an RSA key for their password.
func TestGoMySQLTunnel(t *testing.T) {
	t.Parallel()
	clients := map[string]func(t *testing.T, tu *tunnelling, password string) (refused bool){
		"mariadb":       goMySQLClient,
		"go-sql-driver": goMySQLDriver,
	}
	for _, plugin := range []string{"caching_sha2_password", "sha256_password"} {
		for name, logIn := range clients {
			for _, listen := range []string{"0", "unix"} {
				t.Run(plugin+"/"+name+"/"+listen, func(t *testing.T) {
					t.Parallel()
					s := GoMySQL(t, plugin)
					if listen == "unix" {
						listen = "unix:" + filepath.Join(t.TempDir(), "s")
					}
					tu := tunnelTo(t, s, "mysql", listen)
					for i, login := range []struct {
						password string
						full     int // authentications by now, where there is a cache
					}{{"wrong", 1}, {Password, 2}, {Password, 2}, {"wrong", 2}, {Password, 2}} {
						if refused := logIn(t, tu, login.password); refused != (login.password != Password) {
							t.Errorf("login %d with %q: refused %v", i+1, login.password, refused)
						}
						want := login.full
						if plugin == "sha256_password" {
							want = i + 1
						}
						if got := strings.Count(s.Log(), goMySQLFull); got != want {
							t.Errorf("login %d with %q: %d full authentications, want %d", i+1, login.password, got, want)
						}
					}
					if n := tu.count("failed"); n > 0 {
						t.Errorf("%d connections failed: %v", n, tu.await("failed", 1))
					}
				})
			}
		}
	}
}

// goMySQLClient logs in with the mariadb client.
func goMySQLClient(t *testing.T, tu *tunnelling, password string) (refused bool) {
	got := mariadbClient(t, tu, User, password, "SELECT 1;")
	if strings.HasPrefix(got.stderr, "ERROR 1045 (28000): Access denied for user '"+User+"'") {
		return true
	}
	got.must(t, 0, "1\n")
	return false
}

// goMySQLDriver logs in with go-sql-driver.
func goMySQLDriver(t *testing.T, tu *tunnelling, password string) (refused bool) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	db := mariadbOpen(t, tu, func(c *mysql.Config) { c.Passwd = password })
	defer db.Close()
	var n int
	err := db.QueryRowContext(ctx, "SELECT 1").Scan(&n)
	var answer *mysql.MySQLError
	if errors.As(err, &answer) && answer.Number == 1045 {
		return true
	}
	if err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	return false
}
