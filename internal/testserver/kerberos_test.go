package testserver

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"tlsup/negotiate"
)

// TestKerberosClear says things in the clear that are not the way to TLS.
func TestKerberosClear(t *testing.T) {
	for name, packets := range map[string][]string{
		"probes":         {"C: \x80\x00\x00\x00", "S: \x80\x00\x00\x01", "C: \x80\x00\x00\x00", "close"},
		"probe first":    {"C: \x80\x00\x00\x00", "S: \x80\x00\x00\x01", "C: \x80\x00\x00\x01", "S: \x00\x00\x00\x00"},
		"and another":    {"C: \x80\x00\x00\x03", "S: \x80\x00\x00\x01", "C: \x80\x00\x00\x03", "close"},
		"too long":       {"C: \x7f\xff\xff\xff", "close"},
		"message second": {"C: \x80\x00\x00\x00", "S: \x80\x00\x00\x01", "C: \x00\x00\x00\x01", "close"},
	} {
		t.Run(name, func(t *testing.T) {
			_, conn := dial(t, "kerberos")
			conversePackets(t, conn, packets...)
		})
	}
	_, conn := dial(t, "kerberos")
	if _, err := io.WriteString(conn, kerberosFramed(kerberosRequest(User))); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if got := kerberosName(answer); err != nil || got != "KRB-ERROR: 12, not in the clear" {
		t.Errorf("%s, %v", got, err)
	}
}

// TestKerberosInside asks inside TLS.
func TestKerberosInside(t *testing.T) {
	session, _, greeting := open(t, negotiate.Find("kerberos"))
	if greeting != "" {
		t.Errorf("a client is shown %q, but it speaks first", greeting)
	}
	packets := bufio.NewScanner(session)
	packets.Split(kerberosSplit)
	for _, test := range []struct{ message, want string }{
		{kerberosRequest(User), "KRB-ERROR: 25, who are you"},
		{kerberosRequest("nobody"), "KRB-ERROR: 6, nobody of that name"},
		{strings.Replace(kerberosRequest(User), "\x6a", "\x6c", 1), "KRB-ERROR: 40, not a request for a ticket"},
		{"x", "KRB-ERROR: 40, not a request for a ticket"},
	} {
		if _, err := io.WriteString(session, kerberosFramed(test.message)); err != nil {
			t.Fatal(err)
		}
		if !packets.Scan() {
			t.Fatal(packets.Err())
		}
		if got := kerberosName(packets.Bytes()); got != test.want {
			t.Errorf("%q is answered with %s, want %s", test.message, got, test.want)
		}
	}
}

// TestKerberosCleartextBehindRequest checks that what comes in the clear behind the extension ends
// the connection.
func TestKerberosCleartextBehindRequest(t *testing.T) {
	_, conn := dial(t, "kerberos")
	conversePackets(t, conn, "C: \x80\x00\x00\x01"+kerberosFramed(kerberosRequest(User)), "S: \x00\x00\x00\x00")
	if n, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Errorf("the server goes on with %d bytes", n)
	}
}
