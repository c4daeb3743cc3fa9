package testserver

import (
	"strings"
	"testing"

	"tlsup/negotiate"
)

// TestMySQLClear says things in the clear that are not the way to TLS.
func TestMySQLClear(t *testing.T) {
	const bad = "Bad handshake"
	for name, dialogue := range map[string][]string{
		"no TLS": {
			"C: " + mysqlPacket(1, mysqlLogin(mysqlProtocol41|mysqlSecureConnection, "demo", "")),
			"S: " + mysqlPacket(2, mysqlError(3159, "HY000", "Connections using insecure transport are prohibited while --require_secure_transport=ON.")), "close",
		},
		"protocol 4.0":    {"C: " + mysqlPacket(1, mysqlLoginStart(mysqlSSL)), "S: " + mysqlPacket(2, mysqlError(1043, "08S01", bad)), "close"},
		"compression":     {"C: " + mysqlPacket(1, mysqlLoginStart(mysqlSSL|mysqlProtocol41|1<<26)), "S: " + mysqlPacket(2, mysqlError(1043, "08S01", bad)), "close"},
		"too short":       {"C: " + mysqlPacket(1, "short"), "S: " + mysqlPacket(2, mysqlError(1043, "08S01", bad)), "close"},
		"sequence number": {"C: " + mysqlPacket(2, mysqlLoginStart(mysqlSSL|mysqlProtocol41))[:4], "close"},
		"too long":        {"C: \xff\xff\xff\x01", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "mysql")
			conversePackets(t, conn, append([]string{"S: " + mysqlPacket(0, mysqlGreeting())}, dialogue...)...)
		})
	}
}

// TestMySQLInside holds sessions inside TLS.
func TestMySQLInside(t *testing.T) {
	talk := Talk("mysql")
	login := []string{"C: " + talk[0], "S: " + mysqlPacket(3, mysqlFullAuth)}
	const capabilities = mysqlLongPassword | mysqlProtocol41 | mysqlSSL | mysqlSecureConnection | mysqlPluginAuth
	as := func(user, password string) string {
		return "C: " + mysqlPacket(2, mysqlLogin(capabilities, user, mysqlMixture(password, mysqlScramble)))
	}
	sha256 := []string{as(MySQLSHA256, Password), "S: " + mysqlPacket(3, "\xfe"+mysqlPluginSHA256+"\x00"+mysqlAnother+"\x00")}
	denied := func(sequence byte, user string) string {
		return "S: " + mysqlPacket(sequence, mysqlError(1045, "28000", "Access denied for user '"+user+"'"))
	}
	in := append(login, "C: "+talk[1], "S: "+mysqlPacket(5, mysqlOK))
	for name, dialogue := range map[string][]string{
		"session": append(in, "C: "+mysqlPacket(0, "\x0e"), "S: "+mysqlPacket(1, mysqlOK),
			"C: "+mysqlPacket(0, "\x03SELECT 2"), "S: "+mysqlPacket(1, mysqlError(1047, "08S01", "Unknown command")), "C: "+mysqlPacket(0, "\x01"), "close"),
		"wrong password":         append(login, "C: "+mysqlPacket(4, "bad\x00"), "S: "+mysqlPacket(5, mysqlError(1045, "28000", "Access denied for user 'demo'")), "close"),
		"nobody":                 {as("nobody", Password), "S: " + mysqlPacket(3, mysqlFullAuth), "C: " + talk[1], denied(5, "nobody"), "close"},
		"no password":            {"C: " + mysqlPacket(2, mysqlLogin(capabilities, User, "")), denied(3, User), "close"},
		"cached":                 {as(MySQLCached, Password), "S: " + mysqlPacket(3, mysqlFastAuth) + mysqlPacket(4, mysqlOK), "C: " + mysqlPacket(0, "\x01"), "close"},
		"cached, wrong password": {as(MySQLCached, "bad"), "S: " + mysqlPacket(3, mysqlFullAuth), "C: " + mysqlPacket(4, "bad\x00"), denied(5, MySQLCached), "close"},
		"sha256":                 append(sha256, "C: "+mysqlPacket(4, Password+"\x00"), "S: "+mysqlPacket(5, mysqlOK), "C: "+mysqlPacket(0, "\x01"), "close"),
		"sha256, wrong password": append(sha256, "C: "+mysqlPacket(4, "\x01"), denied(5, MySQLSHA256), "close"),
		"answer cut":             {"C: " + mysqlPacket(2, mysqlLoginStart(capabilities)+User+"\x00\x05four"), "S: " + mysqlPacket(3, mysqlError(1043, "08S01", "Bad handshake")), "close"},
		"other capabilities": {
			"C: " + mysqlPacket(2, mysqlLogin(mysqlSSL|mysqlProtocol41, "demo", "")), "S: " + mysqlPacket(3, mysqlError(1043, "08S01", "Bad handshake")), "close",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, _, _ := open(t, negotiate.Find("mysql"))
			conversePackets(t, session, dialogue...)
		})
	}
}

// TestMySQLXClear says things in the clear that are not the way to TLS, and some that are.
func TestMySQLXClear(t *testing.T) {
	hello := "S: \x05\x00\x00\x00\x0b\x08\x05\x1a\x00"
	for name, dialogue := range map[string][]string{
		"asks first":       {"C: \x01\x00\x00\x00\x01", "S: " + mysqlxMessage(mysqlxCapabilities, mysqlxTLS()), "C: " + mysqlxMessage(mysqlxSet, mysqlxBytes(1, mysqlxTLS())), "S: \x01\x00\x00\x00\x00"},
		"login":            {"C: " + Talk("mysqlx")[1], "S: " + mysqlxError(3159, "Connections using insecure transport are prohibited")},
		"other capability": {"C: " + mysqlxMessage(mysqlxSet, "\x0a\x00"), "S: " + mysqlxError(5002, "Capability doesn't exist")},
		"close":            {"C: \x01\x00\x00\x00\x03", "S: \x07\x00\x00\x00\x00\x0a\x04bye!", "close"},
		"length zero":      {"C: \x00\x00\x00\x00", "close"},
		"too long":         {"C: \xff\xff\xff\xff", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "mysqlx")
			conversePackets(t, conn, append([]string{hello}, dialogue...)...)
		})
	}
}

// TestMySQLXInside holds a session inside TLS.
func TestMySQLXInside(t *testing.T) {
	session, _, _ := open(t, negotiate.Find("mysqlx"))
	conversePackets(t, session,
		"C: "+strings.Replace(Talk("mysqlx")[1], "\x00demo\x00demo", "\x00demo\x00oops", 1), "S: "+mysqlxError(1045, "Invalid user or password"),
		"C: "+Talk("mysqlx")[1], "S: \x01\x00\x00\x00\x04",
		"C: "+mysqlxMessage(mysqlxSet, mysqlxBytes(1, mysqlxTLS())), "S: "+mysqlxError(5001, "Capability prepare failed for 'tls'"),
		"C: "+mysqlxMessage(99, ""), "S: "+mysqlxError(5000, "Unexpected message received"),
		"C: "+Talk("mysqlx")[2], "S: "+mysqlxMessage(mysqlxOk, mysqlxBytes(1, "bye!")), "close")
}

// TestMySQLSplit cuts what the servers say.
func TestMySQLSplit(t *testing.T) {
	for name, said := range map[string][]string{
		"mysql":  {mysqlPacket(1, mysqlOK), mysqlPacket(2, strings.Repeat("x", 300)), "\x01\x00\x00\x03"},
		"mysqlx": {mysqlxMessage(0, ""), mysqlxMessage(1, strings.Repeat("x", 300)), "\x00\x00\x00\x00\x01"},
	} {
		got := split(PacketsOf(name), strings.Join(said, ""))
		if strings.Join(got, "|") != strings.Join(said, "|") {
			t.Errorf("%s: cut into %q, want %q", name, got, said)
		}
	}
}
