package realserver

import "testing"

func TestProFTPD(t *testing.T) {
	t.Parallel()
	s := ProFTPD(t)
	testFTPClients(t, s, "ftp", User, "pub/", s.path("home/pub"))
}
