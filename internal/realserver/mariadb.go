package realserver

import (
	"fmt"
	"os/exec"
	"testing"
)

// MariaDB starts MariaDB with accounts that can log in over TLS alone, with Password: User by
// mysql_native_password, and ed25519 by the plugin of that name. Their database is named store.
// Settings are lines of my.cnf; with MariaDBNoAccount the accounts are missing, with MariaDBNoTLS
// there is no TLS.
func MariaDB(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, mariadb, settings)
}

const (
	MariaDBNoTLS     = "skip_ssl"
	MariaDBNoAccount = "init_file ="
)

var mariadb = program{
	name:      "MariaDB",
	binary:    "mariadbd",
	schemes:   []string{"mysql"},
	ready:     "ready for connections",
	configure: configureMariaDB,
}

// With a directory of its own for what is temporary: two servers clear up each other's.
const mariadbConf = `
[mariadbd]
datadir = %[1]s/data
tmpdir = %[1]s
socket = %[1]s/socket
pid_file = %[1]s/pid
bind_address = 127.0.0.1
port = %[2]d
skip_name_resolve
innodb = OFF
default_storage_engine = Aria
ssl_cert = %[1]s/cert.pem
ssl_key = %[1]s/key.pem
init_file = %[1]s/init.sql
plugin_load_add = auth_ed25519
max_allowed_packet = 64M
`

// An account of MariaDB is a name and the host that it comes from.
const mariadbInit = "CREATE USER '" + User + "'@'127.0.0.1' IDENTIFIED BY '" + Password + "' REQUIRE SSL;\n" +
	"CREATE USER 'ed25519'@'127.0.0.1' IDENTIFIED VIA ed25519 USING PASSWORD('" + Password + "') REQUIRE SSL;\n" +
	"CREATE DATABASE store;\n" +
	"GRANT ALL ON store.* TO '" + User + "'@'127.0.0.1', 'ed25519'@'127.0.0.1';\n"

func configureMariaDB(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	for name, content := range map[string]string{
		"my.cnf":   fmt.Sprintf(mariadbConf, s.dir, s.Ports["mysql"]) + lines(settings),
		"init.sql": mariadbInit,
	} {
		if err := s.write(name, content); err != nil {
			return nil, err
		}
	}
	if err := s.handOver(); err != nil {
		return nil, err
	}
	install, err := lookPath("mariadb-install-db", "")
	if err != nil {
		return nil, err
	}
	err = s.prepareBy(exec.Command(install, "--no-defaults", "--datadir="+s.path("data"), "--tmpdir="+s.dir, "--auth-root-authentication-method=socket",
		"--skip-test-db", "--skip-name-resolve", "--innodb=OFF", "--default-storage-engine=Aria"))
	if err != nil {
		return nil, fmt.Errorf("mariadb-install-db: %w", err)
	}
	return exec.Command(binary, "--defaults-file="+s.path("my.cnf")), nil
}
