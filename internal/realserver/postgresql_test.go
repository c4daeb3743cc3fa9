package realserver

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// postgresStartup is what a client says first inside TLS.
func postgresStartup(user string) string {
	body := "\x00\x03\x00\x00user\x00" + user + "\x00database\x00postgres\x00\x00"
	return string(binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))) + body
}

// postgresMessage is a message with a type; its length counts itself.
func postgresMessage(kind byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body)))) + body
}

// hearPostgres reads a message.
func hearPostgres(s *session) (kind byte, body string) {
	s.t.Helper()
	header := make([]byte, 5)
	if _, err := io.ReadFull(s.r, header); err != nil {
		s.t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(header[1:])-4)
	if _, err := io.ReadFull(s.r, b); err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("S: %c %q", header[0], b)
	return header[0], string(b)
}

// hearPostgresUntil reads messages up to one of a type, and returns the rows between.
func hearPostgresUntil(s *session, last byte) (rows []string) {
	s.t.Helper()
	for {
		kind, body := hearPostgres(s)
		switch kind {
		case last:
			return rows
		case 'D':
			rows = append(rows, body)
		case 'E':
			s.t.Fatalf("ErrorResponse %q", body)
		}
	}
}

// postgresQuery asks the server what it knows of the connection's encryption.
const postgresQuery = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl\x00"

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	s := PostgreSQL(t)
	t.Run("session", func(t *testing.T) {
		pg := open(t, s, "postgres", Host)
		pg.say(postgresStartup(User))
		if kind, body := hearPostgres(pg); kind != 'R' || body != "\x00\x00\x00\x03" {
			t.Fatalf("%c %q in place of AuthenticationCleartextPassword", kind, body)
		}
		pg.say(postgresMessage('p', Password+"\x00"))
		hearPostgresUntil(pg, 'Z')
		pg.say(postgresMessage('Q', postgresQuery))
		rows := hearPostgresUntil(pg, 'Z')
		if len(rows) != 1 || !strings.HasSuffix(rows[0], "TLSv1.3") {
			t.Errorf("the server says that the connection is %q", rows)
		}
		pg.say(postgresMessage('X', ""))
		pg.end()
	})
	t.Run("program", func(t *testing.T) {
		input := postgresStartup(User) + postgresMessage('p', Password+"\x00") + postgresMessage('Q', postgresQuery) + postgresMessage('X', "")
		tlsup(t, input, "--x509cafile", s.CAFile(), s.target("postgres")).must(t, 0, "TLSv1.3")
		tlsup(t, input, s.target("postgres")).must(t, 6, "", s.Addr("postgres")+": verify: ", "throwaway authority")
	})
	// TLS from the first byte came with version 17: an older server hangs up.
	t.Run("direct", func(t *testing.T) {
		tlsup(t, "", "--x509cafile", s.CAFile(), "postgres-direct://"+s.Addr("postgres")).must(t, 5, "", s.Addr("postgres")+": handshake: ")
	})
}

func TestPostgreSQLWithoutTLS(t *testing.T) {
	t.Parallel()
	s := PostgreSQL(t, "ssl = off")
	mustRefuse(t, s, "postgres", Host, negotiate.ErrRefused, negotiate.Upgrade)
	tlsup(t, "", s.target("postgres")).must(t, 4, "", s.Addr("postgres")+`: upgrade: server refuses: "N"`, "hint: ", "ssl = on")
}
