package negotiate

import (
	"context"
	"errors"
	"testing"
)

// checkBounds has a server say what should not be read to its end, and expects the reason,
// and at most that many bytes to be read.
func checkBounds(t *testing.T, name, says string, want error, most int) {
	t.Helper()
	conn := &scripted{said: []byte(says)}
	_, err := Client(context.Background(), conn, Find(name), &Options{Host: "mail.example.org"})
	if !errors.Is(err, want) {
		t.Errorf("%.40q: error %v, want %v", says, err, want)
	}
	if conn.read > most {
		t.Errorf("%.40q: read %d bytes, want at most %d", says, conn.read, most)
	}
}
