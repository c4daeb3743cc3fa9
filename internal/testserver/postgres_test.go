package testserver

import (
	"crypto/tls"
	"io"
	"slices"
	"testing"

	"tlsup/negotiate"
)

const (
	postgresSSLRequest = "C: \x00\x00\x00\x08\x04\xd2\x16\x2f"
	postgresGSSRequest = "C: \x00\x00\x00\x08\x04\xd2\x16\x30"
)

// TestPostgresClear says things in the clear that are not the way to TLS, and some that are.
func TestPostgresClear(t *testing.T) {
	startup := "C: " + postgresStartup(postgresVersion3, "user\x00demo\x00\x00")
	for name, dialogue := range map[string][]string{
		"encryption of another kind": {postgresGSSRequest, "S: N", postgresSSLRequest, "S: S"},
		"no encryption": {
			startup, "S: " + postgresError("FATAL", "28000", "no pg_hba.conf entry for this host, no encryption"), "close",
		},
		"cancel":    {"C: \x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02", "close"},
		"too short": {"C: \x00\x00\x00\x07", "close"},
		"too long":  {"C: \x7f\xff\xff\xff", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, conn := dial(t, "postgres")
			conversePackets(t, conn, dialogue...)
		})
	}
}

// TestPostgresInside holds sessions inside TLS.
func TestPostgresInside(t *testing.T) {
	const (
		askPassword = "S: R\x00\x00\x00\x08\x00\x00\x00\x03"
		welcome     = "S: R\x00\x00\x00\x08\x00\x00\x00\x00S\x00\x00\x00\x18server_version\x0017.0\x00Z\x00\x00\x00\x05I"
	)
	startup := "C: " + postgresStartup(postgresVersion3, "user\x00demo\x00\x00")
	for name, dialogue := range map[string][]string{
		"session": {
			startup, askPassword, "C: p\x00\x00\x00\x09demo\x00", welcome,
			"C: Q\x00\x00\x00\x0dSELECT 2\x00", "S: " + postgresError("ERROR", "42601", "syntax error"), "S: Z\x00\x00\x00\x05I",
			"C: Q\x00\x00\x00\x0eselect 1;\x00", "S: " + postgresError("ERROR", "42601", "syntax error"), "S: Z\x00\x00\x00\x05I",
			"C: X\x00\x00\x00\x04", "close",
		},
		"wrong password": {
			startup, askPassword, "C: p\x00\x00\x00\x08bad\x00", "S: " + postgresError("FATAL", "28P01", "password authentication failed"), "close",
		},
		"wrong user": {
			"C: " + postgresStartup(postgresVersion3, "user\x00other\x00\x00"), askPassword, "C: p\x00\x00\x00\x09demo\x00",
			"S: " + postgresError("FATAL", "28P01", "password authentication failed"), "close",
		},
		"TLS once more": {
			postgresSSLRequest, "S: " + postgresError("FATAL", "0A000", "unsupported frontend protocol 1234.5679"), "close",
		},
		"no message": {
			startup, askPassword, "C: p\x00\x00\x00\x09demo\x00", welcome,
			"C: ?\x00\x00\x00\x04", "S: " + postgresError("FATAL", "08P01", "invalid frontend message type 63"), "close",
		},
	} {
		for _, protocol := range []string{"postgres", "postgres-direct"} {
			t.Run(name+"/"+protocol, func(t *testing.T) {
				t.Parallel()
				session, _, _ := open(t, negotiate.Find(protocol))
				conversePackets(t, session, dialogue...)
			})
		}
	}
}

// TestPostgresALPN checks that TLS from the first byte is served with the protocol ID alone.
func TestPostgresALPN(t *testing.T) {
	s, conn := dial(t, "postgres-direct")
	session := tls.Client(conn, &tls.Config{ServerName: Host, RootCAs: s.CA.Pool()})
	conversePackets(t, session, "C: "+postgresStartup(postgresVersion3, "user\x00demo\x00\x00"),
		"S: "+postgresError("FATAL", "08P01", "received direct SSL connection request without ALPN protocol negotiation extension"), "close")
}

// TestPostgresCleartextBehindRequest checks that what comes in the clear behind SSLRequest ends
// the connection (CVE-2021-23214).
func TestPostgresCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "postgres")
	conversePackets(t, conn, postgresSSLRequest+postgresStartup(postgresVersion3, "user\x00demo\x00\x00"), "S: S")
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}

func TestPostgresSplit(t *testing.T) {
	p := PacketsOf("postgres")
	for said, want := range map[string][]string{
		"Z\x00\x00\x00\x05IX\x00\x00\x00\x04": {"Z\x00\x00\x00\x05I", "X\x00\x00\x00\x04"},
		"Z\x00\x00\x00\x05":                   {"Z\x00\x00\x00\x05"},
		"Z\x00\x00\x00\x03I":                  {"Z\x00\x00\x00\x03I"},
		"Z\xff\xff\xff\xffI":                  {"Z\xff\xff\xff\xffI"},
	} {
		if got := split(p, said); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", said, got, want)
		}
	}
}
