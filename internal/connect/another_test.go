package connect

import (
	"context"
	"errors"
	"testing"

	"tlsup/negotiate"
)

// TestAnotherProtocol: the greeting of another protocol is recognised, be it in place of a
// greeting or of an answer.
func TestAnotherProtocol(t *testing.T) {
	for _, test := range []struct{ server, client string }{
		{"mysqlx", "mysql"},
		{"mysql", "mysqlx"},
		{"mysql", "postgres"},
		{"imap", "ldap"},
		{"imap", "mssql"},
	} {
		target, o := startServer(t, test.server)
		target.Protocol = negotiate.Find(test.client)
		if target.Protocol.Names == negotiate.NoName {
			o.Name = ""
		}
		_, err := Open(context.Background(), target, o)
		var failed *Error
		want := "that looks like " + test.server + ": tlsup " + test.server + "://" + target.Address()
		if !errors.As(err, &failed) || failed.Status() != StatusNoUpgrade || failed.Hint != want {
			t.Errorf("%s to a server for %s: %v, hint %q, want %q", test.client, test.server, err, failed.Hint, want)
		}
	}
}
