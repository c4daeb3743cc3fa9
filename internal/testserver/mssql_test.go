package testserver

import (
	"crypto/tls"
	"database/sql"
	"errors"
	"io"
	"strings"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"tlsup/negotiate"
)

// TestMSSQLClear says things in the clear that are not the way to TLS.
func TestMSSQLClear(t *testing.T) {
	prelogin := func(encryption byte) string { return tdsMessage(tdsPrelogin, mssqlPrelogin(encryption)) }
	answer := func(encryption byte) string { return tdsMessage(tdsReply, mssqlPrelogin(encryption)) }
	for name, dialogue := range map[string][]string{
		"login alone":      {"C: " + prelogin(0), "S: " + answer(3)},
		"everything":       {"C: " + prelogin(1), "S: " + answer(1)},
		"nothing":          {"C: " + prelogin(2), "S: " + answer(3), "close"},
		"login in clear":   {"C: " + tdsMessage(tdsLogin7, mssqlLogin(tds74, User, Password)), "close"},
		"no VERSION":       {"C: " + tdsMessage(tdsPrelogin, "\x01\x00\x06\x00\x01\xff\x01"), "close"},
		"no ENCRYPTION":    {"C: " + tdsMessage(tdsPrelogin, "\x00\x00\x06\x00\x01\xff\x01"), "close"},
		"value outside":    {"C: " + tdsMessage(tdsPrelogin, "\x00\x00\x06\x00\x09\xff\x01"), "close"},
		"no end":           {"C: " + tdsMessage(tdsPrelogin, "\x00\x00\x06"), "close"},
		"empty":            {"C: " + tdsMessage(tdsPrelogin, ""), "close"},
		"packet too long":  {"C: \x12\x01\x10\x01\x00\x00\x01\x00", "close"},
		"packet too short": {"C: \x12\x01\x00\x07\x00\x00\x01\x00", "close"},
		"handshake in no packet": {"C: " + prelogin(1), "S: " + answer(1),
			"C: \x16\x03\x01\x00\x05\x01\x00\x00", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "mssql")
			conversePackets(t, conn, dialogue...)
		})
	}
}

// TestMSSQLInside holds sessions inside TLS.
func TestMSSQLInside(t *testing.T) {
	batch := func(query string) string { return "C: " + tdsMessage(tdsBatch, tdsHeaders+ucs2(query)) }
	answer := func(data string) string { return "S: " + tdsMessage(tdsReply, data) }
	for _, name := range []string{"mssql", "tds8"} {
		login, version := []string{}, uint32(tds74)
		if name == "tds8" {
			login, version = []string{"C: " + tdsMessage(tdsPrelogin, mssqlPrelogin(2)), answer(mssqlPrelogin(1))}, tds80
		}
		with := func(password string, moves ...string) []string {
			return append(append([]string{}, login...), append([]string{"C: " + tdsMessage(tdsLogin7, mssqlLogin(version, User, password))}, moves...)...)
		}
		for title, dialogue := range map[string][]string{
			"session": with(Password, answer(tdsLoginAck(version)+tdsDone(0, 0)), batch("set nocount on"), answer(tdsDone(0, 0)),
				batch("SELECT 2"), answer(tdsError(156, 15, "Incorrect syntax.")+tdsDone(2, 0)), "C: "+tdsMessage(tdsAttention, ""), answer(tdsDone(0x20, 0)),
				batch(tdsGoodbye), answer(tdsError(50000, 20, "bye")+tdsDone(2, 0)), "close"),
			"wrong password": with("oops", answer(tdsError(18456, 14, "Login failed for user 'demo'.")+tdsDone(2, 0)), "close"),
		} {
			t.Run(name+"/"+title, func(t *testing.T) {
				t.Parallel()
				session, _, _ := open(t, negotiate.Find(name))
				conversePackets(t, session, dialogue...)
			})
		}
	}
}

// TestMSSQLClient has Microsoft's own client log in and ask, in both ways. Its settings say
// whom to trust, so that it verifies the certificate.
func TestMSSQLClient(t *testing.T) {
	for name, encrypt := range map[string]string{"mssql": "true", "tds8": "strict"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Start(name, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for password, want := range map[string]int{Password: 1, "oops": 0} {
				config, err := msdsn.Parse("sqlserver://" + User + ":" + password + "@" + s.Addr.String() + "?encrypt=" + encrypt)
				if err != nil {
					t.Fatal(err)
				}
				config.TLSConfig.RootCAs, config.TLSConfig.ServerName = s.CA.Pool(), Host
				db := sql.OpenDB(mssql.NewConnectorConfig(config))
				defer db.Close()
				var got int
				long := strings.Repeat(" ", 10_000) // a message of many packets
				err = db.QueryRowContext(t.Context(), "SELECT 1"+long).Scan(&got)
				var refused mssql.Error
				if got != want || want == 1 && err != nil || want == 0 && (!errors.As(err, &refused) || refused.Number != 18456) {
					t.Errorf("password %s: %d, %v", password, got, err)
				}
			}
		})
	}
}

// TestTDS8ALPN checks that TLS from the first byte is served with the protocol ID alone.
func TestTDS8ALPN(t *testing.T) {
	s, conn := dial(t, "tds8")
	session := tls.Client(conn, &tls.Config{ServerName: Host, RootCAs: s.CA.Pool()})
	io.WriteString(session, tdsMessage(tdsPrelogin, mssqlPrelogin(1)))
	if got, err := io.ReadAll(session); len(got) > 0 {
		t.Errorf("the server said %q, %v", got, err)
	}
}

// TestMSSQLRecords: a packet that is not whole in one TLS record, or not alone, ends the session.
func TestMSSQLRecords(t *testing.T) {
	login := tdsMessage(tdsPrelogin, mssqlPrelogin(1))
	for name, records := range map[string][]string{
		"split":    {login[:20], login[20:]},
		"together": {login + tdsMessage(tdsLogin7, mssqlLogin(tds80, User, Password))},
		"too long": {login + "x"},
		"short":    {"\x12\x01"},
	} {
		s, conn := dial(t, "tds8")
		session := tls.Client(conn, &tls.Config{ServerName: Host, RootCAs: s.CA.Pool(), NextProtos: []string{"tds/8.0"}})
		for _, r := range records {
			io.WriteString(session, r)
		}
		if got, err := io.ReadAll(session); len(got) > 0 {
			t.Errorf("%s: the server said %q, %v", name, got, err)
		}
	}
}

func TestMSSQLLogin(t *testing.T) {
	m := mssqlLogin(tds74, "Jürgen", "pässword")
	if _, user, password, err := readMSSQLLogin(m); user != "Jürgen" || password != "pässword" || err != nil {
		t.Errorf("%s, %s, %v", user, password, err)
	}
	for n := range m {
		if _, _, _, err := readMSSQLLogin(m[:n]); err == nil && n < 94+2*len("Jürgen") {
			t.Errorf("%d bytes of a login are taken for one", n)
		}
	}
}

func TestTDSSplit(t *testing.T) {
	said := []string{tdsMessage(4, "x"), tdsMessage(4, strings.Repeat("x", 4000)), "\x04\x01\x00\x07\x00\x00\x01\x00"}
	if got := split(PacketsOf("mssql"), strings.Join(said, "")); strings.Join(got, "|") != strings.Join(said, "|") {
		t.Errorf("cut into %q", got)
	}
}
