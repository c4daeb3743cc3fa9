package realserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// PostgreSQL starts PostgreSQL with one account, User, which can log in with Password and
// over TLS alone. Settings are lines of postgresql.conf.
func PostgreSQL(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, postgresql, settings)
}

var postgresql = program{
	name:      "PostgreSQL",
	binary:    "postgres",
	dir:       "/usr/lib/postgresql/*/bin",
	schemes:   []string{"postgres"},
	ready:     "ready to accept connections",
	configure: configurePostgreSQL,
}

const postgresqlConf = `
listen_addresses = '127.0.0.1'
port = %[2]d
unix_socket_directories = ''
fsync = off
shared_buffers = 16MB
ssl = on
ssl_cert_file = '%[1]s/cert.pem'
ssl_key_file = '%[1]s/key.pem'
hba_file = '%[1]s/pg_hba.conf'
`

// A role called after a method logs in with it; User and others with their password as it is.
const postgresqlHBA = `
hostssl all scram 127.0.0.1/32 scram-sha-256
hostssl all md5   127.0.0.1/32 md5
hostssl all trust 127.0.0.1/32 trust
hostssl all all   127.0.0.1/32 password
`

func configurePostgreSQL(s *Server, binary string, settings []string) (*exec.Cmd, error) {
	for name, content := range map[string]string{
		"postgresql.conf": fmt.Sprintf(postgresqlConf, s.dir, s.Ports["postgres"]) + lines(settings),
		"pg_hba.conf":     postgresqlHBA,
		"password":        Password + "\n",
	} {
		if err := s.write(name, content); err != nil {
			return nil, err
		}
	}
	if err := s.handOver(); err != nil {
		return nil, err
	}
	initdb := exec.Command(filepath.Join(filepath.Dir(binary), "initdb"), "--pgdata", s.path("data"), "--username", User,
		"--pwfile", s.path("password"), "--auth", "password", "--no-locale", "--encoding", "UTF8", "--no-sync")
	if err := s.prepareBy(initdb); err != nil {
		return nil, fmt.Errorf("initdb: %w", err)
	}
	return exec.Command(binary, "-D", s.path("data"), "-c", "config_file="+s.path("postgresql.conf")), nil
}

// prepareBy runs a command as the server's user to its end.
func (s *Server) prepareBy(cmd *exec.Cmd) error {
	log, err := os.OpenFile(s.path("log"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, s.dir
	exited := make(chan struct{})
	if err := startOwn(cmd, s.user, exited); err != nil {
		return err
	}
	<-exited
	if !cmd.ProcessState.Success() {
		return errors.New(cmd.ProcessState.String() + ": " + s.Log())
	}
	return nil
}
